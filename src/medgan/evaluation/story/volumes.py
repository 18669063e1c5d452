"""Volumes in a report: how their slices became one score, and which slices stand out. Nothing where the images are no slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medgan.evaluation.story.parts import Fold, Material, Table
from medgan.evaluation.volumes import AGGREGATES, TOP_SHARE
from medgan.evaluation.wording import capital, or_reason, readable


def volume_scores(material: Material) -> Iterator[Fold]:
    """Which aggregate each detector has, who chose it, and what each would have done on validation."""
    told = {name: material.rows[name]["volume_score"] for name in material.order if "volume_score" in material.rows[name]}
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
    columns = ("Detector", "Score of a volume", *(f"Validation AUROC, {name}" for name in AGGREGATES), "Number of slices alone")
    yield Fold("One score for each volume", [Table(columns, cells, note=note, stacked=True)])


def worst_slices(material: Material) -> Iterator[Fold]:
    """The volumes to look at first, each with its highest slices."""
    tables = [_table(name, document) for name, document in material.of("worst_slices").items() if document["volumes"]]
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
    return Table(("Volume", "Decision", "Category", "Score", "Highest slices"), cells, capital(readable(name)), note, stacked=True)


def _slice(one: Mapping[str, Any]) -> str:
    name = "" if one["slice"] is None else f"{one['slice']} "
    return f"{name}({one['position']} of {one['of']}): {one['score']:.4g}"
