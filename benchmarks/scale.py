"""How large the work of a row is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Scale:
    """`quick` is for trying a row: its figures mean nothing."""

    quick: bool = False

    def of(self, full: T, quick: T) -> T:
        """Choose a size."""
        return quick if self.quick else full
