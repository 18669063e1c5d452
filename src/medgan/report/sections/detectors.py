"""The comparison of the detectors, and the tests against baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medgan.evaluation.metrics import AUROC, DETECTOR, PRECISION, SENSITIVITY, SPECIFICITY
from medgan.evaluation.results import DetectorResult, PatientLevel
from medgan.evaluation.volumes import AGGREGATES, TOP_SHARE
from medgan.models import display_name
from medgan.report.blocks import (
    Absent,
    Block,
    Fold,
    Picture,
    Pictures,
    Section,
    Terms,
    absent_section,
)
from medgan.report.data import ReportData
from medgan.report.tables import OR_REASON, SIGNED, Column, Columns, Rows, Table
from medgan.report.text import MISSING, absent, interval_name, notes_of, number, p_text
from medgan.words import readable

CATEGORY_METRIC = AUROC
DECISION_METRICS = (SENSITIVITY, SPECIFICITY, PRECISION)
PATIENT_METRICS = (AUROC, SENSITIVITY, SPECIFICITY)


def detectors(data: ReportData) -> Section:
    """All metrics of all detectors, and their decisions at several thresholds."""
    title, rows = "Detectors", data.results.detectors
    if not data.order:
        missing = Absent(absent(data.results, "detectors"))
        return Section("detectors", title, "Not run yet.", [missing])
    curves = [Picture("roc", "ROC curves"), Picture("pr", "Precision-recall curves")]
    told = data.descriptions.items()
    described = {display_name(name): text for name, text in told if name in rows}
    blocks: list[Block] = [
        _main(data),
        *_per_category(data),
        Pictures(curves, "half"),
        *_decisions(data),
        Terms(described, "Methods"),
    ]
    takeaway = (
        "Trained without anomaly labels (training needs images known to be normal). Detectors are "
        "ranked by AUROC; decisions are at a threshold frozen on validation."
    )
    return Section("detectors", title, takeaway, blocks, opened=True)


def _main(data: ReportData) -> Table:
    cells: Rows = []
    for name, row in data.ranked():
        sees = [] if row.sees_mix else ["sees normal images only"]
        metrics = [row.metric(metric) for metric in DETECTOR]
        noted = ", ".join([*sees, *notes_of(row), f"labels used: {row.labels_used}"])
        perturbed = row.validation.perturbed_auroc if row.validation else None
        validation = [row.validation_auroc, perturbed]
        cells.append([f"{name}\n{noted}", metrics[0], *validation, *metrics[1:]])
    first, *others = [metric.name for metric in DETECTOR]
    note = (
        f"In brackets: {interval_name(data.results.detectors[data.order[0]])}. Validation metrics "
        "are optimistic: the threshold, and most weights, were chosen on these images. "
        "Perturbed: each validation image under a draw of gamma, shading and shift, as another "
        "scanner might have made it."
    )
    on_validation = (f"{first}, validation", f"{first}, validation perturbed")
    columns = ("Detector", f"{first}, test", *on_validation, *others)
    return Table(columns, cells, note=note, stacked=True, ranked=True)


def _per_category(data: ReportData) -> Iterator[Table]:
    counts = {
        name: found.n_images
        for row in data.results.detectors.values()
        for name, found in row.per_category.items()
    }
    if len(counts) < 2:
        return
    names = sorted(counts)
    yield Table(
        ["Detector", *(f"{readable(name)}, n = {counts[name]}" for name in names)],
        [
            [shown, *(row.per_category[name].metric(CATEGORY_METRIC) for name in names)]
            for shown, row in data.ranked()
        ],
        f"{CATEGORY_METRIC.name} of each category against the normal test images",
        stacked=True,
    )


def _decisions(data: ReportData) -> Iterator[Block]:
    """What follows from the scores, each behind a line of its own."""
    of_points = (_on_validation, _rules, _operating_points)
    for make in (*of_points, _predictive_values, _patients, _half_widths):
        table = make(data)
        if table.rows:
            yield Fold(table.title, [Table(table.columns, table.rows, note=table.note)])
    yield from _volume_scores(data)
    yield from _reports(data)
    for kind, title, size in (
        ("confusion", "Confusion matrices", "third"),
        ("histogram", "Scores of normal and anomalous test images", "half"),
    ):
        shown = {name: f"{title}: {display_name(name)}" for name in data.order}
        pictures = [Picture(f"{kind}_{name}", text) for name, text in shown.items()]
        yield Fold(title, [Pictures(pictures, size)])


def _on_validation(data: ReportData) -> Table:
    cells: Rows = []
    for name, row in data.ranked():
        if row.validation is not None:
            cells.append([name, "validation", *map(row.validation.metric, DETECTOR)])
            cells.append([name, "test", *map(row.metric, DETECTOR)])
    columns = ("Detector", "Images", *(metric.name for metric in DETECTOR))
    note = (
        "At the threshold that was frozen on validation, so the metrics of validation are "
        "optimistic. A large gap tells of too few validation images, or of test images that differ."
    )
    return Table(columns, cells, "Validation beside test", note)


def _rules(data: ReportData) -> Table:
    return Table(
        ("Detector", "Rule", *(metric.name for metric in DECISION_METRICS), "Labels used"),
        [
            [name, rule, *(told.metric(metric) for metric in DECISION_METRICS), told.labels_used]
            for name, row in data.ranked()
            for rule, told in row.decisions.items()
        ],
        "Decisions under several threshold rules, each frozen on validation",
        "youden: highest sensitivity + specificity. fpr: this share of the validation normals is "
        "called anomalous. conformal: at most this share of the normal images of new patients is "
        "expected to be called anomalous.",
    )


def _operating_points(data: ReportData) -> Table:
    cells: Rows = []
    for name, row in data.ranked():
        specific, sensitive = row.at_95_specificity, row.at_95_sensitivity
        if specific is None or sensitive is None or row.read_from_test_roc is None:
            continue
        on_test = row.read_from_test_roc.sensitivity_at_95_specificity
        alarms, reached = sensitive.false_alarms_per_100_normals, sensitive.sensitivity
        cells.append([name, specific.sensitivity, specific.specificity, alarms, reached, on_test])
    columns: Columns = (
        "Detector",
        "Sensitivity at 95 % specificity",
        "Specificity reached on test",
        Column("False positives per 100 normals at 95 % sensitivity", OR_REASON, 0),
        "Sensitivity reached on test",
        "Threshold from the test ROC: sensitivity at 95 % specificity (optimistic)",
    )
    note = (
        "Both thresholds are set on validation, so specificity and sensitivity on test differ from "
        "95 %. The last column is only for comparison with papers."
    )
    return Table(columns, cells, "High specificity and high sensitivity", note)


def _predictive_values(data: ReportData) -> Table:
    shares = list(data.best.predictive_values) if data.best is not None else []
    names = [f"{value} at {float(share):.0%}" for share in shares for value in ("PPV", "NPV")]
    cells: Rows = [
        [name, *(each for share in shares for each in (told[share].ppv, told[share].npv))]
        for name, row in data.ranked()
        if (told := row.predictive_values)
    ]
    note = (
        "PPV: share of the images called anomalous that are anomalous; NPV: share of the images "
        "called normal that are normal; at the main threshold, for an assumed share of anomalous "
        "images."
    )
    columns: Columns = ["Detector", *(Column(name, digits=2) for name in names)]
    title = "Predictive values at assumed prevalences"
    return Table(columns, cells if shares else [], title, note)


def _patients(data: ReportData) -> Table:
    levels = [(name, row.patient_level) for name, row in data.ranked() if row.patient_level]
    scores = " or ".join(sorted({level.patient_score for _, level in levels}))
    area, *others = [metric.name for metric in PATIENT_METRICS]
    return Table(
        ("Detector", Column(area, OR_REASON), *others, "Patients (anomalous)"),
        [
            [name, *(level.metric(metric) for metric in PATIENT_METRICS), _of_patients(level)]
            for name, level in levels
        ],
        "Decisions per patient",
        f"The score of a patient is the {scores} over the images of the patient; the threshold is "
        "frozen on validation patients.",
    )


def _of_patients(level: PatientLevel) -> str:
    return MISSING if level.n_patients is None else f"{level.n_patients} ({level.n_anomalous})"


def _half_widths(data: ReportData) -> Table:
    cells: Rows = []
    for name, row in data.ranked():
        expected = row.expected_half_width
        if expected is not None:
            size = f"{expected.n_normal} + {expected.n_anomalous} {expected.unit}s"
            cells.append([name, expected.value, _half_width(row), size])
    note = (
        "Half of the 95 % interval of the AUROC: expected for as many independent cases (Hanley & "
        "McNeil 1982), and measured. Differences smaller than this cannot be expected to be "
        "significant."
    )
    columns: Columns = ("Detector", "Expected", "Measured", "Normal + anomalous")
    return Table(columns, cells, "Precision of the AUROC", note)


def _half_width(row: DetectorResult) -> float | None:
    low, high = row.auroc.low, row.auroc.high
    return None if low is None or high is None else (high - low) / 2


def _volume_scores(data: ReportData) -> Iterator[Fold]:
    told = [(name, row.volume_score) for name, row in data.ranked() if row.volume_score]
    if not told:
        return
    cells: Rows = [
        [
            f"{name}\n{choice.chosen_by}",
            choice.aggregate,
            *(choice.validation_auroc.get(aggregate) for aggregate in AGGREGATES),
            choice.slice_count_auroc,
        ]
        for name, choice in told
    ]
    first = told[0][1]
    note = (
        f"Validation: {first.n_volumes} volumes, {first.n_anomalous} anomalous. The validation "
        "AUROC of the aggregate that it chose is optimistic; the choice was frozen before test "
        "scores were read. top10%: mean of the highest tenth of the slices, at least one, which is "
        f"the maximum below {2 * TOP_SHARE} slices. Slice count: AUROC of the number of slices "
        "alone on the test volumes."
    )
    areas = [Column(f"Validation AUROC, {name}", OR_REASON) for name in AGGREGATES]
    columns: Columns = ("Detector", "Volume score", *areas, Column("Slice count alone", OR_REASON))
    yield Fold("Volume scores", [Table(columns, cells, note=note, stacked=True)])


def _reports(data: ReportData) -> Iterator[Fold]:
    tables = []
    metrics = ("precision", "recall", "f1-score")
    for name, row in data.ranked():
        cells = [
            [label, *(told[key] for key in metrics), f"{told['support']:.0f}"]
            for label, told in (row.report or {}).items()
            if isinstance(told, Mapping)
        ]
        if cells:
            tables.append(Table(("Class", "Precision", "Recall", "F1", "Images"), cells, name))
    if tables:
        yield Fold("Classification reports", tables)


def tests(data: ReportData) -> Section:
    """Each detector against the best baseline that sees as much as it does."""
    title, found = "Compared against baselines", data.tests
    if found is None or not data.order:
        return absent_section("tests", title, "Tests against the baselines")
    cells: Rows = [
        [
            f"{display_name(name)}\n{test.family}",
            display_name(str(test.against)),
            test.difference,
            p_text(test.p_value),
            p_text(test.p_holm),
            readable(test.verdict),
        ]
        for name, test in ((name, found.tests[name]) for name in data.order if name in found.tests)
    ]
    chosen = "; ".join(
        f"{family}: {display_name(str(choice.name))}, {choice.chosen_by or choice.reason}"
        for family, choice in found.baselines.items()
    )
    note = (
        f"Baselines: {chosen}. {found.correction} correction over {found.n_tests} tests, alpha "
        f"{number(found.alpha, 2)}. One training each: differences are between these trained "
        "detectors, not between methods."
    )
    difference = Column("Difference in AUROC", SIGNED)
    columns: Columns = ("Detector", "Baseline", difference, "p", "p after Holm", "Verdict")
    picture = Picture("detector_tests", "Differences in AUROC from the baseline, 95 % intervals")
    takeaway = (
        "A detector justifies its cost only if it is significantly better than the best simple "
        "baseline that sees as much as it does."
    )
    table = Table(columns, cells, note=note, stacked=True)
    return Section("tests", title, takeaway, [Pictures([picture], "whole"), table], opened=True)
