"""The rows of the table. Each module has `CASES`, functions that make one `Case`, `Timed` or `Quality` of a `Scale`.

A case imports what it is compared with when it is made, so a package that is missing becomes a line
that says so. Inputs that several cases share are made once.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from benchmarks.paired import Case, Quality, Timed
from benchmarks.scale import Scale

NAMES = (
    "epoch",
    "first_pass",
    "dicom",
    "near_duplicates",
    "sngan",
    "wgan_gp",
    "ganomaly",
    "scoring",
    "fid",
    "kid",
    "overlap",
    "bootstrap",
    "start",
    "parity",
)
"""In the order of the table."""


def cases_of(row: str) -> tuple[Callable[[Scale], Case | Timed | Quality], ...]:
    """Return the functions that make the cases of a row."""
    module = import_module(f"{__name__}.{row}")
    found: tuple[Callable[[Scale], Case | Timed | Quality], ...] = module.CASES
    return found
