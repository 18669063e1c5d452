"""The figures of docs/results.md."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.evaluation.results import DetectorResult
from medgan.experiments.comparisons import chosen_on_validation, compared, difference, gains
from medgan.experiments.differences import stacked
from medgan.experiments.document import Collected
from medgan.experiments.records import Records
from medgan.experiments.tables import contamination_seeds, n_seeds, seeds_range
from medgan.plots.forest import ForestRow, columns_forest
from medgan.plots.style import CHANCE, PALETTE, colors, house_style, panel
from medgan.report.text import best_first, size_of
from medgan.stats.bootstrap import Estimate
from medgan.stats.roc import GRID, roc_band
from medgan.words import readable

DOTS_PER_INCH = 130
Points = Sequence[tuple[float, Estimate]]
Curves = Mapping[str, Points]


def figures(found: Collected, records: Records) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of a dataset."""
    rows, title = compared(found), readable(found.dataset)
    size = ""
    if rows:
        first = next(iter(rows.values()))
        size = size_of(first, found.experiment.groups)
        note = f"{size}; {seeds_range(n_seeds(row.auroc) for row in rows.values())}"
        yield "auroc", _forest(rows, f"{title}: detectors", f"{note}. Lines: 95 % interval.")
        plain = {name: row for name, row in rows.items() if name not in found.experiment.variants}
        curves = list(_roc_curves(plain, records, {*_answered(found)}))
        bands = f"{note}. Bands: 95 %, at each rate by itself."
        yield "roc", roc_with_bands(curves, f"{title}: ROC, test", bands)
    if found.contamination:
        note = f"{size}; {contamination_seeds(found)}. Lines: 95 % interval."
        heading = f"{title}: AUROC by anomalous share of the mix"
        yield "contamination", contamination_curve(found.contamination, heading, note)

    if curves_of_gain := gains(found):
        note = "Lines: 95 % interval over patients and trainings; 0: no difference."
        points = {
            name: [(share, test.difference) for share, test in tests]
            for name, tests in curves_of_gain.items()
        }
        yield "gain", gain_curve(points, f"{title}: gain by synthetic images", note)


def _forest(rows: Mapping[str, DetectorResult], title: str, note: str) -> Figure:
    """Detectors that see normal images alone, then those that see the mix; a dot for the mean, a
    line for its interval.
    """
    lines: list[ForestRow] = []
    headings = ("normal images alone", "with unlabelled images")
    for sees, (heading, color) in enumerate(zip(headings, PALETTE, strict=False)):
        chosen = {name: row for name, row in rows.items() if row.sees_mix == bool(sees)}
        best = best_first(chosen)
        lines += [ForestRow(heading)] if best else []
        lines += [ForestRow(readable(name), [chosen[name].auroc], color) for name in best]
    return columns_forest(lines, ["AUROC, test"], title, note, chance=[0.5])


def _answered(found: Collected) -> Iterator[str]:
    """Yield the detectors of the answer, and their baselines."""
    for sees_mix in (False, True):
        if chosen := chosen_on_validation(found, sees_mix):
            yield chosen
            if test := difference(found, chosen):
                yield test.second


@dataclass(frozen=True)
class RocCurve:
    """A ROC curve over `GRID`, averaged over trainings, with its pointwise band."""

    name: str
    auroc: float
    value: NDArray[Any]
    low: NDArray[Any]
    high: NDArray[Any]
    banded: bool
    """Whether the band is drawn; those of all detectors would cover each other."""


def _roc_curves(
    rows: Mapping[str, DetectorResult], records: Records, banded: Collection[str]
) -> Iterator[RocCurve]:
    for name, row in rows.items():
        test = stacked(records.get(name, ()))
        if test is not None and row.auroc.value is not None:
            band = roc_band(test.images.labels, test.scores, test.images.groups)
            yield RocCurve(name, row.auroc.value, *band, banded=name in banded)


@house_style()
def roc_with_bands(curves: Sequence[RocCurve], title: str, note: str) -> Figure:
    """Draw ROC curves, the highest AUROC first in the legend."""
    color = colors([curve.name for curve in curves])
    figure, axis = panel(6.0, 5.8)
    axis.plot([0, 1], [0, 1], color=CHANCE, linestyle="--", linewidth=1)
    for one in sorted(curves, key=lambda one: -one.auroc):
        shade = color[one.name]
        if one.banded:
            axis.fill_between(GRID, one.low, one.high, color=shade, alpha=0.14, linewidth=0)
        width, label = 2.2 if one.banded else 1.2, f"{readable(one.name)} ({one.auroc:.3f})"
        axis.plot(GRID, one.value, color=shade, linewidth=width, label=label)
    axis.set(title=title, xlabel="False-positive rate (1 − specificity)", ylabel="Sensitivity")
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axis.legend(loc="lower right", frameon=True, framealpha=0.85, edgecolor="none")
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8)
    return figure


@house_style()
def contamination_curve(curves: Curves, title: str, note: str) -> Figure:
    """Draw AUROC with its interval against the anomalous share of the unlabelled mix; `curves` are
    model -> (share, AUROC) in ascending order.
    """
    color = colors(list(curves))
    figure, axis = panel(6.0, 3.8)
    axis.axhline(0.5, color=CHANCE, linestyle="--", linewidth=1)
    for place, (name, points) in enumerate(curves.items()):
        placed = [(100 * share + 0.4 * place, one) for share, one in points]
        _with_intervals(axis, placed, readable(name), color[name])
    xlabel = "Anomalous images in the unlabelled mix (%)"
    axis.set(title=title, xlabel=xlabel, ylabel="AUROC, test")
    axis.legend(loc="lower right")
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8)
    return figure


@house_style()
def gain_curve(curves: Curves, title: str, note: str) -> Figure:
    """Draw differences in AUROC with their intervals against the share of real training images;
    `curves` are what is compared -> (share, difference) in ascending order.
    """
    figure, axis = panel(6.4, 4.0)
    axis.axhline(0.0, color=CHANCE, linestyle="--", linewidth=1)
    for place, (name, points) in enumerate(curves.items()):
        placed = [(100 * share * 1.04**place, one) for share, one in points]
        _with_intervals(axis, placed, name, PALETTE[place])
    ticks = sorted({100 * share for points in curves.values() for share, _ in points})
    axis.set(title=title, xscale="log", ylabel="difference in AUROC, test")
    axis.set(xlabel="share of the real training images (%), logarithmic")
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.legend(loc="best")
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8)
    return figure


def _with_intervals(axis: Axes, points: Points, label: str, color: str) -> None:
    """Draw a line through estimates that have an interval, each with its bars."""
    known = [
        (x, one.value, one.low, one.high)
        for x, one in points
        if None not in (one.value, one.low, one.high)
    ]
    x, values, low, high = np.array(known, dtype=np.float64).reshape(-1, 4).T
    errors = np.maximum(0.0, [values - low, high - values])
    style: Any = {"color": color, "marker": "o", "capsize": 3, "linewidth": 1.8}
    axis.errorbar(x, values, yerr=errors, label=label, **style)


def png(figure: Figure) -> bytes:
    """Encode a figure without the time of its making: an unchanged figure is an unchanged file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()
