"""Figures of groups of patients."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure

from medgan.plots.forests import ForestRow, columns_forest
from medgan.plots.style import readable

TITLES = {"sensitivity": "Sensitivity", "specificity": "Specificity", "auroc": "AUROC"}


def subgroup_forest(document: Mapping[str, Any], title: str = "") -> Figure:
    """Sensitivity, specificity and AUROC of every group, and how many normal and anomalous images each has.

    Args:
        document: {"groups": {column: {level: {"n_normal", "n_anomalous", "sensitivity", "specificity", "auroc"}}}, "sentence", "minimum"}.
        title: above it.
    """
    rows = [row for column, levels in document["groups"].items() for row in _section(column, levels)]
    insufficient = f"insufficient: fewer than {document['minimum']} images of a class that the figure rests on."
    counts = "n: normal + anomalous test images." if rows else ""
    note = "\n".join(line for text in (counts, insufficient if rows else "", document["sentence"]) for line in textwrap.wrap(text, 115))
    return columns_forest(rows, list(TITLES.values()), title, note, chance=[None, None, 0.5], span=(-0.02, 1.02))


def _section(column: str, levels: Mapping[str, Mapping[str, Any]]) -> Iterator[ForestRow]:
    yield ForestRow(readable(column))
    for level, found in levels.items():
        yield ForestRow(
            f"{textwrap.shorten(level, 20, placeholder=' …')}  (n = {found['n_normal']} + {found['n_anomalous']})",
            [found[figure] for figure in TITLES],
        )
