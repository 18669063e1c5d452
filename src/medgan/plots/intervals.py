"""Figures with their intervals, one row each: the answer in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from medgan.plots.style import CHANCE, INK, PALETTE, house_style, panel, readable


def forest(
    estimates: Mapping[str, Mapping[str, Any]],
    title: str = "",
    label: str = "AUROC",
    chance: float | None = 0.5,
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """A dot and its 95 % interval for each name, the best on top; names without a figure show why.

    Args:
        estimates: name to {"value", "low", "high"}, or {"value": None, "reason"}.
        title: above it.
        label: of the axis.
        chance: where a dashed line marks a figure without skill.
        notes: what stands behind a name, such as "sees mix".
    """
    order = sorted(estimates, key=lambda name: (estimates[name].get("value") is not None, estimates[name].get("value") or 0.0))
    with house_style():
        figure, axis = panel(6.0, 1.1 + 0.48 * max(1, len(order)))
        lowest = min(
            [figure_["low"] for figure_ in estimates.values() if figure_.get("low") is not None] + [0.5 if chance is None else chance]
        )
        for place, name in enumerate(order):
            _row(axis, place, estimates[name])
        if chance is not None:
            axis.axvline(chance, color=CHANCE, linestyle="--", linewidth=1)
            axis.text(chance, len(order) - 0.42, "chance", color=CHANCE, fontsize=8, ha="center", va="bottom")
        axis.set_yticks(
            range(len(order)), [readable(name) + (f"\n{(notes or {}).get(name)}" if (notes or {}).get(name) else "") for name in order]
        )
        axis.set_ylim(-0.6, len(order) - 0.4)
        axis.set_xlim(max(0.0, lowest - 0.06), 1.02)
        axis.set_xlabel(label)
        axis.set_title(title, pad=16)
        axis.grid(axis="y", visible=False)
        axis.tick_params(axis="y", length=0)
    return figure


def _row(axis: Any, place: int, estimate: Mapping[str, Any]) -> None:
    value = estimate.get("value")
    if value is None:
        axis.text(
            0.5,
            place,
            estimate.get("reason", "not available"),
            color=INK,
            fontsize=8,
            ha="center",
            va="center",
            transform=axis.get_yaxis_transform(),
        )
        return
    if estimate.get("low") is not None:
        axis.plot([estimate["low"], estimate["high"]], [place, place], color=PALETTE[0], linewidth=3, alpha=0.45, solid_capstyle="round")
    axis.plot([value], [place], "o", color=PALETTE[0], markersize=8)
    axis.text(value, place + 0.2, f"{value:.3f}", ha="center", va="bottom", fontsize=9)
