"""Rows of image sources: their fields, notations of values, and reasons for exclusion."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medgan.errors import UserError
from medgan.sources.forms import form, spellings

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
BLANK = frozenset(
    (
        *("", "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "nat", "none", "null", "unknown"),
        *("missing", "not available", "unlabeled", "unlabelled", "?", "-", "--", "."),
    )
)
"""How records write a missing value, in any case."""
OLDEST = 120.0  # years; a higher age is an error in the record
SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
UNITS = {"": 1.0, "y": 1.0, "m": 1.0 / 12.0, "w": 7.0 / 365.25, "d": 1.0 / 365.25}
"""Unit of an age in DICOM's notation -> years."""
AGE = re.compile(r"(\d+(?:[.,]\d+)?) *([ymwd]?)", re.IGNORECASE)
ONE_SPELLING = ("group_id", "site", "view")
"""Fields whose values are one value where they differ only in form."""
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Remark:
    """Something about the rows of a source that does not end the run and has to be known."""

    what: str  # a key for the summary, such as `group_id known` or `repeated rows`
    count: int
    text: str  # one sentence with the count and an example


def remarks_of(source: object) -> tuple[Remark, ...]:
    """Return the remarks of a source that is open; sources without declared fields have none."""
    return getattr(source, "remarks", ())


def years(text: object) -> float | None:
    """Parse an age such as `58`, `58.0`, `058Y`, `006M`, `02W` or `3D` into years up to OLDEST."""
    match = AGE.fullmatch(str(text).strip())
    age = float(match[1].replace(",", ".")) * UNITS[match[2].lower()] if match else None
    return age if age is not None and age <= OLDEST else None


def sex(text: object) -> str | None:
    """Parse `F`, `female`, `M` or `male`, in any case, into F or M."""
    return SEXES.get(str(text).strip().lower())


def is_blank(text: str) -> bool:
    """Return whether a text is a notation of a missing value."""
    return text.strip().lower() in BLANK


def blank_to_none(column: pd.Series[Any], blank: Collection[str] = BLANK) -> pd.Series[Any]:
    """Replace every notation of a missing value by None."""
    text = column.astype(object)
    return text.where(text.notna() & ~text.astype(str).str.strip().str.lower().isin(blank), None)


def tidy(rows: pd.DataFrame, values: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Replace values (field -> old -> new), then bring ages to years, sexes to F and M, and the
    names of the parts of the split to lower case.
    """
    tidied = rows.copy()
    parsers = {"age": years, "sex": sex, "split": part}
    for field, column in FIELDS.items():
        if column not in tidied:
            continue
        new = {form(old): name for old, name in values.get(field, {}).items()}
        parse = parsers.get(field, lambda value: value)
        parsed = [
            parse(value if value is None else new.get(form(value), value))
            for value in blank_to_none(tidied[column], ())
        ]
        tidied[column] = pd.Series(parsed, index=tidied.index, dtype=object)
    return tidied


def part(text: str | None) -> str | None:
    """Return train, val or test in lower case; other names are left as they are."""
    return text if text is None or form(text) not in PARTS else form(text)


def one_spelling(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[Remark]]:
    """Give values that differ only in form, such as the patients 12 and 12.0, one spelling."""
    remarks = []
    for column in rows.columns.intersection(list(ONE_SPELLING)):
        groups = spellings(rows[column].dropna())
        if groups:
            chosen = {other: group[0] for group in groups for other in group[1:]}
            values = [chosen.get(value, value) for value in rows[column]]
            rows = rows.assign(**{column: pd.Series(values, index=rows.index, dtype=object)})
            shown = " and ".join(f"`{_shape(value)}`" for value in groups[0][:3])
            text = f"{len(groups)} values of {column} are written in several ways, such as {shown}"
            remarks.append(Remark(f"{column} spellings", len(groups), f"{text}: each is one value"))
    return rows, remarks


def _shape(text: str) -> str:
    """Return how a value is written, without the value, which may identify a person."""
    return re.sub(r"[^\W\d_]", "a", re.sub(r"[1-9]", "9", text))


def known_fields(rows: pd.DataFrame, declared: Mapping[str, str]) -> list[Remark]:
    """Count the used images of which each declared field (field -> where from) is known.

    Raises:
        UserError: a field is known of no image.
    """
    used = rows[exclusions(rows).isna()]
    remarks = []
    for name, origin in declared.items():
        known = used[FIELDS[name]].notna()
        example = used.loc[~known, "path"].iloc[:1].tolist()
        if not known.any():
            raise UserError(
                f"the source's field `{name}` has a value for none of {len(used)} images (for "
                f"example {example[0]}): correct {origin} in the catalog, or drop the field"
            )
        text = f"{name} is known of {known.sum()} of {len(used)} images"
        # Labels are known or declared as blank, and the summary counts patients itself.
        if example and name not in ("category", "group_id"):
            remarks.append(Remark(f"{name} known", int(known.sum()), text))
    return remarks


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
