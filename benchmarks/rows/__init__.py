"""The rows of the table. Each module has `CASES`, functions that make one `Case` for a `Scale`.

A case imports what it is compared with when it is made, so a package that is missing becomes a line
that says so. Inputs that several cases share are made once.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from benchmarks.paired import Case
from benchmarks.scale import Scale

NAMES = (
    "sngan",
    "wgan_gp",
    "epoch",
    "first_pass",
    "dicom",
    "fid",
    "kid",
    "overlap",
    "bootstrap",
    "near_duplicates",
)
"""In the order of the table."""


def cases_of(row: str) -> tuple[Callable[[Scale], Case], ...]:
    """Return the functions that make the cases of a row."""
    found: tuple[Callable[[Scale], Case], ...] = import_module(f"{__name__}.{row}").CASES
    return found
