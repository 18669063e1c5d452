"""The detectors side by side: the main table, and every other way to read their scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medgan.evaluation.volumes import AGGREGATES, TOP_SHARE
from medgan.report.blocks import (
    Block,
    Fold,
    Material,
    Picture,
    Section,
    Table,
    Terms,
    absent_section,
)
from medgan.report.text import (
    MISSING,
    capital,
    interval_name,
    notes_of,
    number,
    or_reason,
    p_text,
    readable,
    signed_interval,
    with_interval,
)


def volume_scores(material: Material) -> Iterator[Fold]:
    """Which aggregate each detector has, who chose it, and what each would have done on
    validation.
    """
    told = {
        name: material.rows[name]["volume_score"]
        for name in material.order
        if "volume_score" in material.rows[name]
    }
    if not told:
        return
    cells = [
        [
            f"{readable(name)}\n{choice['chosen_by']}",
            choice["aggregate"],
            *(or_reason(choice["validation_auroc"].get(aggregate)) for aggregate in AGGREGATES),
            or_reason(choice["slice_count_auroc"]),
        ]
        for name, choice in told.items()
    ]
    first = next(iter(told.values()))
    note = (
        f"Validation: {first['n_volumes']} volumes, {first['n_anomalous']} anomalous. Its AUROC flatters the one that was chosen by it. "
        "The choice was frozen before test scores were read. top10%: mean of the highest tenth of the slices, at least one, which is the "
        f"maximum of fewer than {2 * TOP_SHARE} slices. Number of slices alone: AUROC on the test volumes, no image looked at."
    )
    columns = (
        "Detector",
        "Score of a volume",
        *(f"Validation AUROC, {name}" for name in AGGREGATES),
        "Number of slices alone",
    )
    yield Fold("One score for each volume", [Table(columns, cells, note=note, stacked=True)])


def worst_slices(material: Material) -> Iterator[Fold]:
    """The volumes to look at first, each with its highest slices."""
    tables = [
        _table(name, document)
        for name, document in material.of("worst_slices").items()
        if document["volumes"]
    ]
    if tables:
        yield Fold("Worst slices of volumes", tables)


def _table(name: str, document: Mapping[str, Any]) -> Table:
    cells = [
        [
            f"{volume['volume']}\n{volume['chosen_as']}",
            volume["kind"],
            readable(volume["category"]),
            f"{volume['score']:.4g}",
            "; ".join(map(_slice, volume["worst"])),
        ]
        for volume in document["volumes"]
    ]
    note = (
        f"Score of a volume: {document['aggregate']} of its slices. Threshold {document['threshold']:.4g}. "
        f"Of {document['n_volumes']} test volumes ({document['n_anomalous']} anomalous) those with the highest scores, then misses and "
        "false alarms drawn at random. Slice: its number in the file from 0 on, or its place in millimetres; in brackets its place among "
        "the slices that were scored; then its score. No claim that a disease lies there."
    )
    return Table(
        ("Volume", "Decision", "Category", "Score", "Highest slices"),
        cells,
        capital(readable(name)),
        note,
        stacked=True,
    )


def _slice(one: Mapping[str, Any]) -> str:
    name = "" if one["slice"] is None else f"{one['slice']} "
    return f"{name}({one['position']} of {one['of']}): {one['score']:.4g}"


FIGURES = {
    "auroc": "AUROC, test",
    "validation_auroc": "AUROC, validation",
    "average_precision": "Average precision",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "precision": "Precision",
    "f1": "F1",
}
READ_FROM_TEST = "Cut read from the test ROC: sensitivity at 95 % specificity (optimistic)"


def detectors(material: Material) -> Section:
    """How well each detector tells anomalous images, and how its decisions would fare."""
    curves = [Picture("roc", "ROC curves"), Picture("pr", "Precision and recall curves")]
    blocks: list[Block] = [
        _main(material),
        *_per_category(material),
        *material.pictures(curves, "half"),
        *_decisions(material),
    ]
    if material.descriptions:
        blocks.append(
            Terms(
                {
                    readable(name): text
                    for name, text in material.descriptions.items()
                    if name in material.rows
                },
                "What they are",
            )
        )
    takeaway = (
        "Trained without anomaly labels. Rank detectors by AUROC, and mind how far the intervals overlap; "
        "decisions are at a threshold that was frozen on validation."
    )
    return Section("detectors", "Detectors compared", takeaway, blocks, opened=True)


def _main(material: Material) -> Table:
    rows, order = material.rows, material.order
    columns = ("Detector", *FIGURES.values(), "Labels used")
    cells = [
        [
            _noted(name, rows[name]),
            *(with_interval(rows[name].get(key)) for key in FIGURES),
            rows[name]["labels_used"],
        ]
        for name in order
    ]
    unit = f"Brackets hold the {interval_name(rows[order[0]])}. " if order else ""
    note = (
        unit
        + "Validation figures flatter: the threshold was chosen on these images, and most weights were."
    )
    return Table(columns, cells, note=note, stacked=True, ranked=True)


def _noted(name: str, row: Mapping[str, Any]) -> str:
    notes = notes_of(row) if row["sees_mix"] else ["sees normal images only", *notes_of(row)]
    return f"{readable(name)}\n{', '.join(notes)}"


def _per_category(material: Material) -> Iterator[Table]:
    rows, order = material.rows, material.order
    names = sorted({category for row in rows.values() for category in row.get("per_category", {})})
    if len(names) < 2:
        return
    first = rows[order[0]]["per_category"]
    columns = ["Detector", *(f"{readable(name)}, n = {first[name]['n_images']}" for name in names)]
    cells = [
        [
            readable(name),
            *(with_interval(rows[name]["per_category"][category]["auroc"]) for category in names),
        ]
        for name in order
    ]
    yield Table(
        columns, cells, "AUROC of each category against the normal test images", stacked=True
    )


def _decisions(material: Material) -> Iterator[Block]:
    """What follows from the scores; each behind a line, because a reader wants one of them at a
    time.
    """
    tables = (
        _rules(material),
        _operating_points(material),
        _predictive_values(material),
        _patients(material),
        _half_widths(material),
    )
    yield from (
        Fold(table.title, [Table(table.columns, table.rows, note=table.note)])
        for table in tables
        if table.rows
    )
    yield from volume_scores(material)
    yield from _reports(material)
    matrices = [
        Picture(f"confusion_{name}", f"Confusion matrix of {readable(name)}")
        for name in material.order
    ]
    histograms = [
        Picture(f"histogram_{name}", f"Histogram of the scores of {readable(name)}")
        for name in material.order
    ]
    for title, items, size in (
        ("Confusion matrices", matrices, "third"),
        ("Scores of normal and anomalous test images", histograms, "half"),
    ):
        made = list(material.pictures(items, size))
        if made:
            yield Fold(title, made)


def _rules(material: Material) -> Table:
    cells = [
        [
            readable(name),
            rule,
            *(with_interval(told[key]) for key in ("sensitivity", "specificity", "precision")),
            told["labels_used"],
        ]
        for name in material.order
        for rule, told in material.rows[name].get("decisions", {}).items()
    ]
    title = "Decisions under several rules, each frozen on validation"
    note = (
        "youden: highest sensitivity + specificity. fpr: that share of the validation normals is called anomalous. "
        "conformal: of new normals of new patients, at most that share is expected to be."
    )
    return Table(
        ("Detector", "Rule", "Sensitivity", "Specificity", "Precision", "Labels used"),
        cells,
        title,
        note,
    )


def _operating_points(material: Material) -> Table:
    cells = []
    for name in material.order:
        row = material.rows[name]
        if "at_95_specificity" in row:
            specific, sensitive = row["at_95_specificity"], row["at_95_sensitivity"]
            cells.append(
                [
                    readable(name),
                    with_interval(specific["sensitivity"]),
                    with_interval(specific["specificity"]),
                    or_reason(sensitive["false_alarms_per_100_normals"], 0),
                    with_interval(sensitive["sensitivity"]),
                    with_interval(row["read_from_test_roc"]["sensitivity_at_95_specificity"]),
                ]
            )
    columns = (
        "Detector",
        "Sensitivity at 95 % specificity",
        "Specificity it reached on test",
        "False alarms per 100 normals at 95 % sensitivity",
        "Sensitivity it reached on test",
        READ_FROM_TEST,
    )
    note = (
        "Both cuts come from validation, so on test they reach another specificity or sensitivity than 95 %. "
        "The last column is for comparison with papers alone."
    )
    return Table(columns, cells, "High specificity and high sensitivity", note)


def _predictive_values(material: Material) -> Table:
    shares = list(material.best.get("predictive_values", {})) if material.best else []
    columns = [
        "Detector",
        *(f"{value} at {float(share):.0%}" for share in shares for value in ("PPV", "NPV")),
    ]
    cells = [
        [
            readable(name),
            *(with_interval(told[share][key], 2) for share in shares for key in ("ppv", "npv")),
        ]
        for name in material.order
        if (told := material.rows[name].get("predictive_values"))
    ]
    note = (
        "Share of the images called anomalous that are (PPV), and of those called normal that are (NPV), if this share of all images were "
        "anomalous. At the main threshold."
    )
    return Table(columns, cells if shares else [], "Predictive values at assumed prevalences", note)


def _patients(material: Material) -> Table:
    told = {
        name: material.rows[name]["patient_level"]
        for name in material.order
        if "patient_level" in material.rows[name]
    }
    figures = ("auroc", "sensitivity", "specificity")
    cells = [
        [
            readable(name),
            *(
                or_reason(level[key]) if key == "auroc" else with_interval(level[key])
                for key in figures
            ),
            _of_patients(level),
        ]
        for name, level in told.items()
    ]
    scores = sorted({str(level.get("patient_score", "mean")) for level in told.values()})
    note = f"One score for a patient: the {' or '.join(scores)} over his images; the threshold is frozen on validation patients."
    return Table(
        ("Detector", "AUROC", "Sensitivity", "Specificity", "Patients (anomalous)"),
        cells,
        "One decision for each patient",
        note,
    )


def _of_patients(level: Mapping[str, Any]) -> str:
    return (
        MISSING
        if level.get("n_patients") is None
        else f"{level['n_patients']} ({level['n_anomalous']})"
    )


def _half_widths(material: Material) -> Table:
    cells = []
    for name in material.order:
        row = material.rows[name]
        expected = row.get("expected_half_width")
        if expected:
            size = f"{expected.get('n_normal', MISSING)} + {expected.get('n_anomalous', MISSING)} {expected.get('unit', '')}s"
            cells.append([readable(name), number(expected), _half_width(row["auroc"]), size])
    note = (
        "Half of the 95 % interval of AUROC: what as many independent cases allow (Hanley & McNeil 1982), and what was found. "
        "A distance from chance smaller than this cannot be expected to show."
    )
    return Table(
        ("Detector", "Expected", "Found", "Normal + anomalous"),
        cells,
        "How precise can this test be?",
        note,
    )


def _half_width(figure: Mapping[str, Any]) -> str:
    low, high = figure.get("low"), figure.get("high")
    return MISSING if low is None or high is None else f"{(high - low) / 2:.3f}"


def _reports(material: Material) -> Iterator[Fold]:
    tables = []
    for name in material.order:
        report = material.rows[name].get("report", {})
        lines = {label: told for label, told in report.items() if isinstance(told, Mapping)}
        cells = [
            [
                label,
                *(f"{told[key]:.3f}" for key in ("precision", "recall", "f1-score")),
                f"{told['support']:.0f}",
            ]
            for label, told in lines.items()
        ]
        if cells:
            tables.append(
                Table(("Class", "Precision", "Recall", "F1", "Images"), cells, readable(name))
            )
    if tables:
        yield Fold("Classification reports", tables)


def tests(material: Material) -> Section:
    """Each detector against the best baseline that sees no more than it does."""
    title, document = "Against the simple baselines", material.together.get("detector_tests")
    if not document:
        return absent_section("tests", title, "Tests against the baselines")
    cells = [
        [
            f"{readable(name)}\n{test['family']}",
            readable(str(test["against"])),
            signed_interval(test["difference"]),
            p_text(test["p_value"]),
            p_text(test["p_holm"]),
            readable(test["verdict"]),
        ]
        for name, test in _in_order(document.get("tests", {}), material)
    ]
    chosen = [
        f"{family}: {readable(str(baseline['name']))}, {baseline.get('chosen_by', baseline.get('reason', ''))}"
        for family, baseline in document.get("baselines", {}).items()
    ]
    note = (
        f"Baselines: {'; '.join(chosen)}. {document.get('correction', '')} correction over {document.get('n_tests', 0)} tests, "
        f"alpha {document.get('alpha', '')}. One training each: a difference is one between these trained detectors, not between methods."
    )
    columns = ("Detector", "Against", "Difference in AUROC", "p", "p after Holm", "Verdict")
    takeaway = "A detector earns its cost only where it is shown to be better than the best simple baseline that sees no more than it does."
    picture = Picture(
        "detector_tests", "Differences in AUROC from the baseline with 95 % intervals"
    )
    blocks: list[Block] = [
        *material.pictures([picture], "whole"),
        Table(columns, cells, note=note, stacked=True),
    ]
    return Section("tests", title, takeaway, blocks, opened=True)


def _in_order(tests: Mapping[str, Any], material: Material) -> list[tuple[str, Any]]:
    return [(name, tests[name]) for name in material.order if name in tests]
