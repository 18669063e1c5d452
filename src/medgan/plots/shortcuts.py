"""Shortcuts and detectors on one scale."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure

from medgan.plots.forests import ForestRow, columns_forest
from medgan.plots.style import PALETTE, readable

HEADINGS = {
    "one_class": "Fitted to training normals only",
    "probe": "Learnt from labels, or from the unlabelled mix",
}
SHORTCUT, DETECTOR = PALETTE[3], PALETTE[0]


def shortcut_forest(document: Mapping[str, Any]) -> Figure:
    """AUROC of every shortcut that could be had, orange, and of every detector, blue, under what they were fitted to; the best on top.

    Args:
        document: {"shortcuts": {kind: {name: estimate}}, "detectors": {name: {"auroc", "compared_with", "against"}}}.
    """
    rows = [row for kind in HEADINGS for row in _section(document, kind)]
    missing: dict[str, list[str]] = {}
    for found in document["shortcuts"].values():
        for name, estimate in found.items():
            if estimate["value"] is None and readable(name) not in missing.setdefault(estimate["reason"], []):
                missing[estimate["reason"]].append(readable(name))
    told = [f"Not measured ({why}): {', '.join(names)}." for why, names in missing.items()]
    note = (
        "Orange diamonds: what is no disease, though a thumbnail and the intensity may show some of it. "
        "Blue dots: detectors; * not shown to be better than the best diamond of their part."
    )
    return columns_forest(
        rows,
        ["AUROC on the test images"],
        "What can be told without looking at the disease",
        "\n".join(line for text in (note, *told) for line in textwrap.wrap(text, 115)),
        chance=[0.5],
    )


def _section(document: Mapping[str, Any], kind: str) -> Iterator[ForestRow]:
    yield ForestRow(HEADINGS[kind])
    shortcuts = {name: found for name, found in document["shortcuts"][kind].items() if found["value"] is not None}
    detectors = {name: found for name, found in document["detectors"].items() if found["compared_with"] == kind}
    rows = [ForestRow(readable(name), [found], SHORTCUT, "D") for name, found in shortcuts.items()]
    rows += [
        ForestRow(readable(name) + " *" * (found["against"][kind]["any"]["no_better"]), [found["auroc"]], DETECTOR)
        for name, found in detectors.items()
    ]
    yield from sorted(rows, key=lambda row: -(row.estimates[0].get("value") or 0.0))
