"""What a reader wants to know of a data set before using it, as plain numbers for JSON and for
figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from medgan.contracts import NORMAL
from medgan.errors import UserError
from medgan.files.parallel import in_order
from medgan.images.manifest import duplicate_groups, duplicates_across
from medgan.images.metadata import AGE_BANDS, UNKNOWN, age_bands
from medgan.images.resizing import thumbnail
from medgan.sources.raw import ImageRefused
from medgan.sources.registry import ImageSource

ATTRIBUTES = ("split", "sex", "age_band", "site", "view", "sequence", "scanner", "window", "color")
"""Columns with few values, each of which is set against the category."""
QUANTILES = [0.0, 0.25, 0.5, 0.75, 1.0]
"""How the sizes of a category are told: smallest, quartiles, largest."""
OPTIONAL = ("split", "sex", "age", "site", "view", "date", "sequence", "scanner", "window", "color")
"""Columns that a data set may leave empty."""


def categories_of(manifest: pd.DataFrame) -> list[str]:
    """The categories, `normal` first, the others by name."""
    return sorted(map(str, manifest["category"].unique()), key=lambda name: (name != NORMAL, name))


def described(manifest: pd.DataFrame) -> pd.DataFrame:
    """The manifest with all columns that a profile looks at: those that are missing are empty,
    `age_band` comes from `age`.
    """
    full = manifest.reindex(columns=list(dict.fromkeys([*manifest.columns, *OPTIONAL])))
    return full.assign(age_band=age_bands(pd.to_numeric(full["age"], errors="coerce").to_numpy()))


def _named(column: pd.Series[Any]) -> pd.Series[Any]:
    named = column.astype(object).where(column.notna(), UNKNOWN).astype(str)
    return named.where(named.str.lower() != UNKNOWN, UNKNOWN)


def _counts(column: pd.Series[Any]) -> dict[str, int]:
    return {
        str(name): int(count) for name, count in _named(column).value_counts().sort_index().items()
    }


def _spread(column: pd.Series[Any]) -> dict[str, float] | None:
    known = column.dropna()
    return (
        {name: float(getattr(known, name)()) for name in ("min", "median", "max")}
        if len(known)
        else None
    )


def crosstab(described_manifest: pd.DataFrame, attribute: str) -> pd.DataFrame:
    """Images of each category (rows) with each value of an attribute (columns, `unknown` last)."""
    table = pd.crosstab(
        described_manifest["category"].astype(str), _named(described_manifest[attribute])
    )
    order = (
        list(AGE_BANDS)
        if attribute == "age_band"
        else sorted(table.columns, key=lambda name: (name == UNKNOWN, name))
    )
    return table.reindex(
        index=categories_of(described_manifest),
        columns=[name for name in order if name in table.columns],
    )


def association(first: Iterable[Any], second: Iterable[Any]) -> float | None:
    """Cramér's V of two paired lists of names with Bergsma's (2013) correction for chance: 0
    unrelated, 1 one tells the other.

    None where either has one value only, or nothing is known.
    """
    counts = pd.crosstab(
        pd.Series(list(first), dtype=object), pd.Series(list(second), dtype=object)
    ).to_numpy(dtype=np.float64)
    rows, columns, total = *counts.shape, counts.sum()
    if min(rows, columns) < 2 or total < 2:
        return None
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / total
    chance = (rows - 1) * (columns - 1) / (total - 1)
    excess = max(0.0, float(((counts - expected) ** 2 / expected).sum() / total) - chance)
    smaller = (
        min(rows - (rows - 1) ** 2 / (total - 1), columns - (columns - 1) ** 2 / (total - 1)) - 1
    )
    return float(np.sqrt(min(1.0, excess / smaller))) if smaller > 0 else None


def associations(described_manifest: pd.DataFrame) -> dict[str, float | None]:
    """How much each attribute tells of the category, on the first image of each patient, where both
    are known.
    """
    patients = described_manifest.drop_duplicates("group_id")
    found = {}
    for attribute in ATTRIBUTES:
        known = patients[~_named(patients[attribute]).isin([UNKNOWN])]
        found[attribute] = association(known["category"], known[attribute])
    return found


def missing_shares(manifest: pd.DataFrame) -> dict[str, float]:
    """Share of the images of which each optional column, or the patient, is not known: empty, or
    the word `unknown`.
    """
    full = described(manifest)
    shares = {"patient": float((~full["group_known"].astype(bool)).mean())}
    return shares | {column: float((_named(full[column]) == UNKNOWN).mean()) for column in OPTIONAL}


def flow(
    manifest: pd.DataFrame,
    quarantine: pd.DataFrame | None = None,
    excluded: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Images from the source to the manifest: listed, left out by reason, quarantined by code,
    kept.

    `excluded` has a row for each image that its label or its place leaves out: path, reason.
    """
    left_out = {} if excluded is None else _counts(excluded["reason"])
    quarantined = {} if quarantine is None else _counts(quarantine["code"])
    listed = len(manifest) + sum(left_out.values()) + sum(quarantined.values())
    return {
        "listed": listed,
        "left_out": left_out,
        "quarantined": quarantined,
        "kept": len(manifest),
    }


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


def profile(
    manifest: pd.DataFrame,
    quarantine: pd.DataFrame | None = None,
    excluded: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """What a reader wants to know of a data set before using it, as JSON. `excluded` as for
    `flow`.
    """
    full = described(manifest)
    duplicates = duplicate_groups(full)
    known = full[full["group_known"].astype(bool)]
    tables = {
        attribute: crosstab(full, attribute)
        for attribute in ATTRIBUTES
        if (_named(full[attribute]) != UNKNOWN).any()
    }
    return {
        "flow": flow(manifest, quarantine, excluded),
        "images": len(full),
        "patients": int(known["group_id"].nunique()) if len(known) else None,
        "images_without_patient": len(full) - len(known),
        "most_images_of_a_patient": int(known["group_id"].value_counts().max())
        if len(known)
        else None,
        **{
            column: _counts(full[column])
            for column in ("category", "split", "sex", "age_band", "site", "view")
        },
        "by_category": _by_category(full),
        "category_by": {attribute: table.to_dict("index") for attribute, table in tables.items()},
        "association_with_category": associations(full),
        **{
            column: _spread(pd.to_numeric(full[column], errors="coerce"))
            for column in ("age", "width", "height")
        },
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


BINS = 32
"""Bins of an intensity histogram, 8 grey levels each."""
SAMPLE = 7
"""Stream of randomness of the sample."""


def sample(manifest: pd.DataFrame, per_category: int, seed: int) -> pd.DataFrame:
    """Up to this many images of each category, drawn at random, those of different patients first:
    by category, then as drawn.
    """
    shuffled = manifest.iloc[np.random.default_rng([seed, SAMPLE]).permutation(len(manifest))]
    repeated = shuffled.groupby(["category", "group_id"]).cumcount().to_numpy()
    drawn = shuffled.iloc[np.argsort(repeated, kind="stable")]
    return pd.concat(
        [drawn[drawn["category"] == name].head(per_category) for name in categories_of(manifest)]
    )


@dataclass(frozen=True)
class Look:
    """What is kept of an image that was looked at."""

    picture: NDArray[np.uint8]
    """(h, w, C), the longer side as asked."""
    shares: NDArray[np.float64]
    """(32,): `intensity_shares` of the whole image."""


def read_again(source: ImageSource, path: str) -> NDArray[np.uint8]:
    """The pixels (H, W, C) of an image of the manifest. Raises `UserError` where it cannot be read
    any more.
    """
    try:
        return source.read(path).pixels
    except ImageRefused as error:
        raise UserError(
            f"{path} was readable at ingestion and is not any more ({error}); run `kedro run --pipeline ingestion` again"
        ) from error


def look_at(source: ImageSource, paths: Sequence[str], size: int) -> list[Look]:
    """Reads images of the manifest, in order; only a few of them are in memory at a time."""

    def look(path: str) -> Look:
        pixels = read_again(source, path)
        return Look(thumbnail(pixels, size, pixels.shape[2]), intensity_shares(pixels))

    return list(in_order(look, paths))


def intensity_shares(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(H, W, C) to (32,): share of the pixels in each bin of luminance."""
    grey = (
        image[:, :, 0] if image.shape[2] == 1 else np.asarray(Image.fromarray(image).convert("L"))
    )
    shares: NDArray[np.float64] = np.bincount((grey >> 3).ravel(), minlength=BINS) / grey.size
    return shares


def intensity_bands(
    categories: Iterable[str], looks: Iterable[Look]
) -> Mapping[str, NDArray[np.float64]]:
    """Category to (3, 32): 5th percentile, mean and 95th percentile of the histograms of its
    images.
    """
    rows: dict[str, list[NDArray[np.float64]]] = {}
    for category, look in zip(categories, looks, strict=True):
        rows.setdefault(category, []).append(look.shares)
    return {name: _band(np.stack(found)) for name, found in rows.items()}


def _band(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.percentile(shares, (5, 95), axis=0)
    return np.stack([low, shares.mean(axis=0), high])
