"""One look for all figures."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, partial, singledispatch
from pathlib import Path
from types import NoneType
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

INK = "#1f2933"
MUTED = "#6b7785"
GRID = "#e3e8ee"
CHANCE = "#a8b3bf"
PALETTE = ("#0b6e99", "#d1495b", "#2a9d6f", "#e08e1b", "#7a5cc0", "#5b6b7b", "#b5577f", "#3f7d20")
"""Told apart by readers with a color-vision deficiency; order of use."""
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


def colors(names: Sequence[str]) -> dict[str, str]:
    """A color for each name, the same for the same set of names in any order."""
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(sorted(names))}


def readable(name: str) -> str:
    """`nearest_neighbour` as `nearest neighbour`."""
    return name.replace("_", " ")


COLUMNS = 70


def notice(title: str, reason: str) -> Figure:
    """A title and a sentence."""
    with house_style():
        lines = textwrap.wrap(reason, COLUMNS)
        figure, axis = panel(6.0, 0.9 + 0.25 * len(lines))
        axis.set_axis_off()
        axis.set_title(title)
        axis.text(0, 1, "\n".join(lines), color=MUTED, va="top", transform=axis.transAxes)
    return figure


@dataclass(frozen=True)
class Drawing:
    """A figure to be."""

    key: str
    """Names what is drawn and the code that draws it."""
    draw: Callable[[], Figure]
    """Makes the figure."""


def drawing(factory: Callable[..., Figure], *arguments: Any, **options: Any) -> Drawing:
    """What a figure factory of `plots` would draw.

    Args:
        factory: a function of this package, which draws the same from equal arguments.
        arguments: its arguments: arrays, tables, text, numbers, and dataclasses and collections of
            them.
        options: likewise, by name.

    Raises:
        TypeError: an argument is something else.
    """
    digest = hashlib.sha256()
    for part in _content(
        [
            factory.__module__,
            factory.__qualname__,
            arguments,
            options,
            _code(),
            matplotlib.__version__,
        ]
    ):
        digest.update(len(part).to_bytes(8, "big") + part)
    return Drawing(digest.hexdigest(), partial(factory, *arguments, **options))


@cache
def _code() -> tuple[bytes, ...]:
    """The sources of this package: a change in any of them draws every figure anew."""
    return tuple(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))


@singledispatch
def _content(value: object) -> Iterator[bytes]:
    """The bytes that tell a value from others."""
    if not is_dataclass(value):
        raise TypeError(
            f"A drawing cannot be named by a {type(value).__name__}: give its factory arrays, tables, text and numbers."
        )
    yield type(value).__name__.encode()
    for field in fields(value):
        yield from _content(getattr(value, field.name))


@_content.register(type(pd.NA))
@_content.register(pd.Timestamp)
@_content.register(str | bytes | bool | int | float | NoneType | np.generic)
def _scalar(value: object) -> Iterator[bytes]:
    yield repr(value).encode()


@_content.register(np.ndarray)
def _array(value: NDArray[Any]) -> Iterator[bytes]:
    yield f"{value.dtype.str} {value.shape}".encode()
    if value.dtype.hasobject:
        yield from _content(value.tolist())
    else:
        yield value.tobytes()


@_content.register(pd.DataFrame)
def _table(value: pd.DataFrame) -> Iterator[bytes]:
    for name in value.columns:
        yield from _content(name)
        yield from _content(value[name].to_numpy())


@_content.register(Mapping)
def _mapping(value: Mapping[Any, Any]) -> Iterator[bytes]:
    yield f"mapping of {len(value)}".encode()
    for name, content in value.items():
        yield from _content(name)
        yield from _content(content)


@_content.register(Sequence)
def _sequence(value: Sequence[Any]) -> Iterator[bytes]:
    yield f"sequence of {len(value)}".encode()
    for content in value:
        yield from _content(content)
