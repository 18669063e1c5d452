"""Projections of image features to the plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import NORMAL
from medgan.models import display_name
from medgan.plots.style import MUTED, category_colors, house_style
from medgan.words import readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

GRADIENT = "viridis"
SCORE = "anomaly score"
UNSCORED = "#d5dce4"
"""Color of images without a score: those of the training split."""
COLUMNS = 3
"""Entries of a legend side by side."""
SCORE_RANGE = (0.02, 0.98)
"""Quantiles at which the colors of scores end, so that an outlier does not take all of them."""


@dataclass(frozen=True)
class Projection:
    """Images as points of a plane."""

    name: str
    """Of the method as readers know it, such as t-SNE."""
    points: NDArray[Any]
    """(n, 2)"""
    note: str = ""
    """Below its name."""


def colorings(table: pd.DataFrame) -> dict[str, pd.Series]:
    """List what points can be colored by: name to a value for each image.

    The label is left out where it says no more than the category.

    Args:
        table: label, category, split, and score where there is one.
    """
    label = table["label"].map({0: NORMAL, 1: "anomalous"})
    shown = {"label": label, "category": table["category"], "split": table["split"]}
    if table.loc[table["label"] == 1, "category"].nunique() < 2:
        shown.pop("label")
    return {**shown, SCORE: table["score"]} if "score" in table else shown


@house_style()
def projections(
    planes: Sequence[Projection], table: pd.DataFrame, title: str = "", notes: Sequence[str] = ()
) -> Figure:
    """Draw small multiples: a column for each projection, a row for each coloring.

    Args:
        planes: n points each.
        table: (n) label, category, split, and score where there is one.
        title: above it.
        notes: lines below it, such as why a projection is missing.
    """
    from matplotlib.figure import Figure

    shown = colorings(table) if planes else {}
    heights = [1.0, *[3.1] * len(shown), 0.1 + 0.2 * len(notes)]
    size = (0.2 + 2.7 * max(2, len(planes)), sum(heights))
    figure = Figure(figsize=size, layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, hspace=0.0)
    top, *rows, bottom = np.asarray(parts, dtype=object)
    _heading(top, planes, title)
    for row, (name, values) in zip(rows, shown.items(), strict=True):
        _row(row, planes, name, values)
    bottom.text(0.01, 1.0, "\n".join(notes), ha="left", va="top", fontsize=8, color=MUTED)
    return figure


def _heading(part: SubFigure, planes: Sequence[Projection], title: str) -> None:
    style: dict[str, Any] = {"ha": "left", "va": "top"}
    part.text(0.01, 0.98, display_name(title), fontsize=12, fontweight="bold", **style)
    for column, plane in enumerate(planes):
        left = 0.01 + column / len(planes)
        part.text(left, 0.62, plane.name, fontsize=10, fontweight="bold", **style)
        part.text(left, 0.42, plane.note, fontsize=8, color=MUTED, **style)


def _row(part: SubFigure, planes: Sequence[Projection], name: str, values: pd.Series) -> None:
    """Draw all projections in one coloring, with its legend or color bar above them."""
    axes = part.subplots(1, len(planes), squeeze=False)[0]
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
    size = float(np.clip(4500 / max(1, len(values)), 4, 16))
    if pd.api.types.is_numeric_dtype(values):
        pairs = zip(axes, planes, strict=True)
        drawn = [_scored(axis, plane.points, values.to_numpy(), size) for axis, plane in pairs]
        place: dict[str, Any] = {"location": "top", "fraction": 0.05, "pad": 0.02, "extend": "both"}
        bar = part.colorbar(drawn[0], ax=axes.tolist(), **place)
        bar.set_label(f"{name} (gray: training images, not scored)", loc="left")
        return
    for axis, plane in zip(axes, planes, strict=True):
        _named(axis, plane.points, values, size)
    above: dict[str, Any] = {"loc": "outside upper left", "alignment": "left", "ncols": COLUMNS}
    handles, labels = axes[0].get_legend_handles_labels()
    part.legend(handles, labels, title=name, markerscale=1.8, handletextpad=0.2, **above)


def _scored(axis: Axes, points: NDArray[Any], values: NDArray[Any], size: float) -> Any:
    """Draw points colored by their scores, the highest on top."""
    low, high = np.nanquantile(values, SCORE_RANGE)
    scored = np.isfinite(values)
    axis.scatter(points[~scored, 0], points[~scored, 1], color=UNSCORED, s=size, linewidths=0)
    order = np.flatnonzero(scored)[np.argsort(values[scored], kind="stable")]
    shown: dict[str, Any] = {"c": values[order], "cmap": GRADIENT, "vmin": low, "vmax": high}
    return axis.scatter(points[order, 0], points[order, 1], s=size, linewidths=0, **shown)


def _named(axis: Axes, points: NDArray[Any], values: pd.Series, size: float) -> None:
    for name, color in category_colors(values.astype(str).tolist()).items():
        chosen = (values == name).to_numpy()
        label = f"{readable(name)} ({chosen.sum()})"
        style: dict[str, Any] = {"color": color, "s": size, "alpha": 0.75, "linewidths": 0}
        axis.scatter(points[chosen, 0], points[chosen, 1], label=label, **style)
