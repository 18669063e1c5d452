"""The flow of images from what was listed to what was tested, as reporting guidelines want it (STARD 2015, CLAIM 2024)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medgan.plots.style import GRID, INK, MUTED, PALETTE, house_style, readable

REASONS = 5
"""Reasons that a box lists; the rarer ones are one line."""
LINE = 0.19
"""Inches for a line of text."""
WIDTH = 7.0


def flow_chart(flow: Mapping[str, Any]) -> Figure:
    """Boxes from top to bottom, what was left out at each step to the right, the parts of the split at the bottom.

    Args:
        flow: {"listed", "excluded" | "quarantined" | "dropped": {"images", "reasons"}, "kept", "parts": {part: counts}}.
    """
    steps = [
        (["Images listed", f"n = {flow['listed']:,}"], _left_out("Not wanted", flow["excluded"])),
        (["Images wanted", f"n = {flow['listed'] - flow['excluded']['images']:,}"], _left_out("Cannot be used", flow["quarantined"])),
        (["Images that can be used", f"n = {flow['usable']:,}"], _left_out("Left out of the split", flow["dropped"])),
        (["Images in the split", _size(flow["kept"])], []),
    ]
    parts = [_part(name, part) for name, part in flow["parts"].items()]
    heights = [LINE * (max(len(main), len(side)) + 1.2) for main, side in steps]
    last = LINE * (max(len(lines) for lines in parts) + 1.0)
    total = sum(heights) + last + 0.3
    with house_style():
        figure = Figure(figsize=(WIDTH, total))
        axis = figure.add_axes((0, 0, 1, 1))
        axis.set(xlim=(0, WIDTH), ylim=(total, 0))
        axis.set_axis_off()
        top = 0.1
        for (main, side), height in zip(steps, heights, strict=True):
            _step(axis, top, height, main, side)
            top += height
        _parts(axis, top + 0.15, last - 0.1, parts)
    return figure


def _left_out(title: str, found: Mapping[str, Any]) -> list[str]:
    reasons = [f"{textwrap.shorten(readable(str(name)), 38, placeholder=' …')}: {count:,}" for name, count in found["reasons"].items()]
    listed = reasons if len(reasons) <= REASONS else [*reasons[: REASONS - 1], f"{len(reasons) - REASONS + 1} other reasons"]
    return [f"{title}: n = {found['images']:,}", *listed]


def _size(counted: Mapping[str, Any]) -> str:
    patients = counted["patients"]
    return f"n = {counted['images']:,}" + (", patients unknown" if patients is None else f" of {patients:,} patients")


def _part(name: str, part: Mapping[str, Any]) -> list[str]:
    title = {"train": "Training", "val": "Validation", "test": "Test"}[name]
    mix = [f"in the unlabelled mix: {part['unlabelled_mix']['images']:,}"] if "unlabelled_mix" in part else []
    counts = [f"{kind}: {part[kind]['images']:,}" for kind in ("normal", "anomalous")]
    patients = ["patients unknown"] if part["patients"] is None else [f"{part['patients']:,} patients"]
    return [title, f"n = {part['images']:,}", *patients, *counts, *mix]


def _box(axis: Axes, x: float, y: float, width: float, height: float, lines: list[str], fill: str = "white") -> None:
    from matplotlib.patches import FancyBboxPatch

    shape = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.06", facecolor=fill, edgecolor=MUTED, linewidth=1)
    axis.add_patch(shape)
    start = y + height / 2 - LINE * (len(lines) - 1) / 2
    for place, text in enumerate(lines):
        weight = "bold" if place == 0 else "normal"
        axis.text(x + width / 2, start + place * LINE, text, ha="center", va="center", fontsize=9, fontweight=weight, color=INK)


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": MUTED, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0})


def _step(axis: Axes, top: float, height: float, main: list[str], side: list[str]) -> None:
    """A box with an arrow to the next one, and what is left out on the way."""
    tall = LINE * (len(main) + 0.6)
    _box(axis, 0.35, top, 2.5, tall, main, "#eef4f8")
    _arrow(axis, (1.6, top + tall), (1.6, top + height))
    if side:
        high = LINE * (len(side) + 0.5)
        middle = top + tall / 2
        start = max(top - 0.04, middle - high / 2)
        _box(axis, 3.4, start, 3.4, high, side)
        _arrow(axis, (2.85, middle), (3.4, middle))


def _parts(axis: Axes, top: float, height: float, parts: list[list[str]]) -> None:
    width = (WIDTH - 0.4) / len(parts) - 0.15
    axis.plot([1.6, 1.6], [top - 0.15, top - 0.1], color=MUTED, linewidth=1.2)
    centres = [0.275 + place * (width + 0.15) + width / 2 for place in range(len(parts))]
    axis.plot([min(*centres, 1.6), max(*centres, 1.6)], [top - 0.1, top - 0.1], color=MUTED, linewidth=1.2)
    for place, (centre, lines) in enumerate(zip(centres, parts, strict=True)):
        axis.plot([centre, centre], [top - 0.1, top], color=MUTED, linewidth=1.2)
        fill = PALETTE[0] + "22" if place == len(parts) - 1 else GRID + "66"
        _box(axis, centre - width / 2, top, width, height, lines, fill)
