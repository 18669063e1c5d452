"""Ranges of numbers, stated in the types of the settings: `width: Annotated[int, Range(1, 512)]`.

What Pydantic checks where settings are read, `require_ranges` checks where Python code makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from medgan.errors import UserError


@dataclass(frozen=True)
class Range:
    """The numbers that a setting may have. Pydantic checks them, and this module needs none of it.

    A bound that is `open` does not belong to the range. NaN is in no range.
    """

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def __str__(self) -> str:
        low = f"over {self.low:,}" if self.low_open else f"from {self.low:,}"
        return f"{low} to {'under ' if self.high_open else ''}{self.high:,}"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, object]:
        """Return the schema of the number, with the check around it."""
        check = {"type": "no-info", "function": self._checked}
        return {"type": "function-wrap", "function": check, "schema": handler(source)}

    def _checked(self, value: Any, read: Callable[[Any], Any]) -> Any:
        number = value if isinstance(value, bool) else read(value)
        if isinstance(number, bool) or number not in self:
            raise ValueError(f"give a number {self}")
        return number


def require_ranges(section: str, settings: object) -> None:
    """Check the numbers and the choices of a dataclass that Python code makes itself.

    Raises:
        UserError: a number is outside the range, or a text is none of the literals, in the type of
            its field; `section` and the field name it.
    """
    for name, hint in get_type_hints(type(settings), include_extras=True).items():
        value = getattr(settings, name)
        if get_origin(hint) is Literal and value not in get_args(hint):
            choices = ", ".join(map(str, get_args(hint)))
            raise UserError(f"{section}.{name} is `{value}`; choose from {choices}")
        values = value if isinstance(value, tuple) else (value,)
        for allowed in _ranges(hint):
            for number in values:
                if isinstance(number, int | float) and number not in allowed:
                    raise UserError(f"{section}.{name} is {number}; give a number {allowed}")


def _ranges(hint: object) -> Iterator[Range]:
    """Iterate over the ranges in a type, such as `Share`, `Seed | None`, `tuple[Share, ...]`."""
    yield from (one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Range))
    for inner in get_args(hint):
        yield from _ranges(inner)


Count = Annotated[int, Range(1, 1_000_000)]
CountOrNone = Annotated[int, Range(0, 1_000_000)]
"""A count of which 0 means none or never."""
Steps = Annotated[int, Range(1, 10_000_000)]
Epochs = Annotated[float, Range(0, 100_000, low_open=True)]
BatchSize = Annotated[int, Range(2, 4096)]
"""Images at a time in training; batch normalization needs two."""
Accumulated = Annotated[int, Range(1, 1024)]
Width = Annotated[int, Range(1, 1024)]
LatentDim = Annotated[int, Range(1, 4096)]
BackboneSide = Annotated[int, Range(32, 1024)]
"""Pixels to which images are resized for a network of torchvision."""
Coarseness = Annotated[int, Range(1, 256)]
ResidualBlocks = Annotated[int, Range(0, 100)]
CriticSteps = Annotated[int, Range(1, 100)]
LearningRate = Annotated[float, Range(0.0, 1.0, low_open=True)]
Weight = Annotated[float, Range(0.0, 1000.0)]
"""Weight of a term of a loss or score."""
Positive = Annotated[float, Range(0.0, 1e6, low_open=True)]
Epsilon = Annotated[float, Range(0.1, 100.0)]
Temperature = Annotated[float, Range(0.0, 100.0, low_open=True)]
Share = Annotated[float, Range(0.0, 1.0)]
ShareBelowOne = Annotated[float, Range(0.0, 1.0, high_open=True)]
InnerShare = Annotated[float, Range(0.0, 1.0, low_open=True, high_open=True)]
Cosine = Annotated[float, Range(-1.0, 1.0)]
Seed = Annotated[int, Range(0, 2**32 - 1)]
