"""Classifiers on the test images: reliability diagrams, and where they look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.results import ClassifierResult
from medgan.evaluation.saliency import NOT_SHOWN, SHOWN_AS, SaliencyResult
from medgan.plots.grids import show_image
from medgan.plots.style import CHANCE, HEAT, PALETTE, draw_interval, house_style, new_figure, notice
from medgan.stats.calibration import CalibrationBin
from medgan.words import readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
RAW, SCALED = "as trained", "temperature from validation"


@house_style()
def reliability(rows: Mapping[str, ClassifierResult]) -> Figure:
    """Draw the observed share of anomalous images against the mean predicted one, in ten bins, for
    each arm (one training each), as trained and after temperature scaling; the bars are 95 %
    intervals.
    """
    columns = min(COLUMNS, max(1, len(rows)))
    lines = max(1, -(-len(rows) // columns))
    title = "Reliability of 1 − p(normal), test images"
    figure = new_figure(max(6.0, 2.6 * columns), 0.9 + 2.7 * lines, title)
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axis, (name, row) in zip(axes, rows.items(), strict=False):
        axis.plot([0, 1], [0, 1], color=CHANCE, linestyle="--", linewidth=1)
        _draw(axis, row.calibration_curve, RAW, PALETTE[0], "o")
        if row.scaled is not None:
            _draw(axis, row.scaled.calibration_curve, SCALED, PALETTE[1], "s")
        axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), title=row.title or name, aspect="equal")
    for axis in axes[len(rows) :]:
        axis.set_axis_off()
    figure.supxlabel("mean predicted probability", fontsize=10)
    figure.supylabel("share of anomalous images", fontsize=10)
    if rows:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


@house_style()
def saliency_grid(
    images: NDArray[np.uint8],
    maps: Mapping[str, NDArray[Any]],
    titles: Sequence[str],
    arm: str,
    checks: SaliencyResult,
) -> Figure:
    """Draw images (n, H, W, C) in a row, and below each its maps (n, H, W) by method, each scaled
    by itself. Without maps, the reason of the checks stands in the place of the figure; `arm` is
    what the arm trains on.
    """
    title = f"Saliency of the most probable class, trained on {arm}"
    if not maps:
        return notice(title, checks.reason)
    count = len(images)
    note = f"r(random): mean correlation with the maps of random weights. {NOT_SHOWN}"
    figure = new_figure(1.6 + 0.95 * count, 0.6 + 1.15 * (1 + len(maps)), title, note)
    axes = figure.subplots(1 + len(maps), count, squeeze=False)
    for column, axis in enumerate(axes[0]):
        show_image(axis, images[column])
        axis.set_title(readable(titles[column]), fontsize=7, fontweight="normal", loc="center")
    for line, (name, found) in zip(axes[1:], maps.items(), strict=True):
        for axis, one in zip(line, found, strict=True):
            axis.imshow(one, cmap=HEAT)
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
        random = checks.methods[name].all_random.value
        told = "" if random is None else f"\nr(random) {random:.2f}"
        line[0].set_ylabel(f"{SHOWN_AS[name]}{told}", fontsize=8)
    return figure


def _draw(axis: Axes, curve: Sequence[Any], label: str, color: str, marker: str) -> None:
    """Draw the bins of one training; a mean over trainings has bins for each of them, and none."""
    points = [one for one in curve if isinstance(one, CalibrationBin)]
    style: dict[str, Any] = {"color": color, "fmt": marker, "markersize": 4}
    for one in points:
        draw_interval(axis, one.predicted, one.observed, vertical=True, **style)
    x, y = [one.predicted for one in points], [one.observed.value or 0.0 for one in points]
    axis.plot(x, y, color=color, marker=marker, markersize=4, linewidth=1.2, label=label)
