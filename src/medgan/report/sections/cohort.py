"""The cohort, the reference standard and leakage, the protocol, and the limits."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from medgan.audits.cohort import NOT_REPORTED, table_one
from medgan.audits.data_results import Demographics, Flow
from medgan.models import display_name
from medgan.report.blocks import Absent, Block, Fold, Picture, Pictures, Section, Sentences, Terms
from medgan.report.data import ReportData
from medgan.report.tables import Table
from medgan.report.text import not_run, seeds_text, size_of
from medgan.stats.bootstrap import IMAGE_INTERVALS_ARE
from medgan.words import NOT_A_MEDICAL_DEVICE, capital, readable

PARTS = {"train": "Training", "val": "Validation", "test": "Test", "all": "All"}


def cohort(data: ReportData) -> Section:
    """The flow of images, Table 1, and the images of each split."""
    flow = Picture("flow", "Flow of images from the listing to the test set")
    blocks: list[Block] = [Pictures([flow], "whole"), _splits(data.splits)]
    if data.cohort is None:
        blocks.append(Absent(not_run("Cohort flow and Table 1")))
        return Section("cohort", "Cohort", "The images of each split.", blocks)
    blocks.append(_table_one(data.cohort.demographics))
    return Section("cohort", "Cohort", _flow_sentence(data.cohort.flow), blocks)


def _flow_sentence(flow: Flow) -> str:
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in flow.reasons.items())
    why = f" ({reasons})" if reasons else ""
    test = flow.parts["test"].images if "test" in flow.parts else 0
    left_out = flow.listed - flow.kept.images
    lead = f"Of {flow.listed:,} images listed, {left_out:,} were left out{why}"
    return f"{lead}; {test:,} are test images."


def _splits(splits: pd.DataFrame) -> Table:
    measures = [name for name in ("images", "patients") if name in splits]
    parts = [part for part in ("train", "val", "test") if part in set(splits["split"])]
    categories = sorted(set(splits["category"]), key=lambda name: (name != "normal", name))

    def cell(category: str, part: str) -> str:
        counted = splits[(splits["category"] == category) & (splits["split"] == part)]
        return " / ".join(f"{int(counted[name].sum()):,}" for name in measures)

    return Table(
        ["Category", *(PARTS[part] for part in parts)],
        [[readable(name), *(cell(name, part) for part in parts)] for name in categories],
        "Images of each split",
        "Images / patients." if "patients" in measures else "Images; patients are unknown.",
    )


def _table_one(demographics: Demographics) -> Table:
    table = table_one(demographics)
    parts = [column for column in table.columns if column not in ("characteristic", "level")]
    return Table(
        ["Characteristic", *(PARTS.get(part, part) for part in parts)],
        [
            [": ".join(filter(None, (row["characteristic"], row["level"])))]
            + [str(row[part]) for part in parts]
            for row in table.to_dict("records")
        ],
        "Table 1: characteristics of each split",
        f"Counts with shares of each split. {capital(NOT_REPORTED)}: not recorded in the dataset.",
    )


def labels(data: ReportData) -> Section:
    """The reference standard, its label noise, and leakage."""
    leak = data.leakage
    standard = NOT_REPORTED if data.reference is None else data.reference.reference_standard
    audited = "leakage audit not run" if leak is None else f"leakage audit: {leak.verdict}"
    takeaway = f"Reference standard: {standard}; {audited}."
    return Section("labels", "Labels and leakage", takeaway, [*_reference(data), *_leakage(data)])


def _reference(data: ReportData) -> Iterator[Block]:
    found = data.reference
    if found is None:
        yield Absent(not_run("Reference standard"))
        return
    standard, noise = f"Reference standard: {found.reference_standard}.", found.label_noise
    if isinstance(noise.reported, str) or noise.ceiling is None:
        settings = "set evaluation.reference_standard and evaluation.label_noise where known"
        yield Sentences([standard, f"Label noise: {NOT_REPORTED}; {settings}."])
        return
    shares = noise.reported
    yield Sentences(
        [
            standard,
            f"Label noise: {shares.anomalous:.1%} of the anomalous labels and {shares.normal:.1%} "
            f"of the normal labels are wrong; a perfect detector would have an AUROC of "
            f"{noise.ceiling:.3f}.",
            noise.assumption,
        ]
    )
    rows, corrected = data.results.detectors, noise.auroc_if_labels_were_right or {}
    there = {name: bound for name, bound in corrected.items() if name in rows}
    yield Table(
        ("Detector", "AUROC, measured", "AUROC without label noise (bound)"),
        [[display_name(name), rows[name].auroc, bound] for name, bound in there.items()],
    )


def _leakage(data: ReportData) -> Iterator[Block]:
    found = data.leakage
    if found is None:
        yield Absent(not_run("Leakage audit", "preprocessing"))
        return
    twins, without = found.near_duplicates, found.images_without_patient
    searched = twins.statement if twins is not None else ""
    lines = [
        f"Verdict on the split: {found.verdict}.",
        *(
            f"{capital(what.replace('_', '-'))} in two splits: {shared.count:,} "
            f"({shared.images:,} images)."
            for what, shared in found.shared.items()
        ),
        f"Near-duplicates: {searched}" if searched else "Near-duplicates were not searched.",
    ]
    if without:
        lines.append(f"{without:,} images have no patient id: leakage between them is unknown.")
    yield Sentences(lines, "Leakage audit")


def claim(data: ReportData) -> Section:
    """The filled checklist for reviewers."""
    title, found = "Checklist for reviewers (CLAIM 2024)", data.claim
    if found is None:
        return Section("claim", title, "Not filled yet.", [Absent(not_run("Checklist"))])
    cells = [
        [f"{one.item}. {one.topic}\n{one.section}", one.status, one.answer] for one in found.items
    ]
    counts = ", ".join(f"{count} {status}" for status, count in found.counts.items() if count)
    table = Table(("Item", "Status", "Answer"), cells, note=found.source, stacked=True)
    lead = f"Of {len(cells)} items: {counts}. Answers come from the documents of this run only."
    return Section("claim", title, lead, [Fold("All items", [table])])


LIMITS = (
    "The metrics hold for images like these test images. Other scanners, hospitals, ages or "
    "diseases need their own test.",
    "Intervals express the uncertainty from sampling patients. The weights are fixed: the "
    "variation between seeds is not included.",
    "Overlapping intervals do not test a difference between two detectors; the paired tests do.",
    "The detector that ranks first was picked on these test images: its AUROC is slightly "
    "optimistic.",
    "Anomaly scores of different detectors have different scales; compare scores within one "
    "detector only.",
    "A heat map shows where an image deviates from normal images, not where a disease is.",
)


def limits(_: ReportData) -> Section:
    """What the results do not show."""
    return Section("limits", "Limits", NOT_A_MEDICAL_DEVICE, [Sentences(LIMITS)], opened=True)


def protocol(data: ReportData) -> Section:
    """The protocol of the evaluation and the provenance of the run."""
    provenance = {readable(str(key)): str(told) for key, told in data.results.provenance.items()}
    takeaway = (
        "Test labels were used for the metrics only; thresholds and weights were frozen before."
    )
    blocks: list[Block] = [Sentences(list(_protocol(data)))] if data.order else []
    if provenance:
        blocks.append(Terms(provenance, "Provenance"))
    return Section("method", "Method and provenance", takeaway, blocks)


def _protocol(data: ReportData) -> Iterator[str]:
    rows = data.results.detectors
    first = rows[data.order[0]]
    anomalous = "" if first.n_anomalous is None else f", {first.n_anomalous:,} of them anomalous"
    rules = " and ".join(sorted({row.threshold.rule for row in rows.values()}))
    yield f"All metrics are on the {data.results.split} split: {size_of(first)}{anomalous}."
    yield (
        f"Thresholds are set on validation by the rule {rules} and stay frozen. 'Labels used' "
        "tells whether labels of validation images were used for that."
    )
    if first.scored_unit == "volume":
        yield (
            "Detectors score slices; decisions and metrics are per volume. 'Volume scores' tells "
            "how the scores of its slices are aggregated."
        )
    resamples = data.results.provenance.get("bootstrap resamples", "the configured number of")
    exact = "the same for all detectors; metrics of exactly 0 or 1 have an exact bound instead."
    of_patients = first.interval_unit == "patient"
    unit = f"patients, {exact}" if of_patients else f"images. {IMAGE_INTERVALS_ARE}"
    yield f"Intervals: 95 %, from {resamples} resamples of {unit}"
    yield f"Detectors: {seeds_text(first.n_seeds)}. No test image was used to choose weights."
