"""Rows of figures with their intervals under headings, side by side in one or several columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medgan.plots.style import CHANCE, INK, MUTED, PALETTE, house_style

ROW_INCHES = 0.3


@dataclass(frozen=True)
class ForestRow:
    """A line of a forest plot; without estimates it is a heading."""

    label: str
    estimates: Sequence[Mapping[str, Any]] = ()
    """One {"value", "low", "high"} or {"value": None, "reason"} for each column."""
    colour: str = PALETTE[0]
    marker: str = "o"


def columns_forest(
    rows: Sequence[ForestRow],
    titles: Sequence[str],
    title: str = "",
    note: str = "",
    chance: Sequence[float | None] = (),
    span: tuple[float, float] | None = None,
) -> Figure:
    """Dots and 95 % intervals.

    Args:
        rows: from top to bottom.
        titles: of the columns, as many as each row has estimates.
        title: above all.
        note: below all.
        chance: where a dashed line marks a figure without skill, for each column; None for no line.
        span: limits of every column's axis; from the figures where left out.
    """
    limits = span or _limits(rows)
    lines = note.count("\n") + 1 if note else 0
    with house_style():
        figure = Figure(figsize=(7.0, 1.25 + ROW_INCHES * max(1, len(rows)) + 0.17 * lines), layout="constrained")
        axes = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
        for place, (axis, name) in enumerate(zip(axes, titles, strict=True)):
            _column(axis, rows, place, limits)
            axis.set_title(name, fontsize=10)
            line = chance[place] if place < len(chance) else None
            if line is not None:
                axis.axvline(line, color=CHANCE, linestyle="--", linewidth=1, zorder=0)
        _labels(axes[0], rows)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        if note:
            figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color=MUTED)
    return figure


def _limits(rows: Sequence[ForestRow]) -> tuple[float, float]:
    bounds = [estimate[key] for row in rows for estimate in row.estimates for key in ("value", "low") if estimate.get(key) is not None]
    return max(0.0, min([*bounds, 0.5]) - 0.04), 1.03


def _column(axis: Axes, rows: Sequence[ForestRow], place: int, limits: tuple[float, float]) -> None:
    for line, row in enumerate(rows):
        if row.estimates:
            _interval(axis, line, row, row.estimates[place])
    axis.set_xlim(*limits)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    axis.tick_params(axis="y", length=0)


def _interval(axis: Axes, line: int, row: ForestRow, estimate: Mapping[str, Any]) -> None:
    value = estimate.get("value")
    if value is None:
        reason = str(estimate.get("reason", "not available")).split(":")[0]
        axis.text(
            0.5, line, reason, color=MUTED, fontsize=8, style="italic", ha="center", va="center", transform=axis.get_yaxis_transform()
        )
        return
    if estimate.get("low") is not None:
        axis.plot([estimate["low"], estimate["high"]], [line, line], color=row.colour, linewidth=3, alpha=0.4, solid_capstyle="round")
    axis.plot([value], [line], row.marker, color=row.colour, markersize=6)


def _labels(axis: Axes, rows: Sequence[ForestRow]) -> None:
    axis.set_yticks(range(len(rows)), [row.label for row in rows])
    for text, row in zip(axis.get_yticklabels(), rows, strict=True):
        text.set_fontsize(9 if row.estimates else 10)
        text.set_fontweight("normal" if row.estimates else "bold")
        text.set_color(INK)
