"""What a source says of its images, in one notation: ages in years, sexes as F and M, gaps as missing, images left out with a reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from medgan.contracts import Refusal

OLDEST = 120.0
"""Years; above it an age is a mistake of the record."""
EXCLUDED = "excluded"
"""Column of `rows()`: why an image is left out; missing for one that is used."""
BLANK = frozenset({"", "na", "n/a", "nan", "none", "null", "unknown"})
"""What records write, in any case, for something that they do not know."""
SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
UNITS = {"": 1.0, "y": 1.0, "m": 1.0 / 12.0, "w": 7.0 / 365.25, "d": 1.0 / 365.25}
"""Letter after an age, as DICOM writes it -> years."""
_AGE = re.compile(r"(\d+(?:\.\d+)?) *([ymwd]?)", re.IGNORECASE)


def years(text: object) -> float | None:
    """An age in years from `58`, `58.0`, `058Y`, `006M`, `02W` or `3D`; None where it is something else or over OLDEST."""
    match = _AGE.fullmatch(str(text).strip())
    if match is None:
        return None
    age = float(match[1]) * UNITS[match[2].lower()]
    return age if age <= OLDEST else None


def sex(text: object) -> str | None:
    """F or M from `F`, `female`, `M`, `male` in any case; None where it is something else."""
    return SEXES.get(str(text).strip().lower())


_NOTATION = {"age": years, "sex": sex}
"""Column -> how its values are read."""


def tidy(rows: pd.DataFrame, values: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Rows with their values renamed as `values` (column -> old -> new) says, and then ages in years and sexes as F and M."""
    tidied = rows.copy()
    for column, names in values.items():
        tidied[column] = tidied[column].map(lambda value, names=names: names.get(value, value))
    for column, read in _NOTATION.items():
        if column in tidied:
            tidied[column] = pd.Series([read(value) for value in tidied[column]], index=tidied.index, dtype=object)
    return tidied


def known(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column with None for every value that says nothing (BLANK)."""
    text = column.astype(object)
    return text.where(text.notna() & ~text.astype(str).str.strip().str.lower().isin(BLANK), None)


def exclude(rows: pd.DataFrame, chosen: Sequence[bool] | pd.Series[Any], reasons: str | pd.Series[Any]) -> pd.DataFrame:
    """Rows with a reason in EXCLUDED for the chosen ones; a reason that is there already stays."""
    before = rows.reindex(columns=[EXCLUDED])[EXCLUDED].astype(object)
    mask = pd.Series(chosen, index=rows.index, dtype=bool) & before.isna()
    return rows.assign(**{EXCLUDED: before.mask(mask, reasons)})


def require_some(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """The rows as they are. Raises `Refusal` where every one is left out, with the counts of the reasons."""
    if EXCLUDED in rows and rows[EXCLUDED].notna().all():
        counts = ", ".join(f"{count} {reason}" for reason, count in rows[EXCLUDED].value_counts().items())
        raise Refusal(f"all {len(rows)} images of {what} are left out ({counts}); look at the source in the catalog")
    return rows
