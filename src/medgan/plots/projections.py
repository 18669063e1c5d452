"""Features of images on a plane, the same points colored by what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from medgan.contracts import NORMAL
from medgan.plots.style import MUTED, PALETTE, house_style, readable

GRADIENT = "viridis"
SCORE = "anomaly score"
UNSCORED = "#d5dce4"
"""Color of images without a score: those of the training split."""
COLUMNS = 3
"""Entries of a legend side by side."""
HUES = (0, 1, 3, 4, 2, 5, 6, 7)
"""Order of the palette, `normal` first, as in the histograms of scores."""
SCORE_RANGE = (0.02, 0.98)
"""Quantiles at which the color of a score ends, so that one outlier does not take all of it."""


@dataclass(frozen=True)
class Projection:
    """One way of putting the images on a plane."""

    name: str
    """As a reader knows it, such as t-SNE."""
    points: NDArray[Any]
    """(n, 2)"""
    note: str = ""
    """What goes under its name."""


def colorings(table: pd.DataFrame) -> dict[str, pd.Series]:
    """What points are colored by: name to a value for each image. The label is left out where it
    says no more than the category.

    Args:
        table: label, category, split, and score where there is one.
    """
    label = table["label"].map({0: NORMAL, 1: "anomalous"})
    shown = {"label": label, "category": table["category"], "split": table["split"]}
    if table.loc[table["label"] == 1, "category"].nunique() < 2:
        shown.pop("label")
    return {**shown, SCORE: table["score"]} if "score" in table else shown


def hues(values: Sequence[str]) -> dict[str, str]:
    """A color for each name: `normal` has the first, the others follow in alphabetical order."""
    names = sorted(set(values), key=lambda name: (name != NORMAL, name))
    return {name: PALETTE[HUES[index % len(HUES)]] for index, name in enumerate(names)}


def projections(
    planes: Sequence[Projection], table: pd.DataFrame, title: str = "", notes: Sequence[str] = ()
) -> Figure:
    """Small multiples: a column for each projection, a row for each coloring.

    Args:
        planes: n points each.
        table: (n) label, category, split, and score where there is one.
        title: above it.
        notes: lines under it, such as why a projection is missing.
    """
    shown = colorings(table) if planes else {}
    width, head, foot = 0.2 + 2.7 * max(2, len(planes)), 1.0, 0.1 + 0.2 * len(notes)
    with house_style():
        figure = Figure(figsize=(width, head + 3.1 * len(shown) + foot), layout="constrained")
        heights = [head, *[3.1] * len(shown), foot]
        top, *rows, bottom = np.asarray(
            figure.subfigures(len(heights), 1, height_ratios=heights, hspace=0.0), dtype=object
        )
        _heading(top, planes, title)
        for row, (name, values) in zip(rows, shown.items(), strict=True):
            _row(row, planes, name, values)
        bottom.text(0.01, 1.0, "\n".join(notes), ha="left", va="top", fontsize=8, color=MUTED)
    return figure


def _heading(part: SubFigure, planes: Sequence[Projection], title: str) -> None:
    """The title, and over each column the name of its projection."""
    part.text(0.01, 0.98, readable(title), ha="left", va="top", fontsize=12, fontweight="bold")
    for column, plane in enumerate(planes):
        left = 0.01 + column / len(planes)
        part.text(left, 0.62, plane.name, ha="left", va="top", fontsize=10, fontweight="bold")
        part.text(left, 0.42, plane.note, ha="left", va="top", fontsize=8, color=MUTED)


def _row(part: SubFigure, planes: Sequence[Projection], name: str, values: pd.Series) -> None:
    """All projections colored by one thing, with what the colors mean above them."""
    axes = part.subplots(1, len(planes), squeeze=False)[0]
    mapped = [_points(axis, plane.points, values) for axis, plane in zip(axes, planes, strict=True)]
    if mapped[0] is not None:
        bar = part.colorbar(
            mapped[0], ax=axes.tolist(), location="top", fraction=0.05, pad=0.02, extend="both"
        )
        bar.set_label(f"{name} (grey: training images, not scored)", loc="left")
        return
    handles, labels = axes[0].get_legend_handles_labels()
    part.legend(
        handles,
        labels,
        loc="outside upper left",
        title=name,
        alignment="left",
        ncols=COLUMNS,
        markerscale=1.8,
        handletextpad=0.2,
    )


def _points(axis: Axes, points: NDArray[Any], values: pd.Series) -> Any:
    """Draws the points; the mappable of a color bar where the values are numbers, else None."""
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    size = float(np.clip(4500 / max(1, len(points)), 4, 16))
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy()
        low, high = np.nanquantile(numbers, SCORE_RANGE)
        scored = np.isfinite(numbers)
        axis.scatter(points[~scored, 0], points[~scored, 1], color=UNSCORED, s=size, linewidths=0)
        order = np.flatnonzero(scored)[np.argsort(numbers[scored], kind="stable")]
        x, y = points[order, 0], points[order, 1]
        return axis.scatter(
            x, y, c=numbers[order], s=size, cmap=GRADIENT, vmin=low, vmax=high, linewidths=0
        )
    colored: Mapping[str, str] = hues(values.astype(str).tolist())
    for name, color in colored.items():
        chosen = (values == name).to_numpy()
        x, y = points[chosen, 0], points[chosen, 1]
        axis.scatter(
            x,
            y,
            color=color,
            s=size,
            alpha=0.75,
            linewidths=0,
            label=f"{readable(name)} ({chosen.sum()})",
        )
    return None
