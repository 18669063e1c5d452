"""Figures of docs/results.md: ROC curves with bands, and the contamination curve."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.plots.style import CHANCE, colours, house_style, panel, readable


def roc_with_bands(
    rates: NDArray[Any],
    bands: Mapping[str, tuple[NDArray[Any], ...]],
    areas: Mapping[str, float],
    banded: Collection[str],
    title: str,
    note: str = "",
) -> Figure:
    """ROC curves with their pointwise 95 % bands, the highest AUROC first in the legend.

    Args:
        rates: false-positive rates (n,).
        bands: name -> sensitivity at these rates, its lower and its upper bound, each (n,).
        areas: name -> AUROC, for the legend.
        banded: names whose band is drawn.
        title: above the curves.
        note: below them.
    """
    colour = colours(list(bands))
    with house_style():
        figure, axis = panel(6.0, 5.8)
        axis.plot([0, 1], [0, 1], color=CHANCE, linestyle="--", linewidth=1)
        for name in sorted(bands, key=lambda name: -areas[name]):
            value, low, high = bands[name]
            if name in banded:
                axis.fill_between(rates, low, high, color=colour[name], alpha=0.14, linewidth=0)
            axis.plot(
                rates, value, color=colour[name], linewidth=2.2 if name in banded else 1.2, label=f"{readable(name)} ({areas[name]:.3f})"
            )
        axis.set(title=title, xlabel="False-positive rate (1 − specificity)", ylabel="Sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axis.set_aspect("equal")
        axis.legend(loc="lower right", frameon=True, framealpha=0.85, edgecolor="none")
        figure.supxlabel(note, x=0.01, ha="left", fontsize=8)
    return figure


def contamination_curve(curves: Mapping[str, Sequence[tuple[float, Mapping[str, Any]]]], title: str, note: str = "") -> Figure:
    """AUROC with its interval against the anomalous share of the unlabelled mix.

    Args:
        curves: model -> (share, figure) in ascending order.
        title: above the curves.
        note: below them.
    """
    colour = colours(list(curves))
    with house_style():
        figure, axis = panel(6.0, 3.8)
        axis.axhline(0.5, color=CHANCE, linestyle="--", linewidth=1)
        for place, (name, points) in enumerate(curves.items()):
            known = [(100 * share + 0.4 * place, found) for share, found in points if found.get("value") is not None]
            shares, values = [share for share, _ in known], [found["value"] for _, found in known]
            errors = [
                [max(0.0, found["value"] - found["low"]) for _, found in known],
                [max(0.0, found["high"] - found["value"]) for _, found in known],
            ]
            axis.errorbar(shares, values, yerr=errors, color=colour[name], marker="o", capsize=3, linewidth=1.8, label=readable(name))
        axis.set(title=title, xlabel="Anomalous images in the unlabelled mix (%)", ylabel="AUROC, test")
        axis.legend(loc="lower right")
        figure.supxlabel(note, x=0.01, ha="left", fontsize=8)
    return figure
