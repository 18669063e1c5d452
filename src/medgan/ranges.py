"""Ranges of numbers, stated in the types of the settings: `width: Annotated[int, Range(1, 512)]`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any


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


Count = Annotated[int, Range(1, 1_000_000)]
CountOrNone = Annotated[int, Range(0, 1_000_000)]
"""A count of which 0 means none or never."""
Steps = Annotated[int, Range(1, 10_000_000)]
BatchSize = Annotated[int, Range(2, 4096)]
"""Images at a time in training; batch normalization needs two."""
Accumulated = Annotated[int, Range(1, 1024)]
Width = Annotated[int, Range(1, 1024)]
LatentDim = Annotated[int, Range(1, 4096)]
ResidualBlocks = Annotated[int, Range(0, 100)]
CriticSteps = Annotated[int, Range(1, 100)]
LearningRate = Annotated[float, Range(0.0, 1.0, low_open=True)]
Weight = Annotated[float, Range(0.0, 1000.0)]
"""Weight of a term of a loss or score."""
Temperature = Annotated[float, Range(0.0, 100.0, low_open=True)]
Share = Annotated[float, Range(0.0, 1.0)]
ShareBelowOne = Annotated[float, Range(0.0, 1.0, high_open=True)]
InnerShare = Annotated[float, Range(0.0, 1.0, low_open=True, high_open=True)]
Cosine = Annotated[float, Range(-1.0, 1.0)]
Seed = Annotated[int, Range(0, 2**32 - 1)]
