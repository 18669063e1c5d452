"""Who was looked at, who said what is anomalous, and whether the parts are apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from medgan.evaluation.cohort import NOT_REPORTED, table_one
from medgan.evaluation.story.parts import Absent, Block, Fold, Material, Picture, Section, Sentences, Table
from medgan.evaluation.wording import capital, not_run, number, readable, with_interval

PARTS = {"train": "Training", "val": "Validation", "test": "Test", "all": "All"}


def cohort(material: Material) -> Section:
    """The flow of images, Table 1, and the images of each part."""
    document = material.together.get("cohort", {})
    blocks: list[Block] = [*material.pictures([Picture("flow", "Flow of images from what was listed to what was tested")], "whole")]
    blocks.append(_splits(material.splits))
    blocks += [_table_one(document["demographics"])] if document else [Absent(not_run("Cohort flow and Table 1"))]
    takeaway = _flow_sentence(document["flow"]) if document else "The images of each part."
    return Section("cohort", "Who was looked at", takeaway, blocks)


def _flow_sentence(flow: Mapping[str, Any]) -> str:
    left_out = flow["listed"] - flow["kept"]["images"]
    reasons = {reason: count for step in ("excluded", "quarantined", "dropped") for reason, count in flow[step]["reasons"].items()}
    why = f" ({', '.join(f'{reason}: {count:,}' for reason, count in reasons.items())})" if reasons else ""
    test = flow["parts"].get("test", {}).get("images", 0)
    return f"Of {flow['listed']:,} images listed, {left_out:,} were left out{why}; {test:,} are test images."


def _splits(splits: pd.DataFrame) -> Table:
    measures = [name for name in ("images", "patients") if name in splits]
    parts = [part for part in ("train", "val", "test") if part in set(splits["split"])]
    categories = list(dict.fromkeys(splits.sort_values("category", key=lambda column: column != "normal", kind="stable")["category"]))

    def cell(category: str, part: str) -> str:
        counted = splits[(splits["category"] == category) & (splits["split"] == part)]
        return " / ".join(f"{int(counted[name].sum()):,}" for name in measures)

    cells = [[readable(category), *(cell(category, part) for part in parts)] for category in categories]
    note = "Images / patients." if "patients" in measures else "Images; patients are unknown."
    return Table(["Category", *(PARTS[part] for part in parts)], cells, "Images of each part", note)


def _table_one(demographics: Mapping[str, Any]) -> Table:
    table = table_one(demographics)
    parts = [column for column in table.columns if column not in ("characteristic", "level")]
    cells = [
        [f"{row['characteristic']}{': ' + row['level'] if row['level'] else ''}", *(str(row[part]) for part in parts)]
        for row in table.to_dict("records")
    ]
    note = f"Counts with shares of each part. {NOT_REPORTED.capitalize()}: the data set does not say."
    return Table(("Characteristic", *(PARTS.get(part, part) for part in parts)), cells, "Table 1: who is in each part", note)


def labels(material: Material) -> Section:
    """The reference standard, its noise, and leakage."""
    blocks = [*_reference(material), *_leakage(material)]
    leak = material.together.get("leakage_audit")
    standard = material.together.get("reference_standard", {}).get("reference_standard", NOT_REPORTED)
    verdict = f"leakage audit of the split: {leak['verdict']}" if leak else "the leakage audit was not run"
    takeaway = f"Reference standard: {standard}; {verdict}."
    return Section("labels", "Labels and leakage", takeaway, blocks)


def _reference(material: Material) -> Iterator[Block]:
    document = material.together.get("reference_standard")
    if not document:
        yield Absent(not_run("Reference standard"))
        return
    noise = document["label_noise"]
    if noise["reported"] == NOT_REPORTED:
        settings = "set evaluation.reference_standard and evaluation.label_noise where they are known"
        yield Sentences([f"Reference standard: {document['reference_standard']}.", f"Wrong labels: {NOT_REPORTED}; {settings}."])
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
    lines += [f"Near-duplicates: {twins['statement']}"] if twins.get("statement") else ["Near-duplicates were not looked for."]
    without = document.get("images_without_patient", 0)
    lines += [f"{without:,} images have no patient: for them a leak cannot be ruled out."] if without else []
    yield Sentences(lines, "Leakage audit")


def claim(material: Material) -> Section:
    """The filled checklist for a reviewer."""
    title, document = "Checklist for reviewers (CLAIM 2024)", material.together.get("claim")
    if not document:
        return Section("claim", title, "Not filled yet.", [Absent(not_run("Checklist"))])
    counts = document["counts"]
    cells = [[f"{item['item']}. {item['topic']}\n{item['section']}", item["status"], item["answer"]] for item in document["items"]]
    takeaway = ", ".join(f"{number({'value': count}, 0)} {status}" for status, count in counts.items() if count)
    table = Table(("Item", "Status", "Answer"), cells, note=document["source"], stacked=True)
    lead = f"Of {len(cells)} items: {takeaway}. Only what the documents of this run say is an answer."
    return Section("claim", title, lead, [Fold("All items", [table])])
