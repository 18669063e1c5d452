"""One look for all figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#6b7785"
GRID = "#e3e8ee"
CHANCE = "#a8b3bf"
PALETTE = ("#0b6e99", "#d1495b", "#2a9d6f", "#e08e1b", "#7a5cc0", "#5b6b7b", "#b5577f", "#3f7d20")
"""Told apart by readers with a colour-vision deficiency; order of use."""
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
    """Figures made inside it look alike; the caller's settings stay as they were."""
    with rc_context(dict(SETTINGS)):  # type: ignore[arg-type]  # its stubs list every name
        yield


def panel(width: float = 6.0, height: float = 4.5) -> tuple[Figure, Axes]:
    """A figure of this size in inches, with one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name, the same for the same set of names in any order."""
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(sorted(names))}


def readable(name: str) -> str:
    """`nearest_neighbour` as `nearest neighbour`."""
    return name.replace("_", " ")
