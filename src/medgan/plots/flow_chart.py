"""The flow of images from the listing to the parts of the split."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from medgan.audits.data_results import Flow, LeftOut, PartFlow, Size
from medgan.plots.style import GRID, INK, MUTED, PALETTE, house_style
from medgan.words import readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REASONS = 5
"""Reasons that a box lists; the rarer ones are one line."""
LINE = 0.19
"""Inches for a line of text."""
WIDTH = 7.0
PARTS = {"train": "Training", "val": "Validation", "test": "Test"}
Lines = Sequence[str]
Place = tuple[float, float]


@house_style()
def flow_chart(flow: Flow) -> Figure:
    """Draw boxes from top to bottom, with what each step left out to the right, and the parts of
    the split at the bottom.
    """
    from matplotlib.figure import Figure

    eligible = flow.listed - flow.excluded.images
    dropped = _left_out("Left out of the split", flow.dropped)
    steps: list[tuple[Lines, Lines]] = [
        (["Images listed", f"n = {flow.listed:,}"], _left_out("Excluded", flow.excluded)),
        (["Images eligible", f"n = {eligible:,}"], _left_out("Quarantined", flow.quarantined)),
        (["Images readable", f"n = {flow.usable:,}"], dropped),
        (["Images in the split", _size(flow.kept)], []),
    ]
    parts = [_part(PARTS[name], part) for name, part in flow.parts.items()]
    heights = [LINE * (max(len(main), len(side)) + 1.2) for main, side in steps]
    last = LINE * (max(map(len, parts)) + 1.0)
    total = sum(heights) + last + 0.3
    figure = Figure(figsize=(WIDTH, total))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, WIDTH), ylim=(total, 0))
    axis.set_axis_off()
    top = 0.1
    for (main, side), height in zip(steps, heights, strict=True):
        _step(axis, (top, height), main, side)
        top += height
    _parts(axis, top + 0.15, last - 0.1, parts)
    return figure


def _left_out(title: str, found: LeftOut) -> Lines:
    shown = [
        f"{textwrap.shorten(readable(name), 38, placeholder=' …')}: {count:,}"
        for name, count in found.reasons.items()
    ]
    if len(shown) > REASONS:
        shown[REASONS - 1 :] = [f"{len(shown) - REASONS + 1} other reasons"]
    return [f"{title}: n = {found.images:,}", *shown]


def _size(size: Size) -> str:
    patients = ", patients unknown" if size.patients is None else f" of {size.patients:,} patients"
    return f"n = {size.images:,}{patients}"


def _part(title: str, part: PartFlow) -> Lines:
    patients = "patients unknown" if part.patients is None else f"{part.patients:,} patients"
    mix = part.unlabelled_mix
    return [
        title,
        f"n = {part.images:,}",
        patients,
        f"normal: {part.normal.images:,}",
        f"anomalous: {part.anomalous.images:,}",
        *([f"in the unlabelled mix: {mix.images:,}"] if mix is not None else []),
    ]


def _box(axis: Axes, corner: Place, size: Place, lines: Lines, fill: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    (x, y), (width, height) = corner, size
    frame: dict[str, Any] = {"facecolor": fill, "edgecolor": MUTED, "linewidth": 1}
    frame["boxstyle"] = "round,pad=0,rounding_size=0.06"
    axis.add_patch(FancyBboxPatch(corner, width, height, **frame))
    start = y + height / 2 - LINE * (len(lines) - 1) / 2
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9, "color": INK}
    for place, text in enumerate(lines):
        weight = "normal" if place else "bold"
        axis.text(x + width / 2, start + place * LINE, text, fontweight=weight, **style)


def _arrow(axis: Axes, start: Place, end: Place) -> None:
    shape = {"arrowstyle": "-|>", "color": MUTED, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, arrowprops=shape)


def _step(axis: Axes, place: Place, main: Lines, side: Lines) -> None:
    """Draw a box with an arrow to the next one, and what is left out on the way."""
    top, height = place
    tall = LINE * (len(main) + 0.6)
    _box(axis, (0.35, top), (2.5, tall), main, "#eef4f8")
    _arrow(axis, (1.6, top + tall), (1.6, top + height))
    if side:
        high, middle = LINE * (len(side) + 0.5), top + tall / 2
        _box(axis, (3.4, max(top - 0.04, middle - high / 2)), (3.4, high), side, "white")
        _arrow(axis, (2.85, middle), (3.4, middle))


def _parts(axis: Axes, top: float, height: float, parts: Sequence[Lines]) -> None:
    width = (WIDTH - 0.4) / len(parts) - 0.15
    centers = [0.275 + place * (width + 0.15) + width / 2 for place in range(len(parts))]
    line: dict[str, Any] = {"color": MUTED, "linewidth": 1.2}
    axis.plot([1.6, 1.6], [top - 0.15, top - 0.1], **line)
    axis.plot([min(*centers, 1.6), max(*centers, 1.6)], [top - 0.1, top - 0.1], **line)
    for center, lines in zip(centers, parts, strict=True):
        axis.plot([center, center], [top - 0.1, top], **line)
        fill = PALETTE[0] + "22" if lines is parts[-1] else GRID + "66"
        _box(axis, (center - width / 2, top), (width, height), lines, fill)
