"""Figures that are drawn only where their file does not show them yet: most pictures of a second run are those of the first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, partial, singledispatch
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        arguments: its arguments: arrays, tables, text, numbers, and dataclasses and collections of them.
        options: likewise, by name.

    Raises:
        TypeError: an argument is something else.
    """
    digest = hashlib.sha256()
    for part in _content([factory.__module__, factory.__qualname__, arguments, options, _code(), matplotlib.__version__]):
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
        raise TypeError(f"A drawing cannot be named by a {type(value).__name__}: give its factory arrays, tables, text and numbers.")
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
