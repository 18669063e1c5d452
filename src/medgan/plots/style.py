"""The common style of all figures, and the marks that several of them share."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medgan.stats.bootstrap import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#6b7785"
GRID = "#e3e8ee"
CHANCE = "#a8b3bf"
PALETTE = ("#0b6e99", "#d1495b", "#2a9d6f", "#e08e1b", "#7a5cc0", "#5b6b7b", "#b5577f", "#3f7d20")
"""Colors that readers with a color-vision deficiency can tell apart, in order of use."""
SEQUENTIAL = "Blues"
HEAT = "inferno"

SETTINGS: Mapping[str, Any] = {
    "font.size": 10,
    "font.family": "sans-serif",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.grid": True,
    "grid.color": GRID,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style inside the block or to the decorated function, and restore it afterwards."""
    from matplotlib import rc_context

    with rc_context(dict(SETTINGS)):  # type: ignore[arg-type]  # its stubs list every name
        yield


def new_figure(width: float, height: float, title: str = "", note: str = "") -> Figure:
    """Make an empty figure (inches) with a title above and a note below, each left-aligned."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    title = wrapped(title.split("\n"), int(11 * width))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    if note:
        figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color=MUTED)
    return figure


def panel(width: float = 6.0, height: float = 4.5, title: str = "") -> tuple[Figure, Axes]:
    """Make a figure of this size in inches with one pair of axes."""
    figure = new_figure(width, height, title)
    return figure, figure.add_subplot()


def wrapped(lines: Sequence[str], width: int = 115) -> str:
    """Wrap each line to so many characters."""
    return "\n".join(part for line in lines for part in textwrap.wrap(line, width))


def colors(names: Sequence[str]) -> dict[str, str]:
    """Give each name a color, the same for the same set of names in any order."""
    return dict(zip(sorted(names), cycle(PALETTE), strict=False))


def category_colors(names: Sequence[str]) -> dict[str, str]:
    """Give each category a color: `normal` the first one, the others in alphabetical order."""
    ordered = sorted(set(names), key=lambda name: (name != "normal", name))
    apart = cycle(PALETTE[place] for place in (0, 1, 3, 4, 2, 5, 6, 7))
    return dict(zip(ordered, apart, strict=False))


@house_style()
def notice(title: str, reason: str) -> Figure:
    """Draw a title and a sentence, in place of a figure that cannot be made."""
    lines = textwrap.wrap(reason, 70)
    figure, axis = panel(6.0, 0.9 + 0.25 * len(lines), title)
    axis.set_axis_off()
    axis.text(0, 1, "\n".join(lines), color=MUTED, va="top", transform=axis.transAxes)
    return figure


def bare(axis: Axes) -> None:
    """Remove grid, tick marks and frame."""
    axis.grid(False)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def colored_table(
    axis: Axes, texts: Sequence[Sequence[str]], shades: NDArray[Any], **style: Any
) -> None:
    """Draw a table of texts whose cells are as dark as `shades` (rows, columns), from 0 to 1; the
    ticks of the axes become the centers of the cells. `style`: `cmap`, and properties of the texts.
    """
    axis.imshow(shades, cmap=style.pop("cmap", SEQUENTIAL), vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*shades.shape):
        color = "white" if shades[row, column] > 0.55 else INK
        axis.text(column, row, texts[row][column], ha="center", va="center", color=color, **style)
    bare(axis)


def draw_interval(
    axis: Axes, place: float, estimate: Estimate, *, vertical: bool = False, **marker: Any
) -> None:
    """Draw a point and its 95 % interval, or in a horizontal plot the reason why there is none.

    `place` is on the axis of the names; values run upwards where `vertical`. `marker`: `color`,
    `fmt`, `markersize` and properties of the line.
    """
    if estimate.value is None:
        if not vertical:
            behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            style: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "style": "italic",
                "fontsize": 8,
            }
            style |= {"color": MUTED, "transform": axis.get_yaxis_transform(), "bbox": behind}
            axis.text(0.5, place, estimate.reason or "not available", **style)
        return
    color, fmt = marker.pop("color", PALETTE[0]), marker.pop("fmt", "o")

    def plot(values: Sequence[float], places: Sequence[float], *shape: str, **style: Any) -> None:
        axis.plot(*((places, values) if vertical else (values, places)), *shape, **style)

    if estimate.low is not None and estimate.high is not None:
        bounds = [estimate.low, estimate.high]
        plot(bounds, [place, place], color=color, linewidth=3, alpha=0.4, solid_capstyle="round")
    plot([estimate.value], [place], fmt, color=color, **{"markersize": 6, **marker})


def name_rows(axis: Axes, names: Sequence[str]) -> None:
    """Put a name to each row of a horizontal plot, without a grid between the rows."""
    axis.set_yticks(range(len(names)), names)
    axis.grid(axis="y", visible=False)
    axis.tick_params(axis="y", length=0)
