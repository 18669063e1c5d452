"""What a reader wants to know of a data set before using it, as plain numbers for JSON and for figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from medgan.contracts import NORMAL
from medgan.images.demographics import AGE_BANDS, UNKNOWN, age_bands
from medgan.images.manifest import duplicate_groups, duplicates_across

ATTRIBUTES = ("split", "sex", "age_band", "site", "view", "sequence", "scanner", "window", "colour")
"""Columns with few values, each of which is set against the category."""
QUANTILES = [0.0, 0.25, 0.5, 0.75, 1.0]
"""How the sizes of a category are told: smallest, quartiles, largest."""
OPTIONAL = ("split", "sex", "age", "site", "view", "date", "sequence", "scanner", "window", "colour")
"""Columns that a data set may leave empty."""


def categories_of(manifest: pd.DataFrame) -> list[str]:
    """The categories, `normal` first, the others by name."""
    return sorted(map(str, manifest["category"].unique()), key=lambda name: (name != NORMAL, name))


def described(manifest: pd.DataFrame) -> pd.DataFrame:
    """The manifest with all columns that a profile looks at: those that are missing are empty, `age_band` comes from `age`."""
    full = manifest.reindex(columns=list(dict.fromkeys([*manifest.columns, *OPTIONAL])))
    return full.assign(age_band=age_bands(pd.to_numeric(full["age"], errors="coerce").to_numpy()))


def _named(column: pd.Series[Any]) -> pd.Series[Any]:
    named = column.astype(object).where(column.notna(), UNKNOWN).astype(str)
    return named.where(named.str.lower() != UNKNOWN, UNKNOWN)


def _counts(column: pd.Series[Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in _named(column).value_counts().sort_index().items()}


def _spread(column: pd.Series[Any]) -> dict[str, float] | None:
    known = column.dropna()
    return {name: float(getattr(known, name)()) for name in ("min", "median", "max")} if len(known) else None


def crosstab(described_manifest: pd.DataFrame, attribute: str) -> pd.DataFrame:
    """Images of each category (rows) with each value of an attribute (columns, `unknown` last)."""
    table = pd.crosstab(described_manifest["category"].astype(str), _named(described_manifest[attribute]))
    order = list(AGE_BANDS) if attribute == "age_band" else sorted(table.columns, key=lambda name: (name == UNKNOWN, name))
    return table.reindex(index=categories_of(described_manifest), columns=[name for name in order if name in table.columns])


def association(first: Iterable[Any], second: Iterable[Any]) -> float | None:
    """Cramér's V of two paired lists of names with Bergsma's (2013) correction for chance: 0 unrelated, 1 one tells the other.

    None where either has one value only, or nothing is known.
    """
    counts = pd.crosstab(pd.Series(list(first), dtype=object), pd.Series(list(second), dtype=object)).to_numpy(dtype=np.float64)
    rows, columns, total = *counts.shape, counts.sum()
    if min(rows, columns) < 2 or total < 2:
        return None
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / total
    chance = (rows - 1) * (columns - 1) / (total - 1)
    excess = max(0.0, float(((counts - expected) ** 2 / expected).sum() / total) - chance)
    smaller = min(rows - (rows - 1) ** 2 / (total - 1), columns - (columns - 1) ** 2 / (total - 1)) - 1
    return float(np.sqrt(min(1.0, excess / smaller))) if smaller > 0 else None


def associations(described_manifest: pd.DataFrame) -> dict[str, float | None]:
    """How much each attribute tells of the category, on the first image of each patient, where both are known."""
    patients = described_manifest.drop_duplicates("group_id")
    found = {}
    for attribute in ATTRIBUTES:
        known = patients[~_named(patients[attribute]).isin([UNKNOWN])]
        found[attribute] = association(known["category"], known[attribute])
    return found


def missing_shares(manifest: pd.DataFrame) -> dict[str, float]:
    """Share of the images of which each optional column, or the patient, is not known: empty, or the word `unknown`."""
    full = described(manifest)
    shares = {"patient": float((~full["group_known"].astype(bool)).mean())}
    return shares | {column: float((_named(full[column]) == UNKNOWN).mean()) for column in OPTIONAL}


def flow(manifest: pd.DataFrame, quarantine: pd.DataFrame | None = None, excluded: pd.DataFrame | None = None) -> dict[str, Any]:
    """Images from the source to the manifest: listed, left out by reason, quarantined by code, kept.

    `excluded` has a row for each image that its label or its place leaves out: path, reason.
    """
    left_out = {} if excluded is None else _counts(excluded["reason"])
    quarantined = {} if quarantine is None else _counts(quarantine["code"])
    listed = len(manifest) + sum(left_out.values()) + sum(quarantined.values())
    return {"listed": listed, "left_out": left_out, "quarantined": quarantined, "kept": len(manifest)}


def _by_category(full: pd.DataFrame) -> dict[str, Any]:
    return {name: _of_category(full[full["category"] == name]) for name in categories_of(full)}


def _of_category(rows: pd.DataFrame) -> dict[str, Any]:
    known = rows[rows["group_known"].astype(bool)]
    sides = rows[["width", "height"]].astype(float)
    return {
        "images": len(rows),
        "patients": int(known["group_id"].nunique()) if len(known) else None,
        "shorter_side": sides.min(axis=1).quantile(QUANTILES).tolist(),
        "width_by_height": (sides["width"] / sides["height"]).quantile(QUANTILES).tolist(),
    }


def profile(manifest: pd.DataFrame, quarantine: pd.DataFrame | None = None, excluded: pd.DataFrame | None = None) -> dict[str, Any]:
    """What a reader wants to know of a data set before using it, as JSON. `excluded` as for `flow`."""
    full = described(manifest)
    duplicates = duplicate_groups(full)
    known = full[full["group_known"].astype(bool)]
    tables = {attribute: crosstab(full, attribute) for attribute in ATTRIBUTES if (_named(full[attribute]) != UNKNOWN).any()}
    return {
        "flow": flow(manifest, quarantine, excluded),
        "images": len(full),
        "patients": int(known["group_id"].nunique()) if len(known) else None,
        "images_without_patient": len(full) - len(known),
        "most_images_of_a_patient": int(known["group_id"].value_counts().max()) if len(known) else None,
        **{column: _counts(full[column]) for column in ("category", "split", "sex", "age_band", "site", "view")},
        "by_category": _by_category(full),
        "category_by": {attribute: table.to_dict("index") for attribute, table in tables.items()},
        "association_with_category": associations(full),
        **{column: _spread(pd.to_numeric(full[column], errors="coerce")) for column in ("age", "width", "height")},
        "missing": missing_shares(manifest),
        "duplicates": {
            "groups": len(duplicates),
            "surplus_copies": sum(len(ids) - 1 for ids in duplicates),
            "image_ids": duplicates,
            "crossing_patients": duplicates_across(known, "group_id"),
            "crossing_official_splits": duplicates_across(full, "split"),
            "crossing_categories": duplicates_across(full, "category"),
        },
        "quarantined": {} if quarantine is None else _counts(quarantine["code"]),
    }
