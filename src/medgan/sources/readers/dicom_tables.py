"""Look values up in the tables of a DICOM file: palettes, modality and VOI LUTs (PS3.3 C.7.6.3.1.5,
C.11.1.1, C.11.2.1.1).

pydicom does this wrongly for tables of 8 bits with more than 256 entries, and in big endian.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from medgan.sources.raw import ImageRefused, Values
from medgan.sources.readers.dicom_attributes import entries, numbers

FAR_FEWER = 2
"""Bits by which entries may stay below those that are stated before they count as written wrongly:
some writers state 16 for tables of 8 or 12 bits, which would be shown black."""


@dataclass(frozen=True)
class Lookup:
    """One table."""

    table: NDArray[np.uint16]  # (n,)
    first: int
    """Value of the first entry; values below and above the table get its ends."""
    stated_bits: int

    def of(self, values: Values) -> NDArray[np.uint16]:
        """Look values of any shape up, rounded."""
        places = np.rint(values).astype(np.int64) - self.first
        return self.table[np.clip(places, 0, len(self.table) - 1)]


def read_lookup(
    item: Dataset, descriptor: str, data: str, file_meta: Dataset, signed: bool = False
) -> Lookup:
    """Read a table from its two attributes, in the byte order of the file.

    `signed` values may be looked up in it, which implicit transfer syntaxes do not say.

    Raises:
        ImageRefused: one of the attributes cannot be used.
    """
    stated = numbers(item, descriptor)
    if len(stated) != 3 or not np.isfinite(stated).all():
        raise ImageRefused("UNREADABLE", f"its {descriptor} is not three numbers")
    count, first = int(stated[0]) or 2**16, int(stated[1])
    table = np.asarray(entries(item, data))
    if table.dtype.kind == "S":
        raw = bytes(item[data].value)
        order = "><"[UID(file_meta.TransferSyntaxUID).is_little_endian]
        table = np.frombuffer(raw, f"{order}u{2 if len(raw) >= 2 * count else 1}")
    if not 0 < count <= len(table):
        raise ImageRefused("UNREADABLE", f"its {data} has {len(table)} of {count} entries")
    first -= 2**16 * (signed and first >= 2**15)
    return Lookup(table[:count].astype(np.uint16), first, int(stated[2]))


def depth(lookups: Sequence[Lookup]) -> int:
    """Return the bits of the entries of tables: as stated, unless they need more, or far fewer."""
    stated = max(one.stated_bits for one in lookups)
    needed = max(int(one.table.max()).bit_length() for one in lookups)
    fitting = needed <= stated and (stated <= 8 or needed >= stated - FAR_FEWER)
    return stated if fitting else max(8, needed)
