"""Differences with their intervals, one row each, around the line of no difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medgan.plots.style import INK, MUTED, PALETTE, house_style, panel, readable


def differences(
    tests: Mapping[str, Mapping[str, Any]], title: str = "", label: str = "difference of AUROC; p after Holm's correction"
) -> Figure:
    """A dot and its 95 % interval for each test, the largest difference on top; filled where it holds after correction.

    Args:
        tests: name to {"against", "difference": {"value", "low", "high"}, "p_holm", "verdict"}; tests without a difference say why.
        title: above it.
        label: of the axis.
    """
    order = sorted(tests, key=lambda name: (tests[name]["difference"]["value"] is not None, tests[name]["difference"]["value"] or 0.0))
    with house_style():
        figure, axis = panel(6.0, 1.3 + 0.55 * max(1, len(order)))
        for place, name in enumerate(order):
            _row(axis, place, tests[name])
        axis.axvline(0, color=MUTED, linestyle="--", linewidth=1)
        axis.text(0.01, -0.58, "worse", transform=axis.get_yaxis_transform(), color=MUTED, fontsize=8)
        axis.text(0.99, -0.58, "better", transform=axis.get_yaxis_transform(), color=MUTED, fontsize=8, ha="right")
        axis.set_yticks(range(len(order)), [_name(name, tests[name]) for name in order])
        axis.set_ylim(-0.7, len(order) - 0.4)
        bounds = [0.0, *(bound for test in tests.values() for bound in _bounds(test))]
        room = 0.2 * (max(bounds) - min(bounds)) + 0.02
        axis.set_xlim(min(bounds) - room, max(bounds) + room)
        axis.set_xlabel(label)
        axis.set_title(title)
        axis.grid(axis="y", visible=False)
        axis.tick_params(axis="y", length=0)
    return figure


def _name(name: str, test: Mapping[str, Any]) -> str:
    return readable(name) if test["against"] in (None, name) else f"{readable(name)}\nagainst {readable(test['against'])}"


def _bounds(test: Mapping[str, Any]) -> list[float]:
    return [test["difference"][key] for key in ("value", "low", "high") if test["difference"].get(key) is not None]


def _row(axis: Axes, place: int, test: Mapping[str, Any]) -> None:
    found = test["difference"]
    if found["value"] is None:
        behind = {"facecolor": "white", "edgecolor": "none"}
        across = axis.get_yaxis_transform()
        axis.text(0.5, place, found["reason"], color=INK, fontsize=8, ha="center", va="center", transform=across, bbox=behind)
        return
    if found.get("low") is not None:
        axis.plot([found["low"], found["high"]], [place, place], color=PALETTE[0], linewidth=3, alpha=0.45, solid_capstyle="round")
    holds = not test["verdict"].startswith("no ")
    axis.plot([found["value"]], [place], "o", markersize=8, markeredgecolor=PALETTE[0], markerfacecolor=PALETTE[0] if holds else "white")
    p_value = test.get("p_holm")
    note = f"{found['value']:+.3f}" + ("" if p_value is None else f", p {'< 0.001' if p_value < 0.001 else f'= {p_value:.3f}'}")
    axis.text(found["value"], place + 0.2, note, ha="center", va="bottom", fontsize=9)
