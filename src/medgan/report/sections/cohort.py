"""Who was looked at, who said what is anomalous, and whether the parts are apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from medgan.audits.cohort import NOT_REPORTED, table_one
from medgan.report.blocks import (
    Absent,
    Block,
    Fold,
    Material,
    Picture,
    Section,
    Sentences,
    Table,
    Terms,
)
from medgan.report.text import capital, not_run, number, readable, seeds_of, size_of, with_interval
from medgan.stats.bootstrap import IMAGE_INTERVALS_ARE

PARTS = {"train": "Training", "val": "Validation", "test": "Test", "all": "All"}


def cohort(material: Material) -> Section:
    """The flow of images, Table 1, and the images of each part."""
    document = material.together.get("cohort", {})
    blocks: list[Block] = [
        *material.pictures(
            [Picture("flow", "Flow of images from what was listed to what was tested")], "whole"
        )
    ]
    blocks.append(_splits(material.splits))
    blocks += (
        [_table_one(document["demographics"])]
        if document
        else [Absent(not_run("Cohort flow and Table 1"))]
    )
    takeaway = _flow_sentence(document["flow"]) if document else "The images of each part."
    return Section("cohort", "Who was looked at", takeaway, blocks)


def _flow_sentence(flow: Mapping[str, Any]) -> str:
    left_out = flow["listed"] - flow["kept"]["images"]
    reasons = {
        reason: count
        for step in ("excluded", "quarantined", "dropped")
        for reason, count in flow[step]["reasons"].items()
    }
    why = (
        f" ({', '.join(f'{reason}: {count:,}' for reason, count in reasons.items())})"
        if reasons
        else ""
    )
    test = flow["parts"].get("test", {}).get("images", 0)
    return f"Of {flow['listed']:,} images listed, {left_out:,} were left out{why}; {test:,} are test images."


def _splits(splits: pd.DataFrame) -> Table:
    measures = [name for name in ("images", "patients") if name in splits]
    parts = [part for part in ("train", "val", "test") if part in set(splits["split"])]
    categories = list(
        dict.fromkeys(
            splits.sort_values("category", key=lambda column: column != "normal", kind="stable")[
                "category"
            ]
        )
    )

    def cell(category: str, part: str) -> str:
        counted = splits[(splits["category"] == category) & (splits["split"] == part)]
        return " / ".join(f"{int(counted[name].sum()):,}" for name in measures)

    cells = [
        [readable(category), *(cell(category, part) for part in parts)] for category in categories
    ]
    note = "Images / patients." if "patients" in measures else "Images; patients are unknown."
    return Table(["Category", *(PARTS[part] for part in parts)], cells, "Images of each part", note)


def _table_one(demographics: Mapping[str, Any]) -> Table:
    table = table_one(demographics)
    parts = [column for column in table.columns if column not in ("characteristic", "level")]
    cells = [
        [
            f"{row['characteristic']}{': ' + row['level'] if row['level'] else ''}",
            *(str(row[part]) for part in parts),
        ]
        for row in table.to_dict("records")
    ]
    note = (
        f"Counts with shares of each part. {NOT_REPORTED.capitalize()}: the data set does not say."
    )
    return Table(
        ("Characteristic", *(PARTS.get(part, part) for part in parts)),
        cells,
        "Table 1: who is in each part",
        note,
    )


def labels(material: Material) -> Section:
    """The reference standard, its noise, and leakage."""
    blocks = [*_reference(material), *_leakage(material)]
    leak = material.together.get("leakage_audit")
    standard = material.together.get("reference_standard", {}).get(
        "reference_standard", NOT_REPORTED
    )
    verdict = (
        f"leakage audit of the split: {leak['verdict']}"
        if leak
        else "the leakage audit was not run"
    )
    takeaway = f"Reference standard: {standard}; {verdict}."
    return Section("labels", "Labels and leakage", takeaway, blocks)


def _reference(material: Material) -> Iterator[Block]:
    document = material.together.get("reference_standard")
    if not document:
        yield Absent(not_run("Reference standard"))
        return
    noise = document["label_noise"]
    if noise["reported"] == NOT_REPORTED:
        settings = (
            "set evaluation.reference_standard and evaluation.label_noise where they are known"
        )
        yield Sentences(
            [
                f"Reference standard: {document['reference_standard']}.",
                f"Wrong labels: {NOT_REPORTED}; {settings}.",
            ]
        )
        return
    reported = noise["reported"]
    yield Sentences(
        [
            f"Reference standard: {document['reference_standard']}.",
            f"Wrong labels: {reported['anomalous']:.1%} of those labelled anomalous, {reported['normal']:.1%} of those labelled normal. "
            f"A perfect detector would then show an AUROC of {noise['ceiling']:.3f}.",
            noise["assumption"],
        ]
    )
    cells = [
        [readable(name), with_interval(material.rows[name]["auroc"]), with_interval(figure)]
        for name, figure in noise["auroc_if_labels_were_right"].items()
        if name in material.rows
    ]
    yield Table(("Detector", "AUROC as found", "AUROC if labels were right (bound)"), cells)


def _leakage(material: Material) -> Iterator[Block]:
    document = material.together.get("leakage_audit")
    if not document:
        yield Absent(not_run("Leakage audit", "preprocessing"))
        return
    shared = document["shared"]
    lines = [
        f"Verdict on the split: {document['verdict']}.",
        *(
            f"{capital(what.replace('_', '-'))} in two parts: {told['count']:,} ({told['images']:,} images)."
            for what, told in shared.items()
        ),
    ]
    twins = document.get("near_duplicates", {})
    lines += (
        [f"Near-duplicates: {twins['statement']}"]
        if twins.get("statement")
        else ["Near-duplicates were not looked for."]
    )
    without = document.get("images_without_patient", 0)
    lines += (
        [f"{without:,} images have no patient: for them a leak cannot be ruled out."]
        if without
        else []
    )
    yield Sentences(lines, "Leakage audit")


def claim(material: Material) -> Section:
    """The filled checklist for a reviewer."""
    title, document = "Checklist for reviewers (CLAIM 2024)", material.together.get("claim")
    if not document:
        return Section("claim", title, "Not filled yet.", [Absent(not_run("Checklist"))])
    counts = document["counts"]
    cells = [
        [f"{item['item']}. {item['topic']}\n{item['section']}", item["status"], item["answer"]]
        for item in document["items"]
    ]
    takeaway = ", ".join(
        f"{number({'value': count}, 0)} {status}" for status, count in counts.items() if count
    )
    table = Table(("Item", "Status", "Answer"), cells, note=document["source"], stacked=True)
    lead = (
        f"Of {len(cells)} items: {takeaway}. Only what the documents of this run say is an answer."
    )
    return Section("claim", title, lead, [Fold("All items", [table])])


LIMITS = (
    "Not a medical device: research only, never for a diagnosis or any decision about a patient.",
    "The figures hold for images like these test images. Other scanners, hospitals, ages or diseases need a test of their own.",
    "Intervals show the chance of which patients were sampled. The weights are held fixed: the spread between seeds is not in them.",
    "Overlapping intervals are no test of a difference between two detectors; the paired tests are.",
    "The best detector is the best on these test images: the highest of several figures is a little too high.",
    "Anomaly scores of different detectors have different scales; only their order within one detector means something.",
    "A heat map shows where a detector was surprised, which is not where a disease is.",
)


def protocol(material: Material) -> Section:
    """What was measured on what."""
    takeaway = "Test labels were read for the figures and for nothing else; thresholds and weights were frozen before."
    provenance = {
        readable(str(key)): str(value) for key, value in material.document["provenance"].items()
    }
    terms = [Terms(provenance, "Provenance")] if provenance else []
    return Section(
        "method", "Method and provenance", takeaway, [Sentences(list(_protocol(material))), *terms]
    )


def _protocol(material: Material) -> Iterator[str]:
    if not material.order:
        return
    rows = material.rows
    first = rows[material.order[0]]
    rules = sorted({row["threshold"]["rule"] for row in rows.values()})
    yield (
        f"All figures are on the {material.document['split']} split: {size_of(first)}, {first['n_anomalous']:,} of the images anomalous. "
        "Its labels were read for these figures and for nothing else."
    )
    yield (
        f"Thresholds come from validation by the rule {' and '.join(rules)}, and stay frozen. "
        "'Labels used' says whether labels of validation images chose the threshold."
    )
    if first.get("scored_unit") == "volume":
        yield (
            "Slices were scored, volumes are judged: the slices of a volume give it one score, as 'One score for each volume' says, "
            "and figures count volumes."
        )
    resamples = material.document["provenance"].get(
        "bootstrap resamples", "the configured number of"
    )
    yield f"Intervals: 95 %, from {resamples} resamples of whole " + (
        "patients, the same resamples for all detectors. A figure of exactly 0 or 1 has an exact bound instead."
        if first["interval_unit"] == "patient"
        else f"images. {IMAGE_INTERVALS_ARE}"
    )
    yield f"Detectors: {seeds_of(first)}. What chose the weights of each model stands above; no test image had a part in it."


def limits(_: Material) -> Section:
    """What a reader must not conclude."""
    return Section("limits", "Limits", LIMITS[0], [Sentences(LIMITS[1:])], opened=True)
