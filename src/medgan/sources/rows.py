"""Rows of image sources: their fields, notations of values, and reasons for exclusion."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from medgan.errors import UserError

FIELDS = {
    "category": "category_raw",
    **{
        name: name
        for name in ("image_id", "group_id", "split", "sex", "age", "site", "view", "date")
    },
}
"""What a source may tell of an image -> its column in `rows()`."""
EXCLUDED = "excluded"
"""Column of `rows()`: why an image is left out; missing for images that are used."""
BLANK = frozenset({"", "na", "n/a", "nan", "none", "null", "unknown"})
"""How records write a missing value, in any case."""
OLDEST = 120.0  # years; a higher age is an error in the record
SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
UNITS = {"": 1.0, "y": 1.0, "m": 1.0 / 12.0, "w": 7.0 / 365.25, "d": 1.0 / 365.25}
"""Unit of an age in DICOM's notation -> years."""
AGE = re.compile(r"(\d+(?:\.\d+)?) *([ymwd]?)", re.IGNORECASE)


def years(text: object) -> float | None:
    """Parse an age such as `58`, `58.0`, `058Y`, `006M`, `02W` or `3D` into years up to OLDEST."""
    match = AGE.fullmatch(str(text).strip())
    age = float(match[1]) * UNITS[match[2].lower()] if match else None
    return age if age is not None and age <= OLDEST else None


def sex(text: object) -> str | None:
    """Parse `F`, `female`, `M` or `male`, in any case, into F or M."""
    return SEXES.get(str(text).strip().lower())


def blank_to_none(column: pd.Series[Any]) -> pd.Series[Any]:
    """Replace every notation of a missing value (BLANK) by None."""
    text = column.astype(object)
    return text.where(text.notna() & ~text.astype(str).str.strip().str.lower().isin(BLANK), None)


def tidy(rows: pd.DataFrame, values: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Replace values (field -> old -> new), then bring ages to years and sexes to F and M."""
    tidied = rows.copy()
    for field, names in values.items():
        column = FIELDS[field]
        tidied[column] = tidied[column].map(lambda value, names=names: names.get(value, value))
    for column, parse in (("age", years), ("sex", sex)):
        if column in tidied:
            parsed = [parse(value) for value in tidied[column]]
            tidied[column] = pd.Series(parsed, index=tidied.index, dtype=object)
    return tidied


def exclusions(rows: pd.DataFrame) -> pd.Series[Any]:
    """Return the column EXCLUDED, all missing where the rows have none."""
    return rows.reindex(columns=[EXCLUDED])[EXCLUDED].astype(object)


def exclude(
    rows: pd.DataFrame, chosen: Sequence[bool] | pd.Series[Any], reasons: str | pd.Series[Any]
) -> pd.DataFrame:
    """Set the reason for exclusion of the chosen rows; an earlier reason stays."""
    before = exclusions(rows)
    mask = pd.Series(chosen, index=rows.index, dtype=bool) & before.isna()
    return rows.assign(**{EXCLUDED: before.mask(mask, reasons)})


def require_some(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return the rows. Raises `UserError`, with counts by reason, where all are excluded."""
    reasons = exclusions(rows)
    if reasons.notna().all():
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.value_counts().items())
        raise UserError(
            f"all {len(rows)} images of {source} are left out ({counts}); check the source"
        )
    return rows
