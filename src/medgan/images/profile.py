"""Profile of a data set: counts, sizes, missing values, associations, duplicates, intensities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import NORMAL
from medgan.files.parallel import in_order
from medgan.images.duplicates import (
    DuplicateCounts,
    duplicate_counts,
    duplicate_groups,
    duplicates_across,
)
from medgan.images.metadata import AGE_BANDS, UNKNOWN, age_bands, read_again
from medgan.images.resizing import as_image, thumbnail
from medgan.sources.raw import Floats, Pixels
from medgan.sources.registry import ImageSource

Table = pd.DataFrame | None
ATTRIBUTES = ("split", "sex", "age_band", "site", "view", "sequence", "scanner", "window", "color")
"""Columns with few values, which are tabulated by category."""
OPTIONAL = ("split", "sex", "age", "site", "view", "date", "sequence", "scanner", "window", "color")
"""Columns that a data set may leave empty."""
COUNTED = ("category", "split", "sex", "age_band", "site", "view")
MEASURED = ("age", "width", "height")
QUANTILES = [0.0, 0.25, 0.5, 0.75, 1.0]  # of the sizes of a category
BINS = 32  # bins of an intensity histogram, of 8 gray levels each
SAMPLE = 7  # random stream of the sample


@dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of some values."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, values: NDArray[Any] | pd.Series[Any]) -> Spread:
        """Compute from at least one value."""
        return cls(float(values.min()), float(np.median(values)), float(values.max()))


Counts = Mapping[str, int]
"""Value of a column -> images."""


@dataclass(frozen=True)
class Flow:
    """The images from source to manifest."""

    listed: int
    left_out: Counts
    """Reason -> images that are not wanted."""
    quarantined: Counts
    """Code -> images that cannot be used."""
    kept: int


@dataclass(frozen=True)
class CategoryProfile:
    """The images of one category."""

    images: int
    patients: int | None
    shorter_side: Sequence[float]
    """In pixels, at QUANTILES."""
    width_by_height: Sequence[float]
    """At QUANTILES."""


@dataclass(frozen=True)
class Duplicates(DuplicateCounts):
    """Groups of images with equal pixels, each a list of image ids."""

    image_ids: list[list[str]]
    crossing_official_splits: list[list[str]]
    crossing_categories: list[list[str]]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The images of a source: the document `data_profile`."""

    flow: Flow
    images: int
    patients: int | None
    images_without_patient: int
    most_images_of_a_patient: int | None
    category: Counts
    split: Counts
    sex: Counts
    age_band: Counts
    site: Counts
    view: Counts
    by_category: Mapping[str, CategoryProfile]
    category_by: Mapping[str, Mapping[str, Counts]]
    """Attribute -> category -> value -> images; of attributes that are known."""
    association_with_category: Mapping[str, float | None]
    """Attribute -> Cramér's V."""
    age: Spread | None
    width: Spread | None
    height: Spread | None
    missing: Mapping[str, float]
    """Column -> share of the images without a value."""
    duplicates: Duplicates
    quarantined: Counts


@dataclass(frozen=True)
class Preview:
    """What is kept of an image."""

    picture: Pixels  # (h, w, C), the longer side as asked
    shares: Floats  # (32,): `intensity_shares` of the whole image


def categories_of(manifest: pd.DataFrame) -> list[str]:
    """Return the categories, `normal` first, the others by name."""
    return sorted(map(str, manifest["category"].unique()), key=lambda name: (name != NORMAL, name))


def completed(manifest: pd.DataFrame) -> pd.DataFrame:
    """Add the columns of a profile that are missing, empty; compute `age_band` from `age`."""
    full = manifest.reindex(columns=list(dict.fromkeys([*manifest.columns, *OPTIONAL])))
    return full.assign(age_band=age_bands(pd.to_numeric(full["age"], errors="coerce").to_numpy()))


def _named(column: pd.Series[Any]) -> pd.Series[Any]:
    named = column.astype(object).where(column.notna(), UNKNOWN).astype(str)
    return named.where(named.str.lower() != UNKNOWN, UNKNOWN)


def _counts(column: pd.Series[Any]) -> dict[str, int]:
    counts = _named(column).value_counts().sort_index()
    return {str(name): int(count) for name, count in counts.items()}


def _spread(column: pd.Series[Any]) -> Spread | None:
    numbers = pd.to_numeric(column, errors="coerce").dropna()
    return Spread.of(numbers) if len(numbers) else None


def crosstab(full: pd.DataFrame, attribute: str) -> pd.DataFrame:
    """Count the images of each category (rows) by an attribute (columns, `unknown` last)."""
    table = pd.crosstab(full["category"].astype(str), _named(full[attribute]))
    order = sorted(table.columns, key=lambda name: (name == UNKNOWN, name))
    if attribute == "age_band":
        order = [name for name in AGE_BANDS if name in table.columns]
    return table.reindex(index=categories_of(full), columns=order)


def _by_category(full: pd.DataFrame, attribute: str) -> dict[str, Counts]:
    table = crosstab(full, attribute).T
    return {str(name): dict(zip(table.index, table[name].tolist(), strict=True)) for name in table}


def association(first: Iterable[Any], second: Iterable[Any]) -> float | None:
    """Compute Cramér's V of paired names, 0 to 1, corrected for chance (Bergsma 2013), or None."""
    counts = pd.crosstab(
        pd.Series(list(first), dtype=object), pd.Series(list(second), dtype=object)
    ).to_numpy(dtype=np.float64)
    rows, columns, total = *counts.shape, counts.sum()
    if min(rows, columns) < 2 or total < 2:
        return None
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / total
    chance = (rows - 1) * (columns - 1) / (total - 1)
    excess = max(0.0, float(((counts - expected) ** 2 / expected).sum() / total) - chance)
    smaller = min(side - (side - 1) ** 2 / (total - 1) for side in (rows, columns)) - 1
    return float(np.sqrt(min(1.0, excess / smaller))) if smaller > 0 else None


def associations(full: pd.DataFrame) -> dict[str, float | None]:
    """Compute the association of each attribute with the category, on one image per patient."""
    patients = full.drop_duplicates("group_id")
    found = {}
    for attribute in ATTRIBUTES:
        known = patients[_named(patients[attribute]) != UNKNOWN]
        found[attribute] = association(known["category"], known[attribute])
    return found


def flow(manifest: pd.DataFrame, quarantine: Table = None, excluded: Table = None) -> Flow:
    """Count the images from source to manifest; `excluded` (path, reason) are not wanted."""
    left_out = {} if excluded is None else _counts(excluded["reason"])
    quarantined = {} if quarantine is None else _counts(quarantine["code"])
    listed = len(manifest) + sum(left_out.values()) + sum(quarantined.values())
    return Flow(listed, left_out, quarantined, kept=len(manifest))


def _of_category(rows: pd.DataFrame) -> CategoryProfile:
    patients = rows.loc[rows["group_known"].astype(bool), "group_id"].nunique()
    sides = rows[["width", "height"]].astype(float)
    return CategoryProfile(
        images=len(rows),
        patients=int(patients) or None,
        shorter_side=sides.min(axis=1).quantile(QUANTILES).tolist(),
        width_by_height=(sides["width"] / sides["height"]).quantile(QUANTILES).tolist(),
    )


def profile(manifest: pd.DataFrame, quarantine: Table = None, excluded: Table = None) -> Profile:
    """Profile the images; the arguments are those of `flow`."""
    full = completed(manifest)
    known = full.loc[full["group_known"].astype(bool), "group_id"]
    named = {column: _named(full[column]) for column in dict.fromkeys((*OPTIONAL, *ATTRIBUTES))}
    steps, counted = flow(manifest, quarantine, excluded), duplicate_counts(full)
    missing = {column: float((named[column] == UNKNOWN).mean()) for column in OPTIONAL}
    columns: dict[str, Any] = {column: _counts(full[column]) for column in COUNTED}
    columns |= {column: _spread(full[column]) for column in MEASURED}
    return Profile(
        flow=steps,
        images=len(full),
        patients=int(known.nunique()) or None,
        images_without_patient=len(full) - len(known),
        most_images_of_a_patient=int(known.value_counts().max()) if len(known) else None,
        by_category={
            name: _of_category(full[full["category"] == name]) for name in categories_of(full)
        },
        category_by={
            attribute: _by_category(full, attribute)
            for attribute in ATTRIBUTES
            if (named[attribute] != UNKNOWN).any()
        },
        association_with_category=associations(full),
        **columns,
        missing={"patient": float((~full["group_known"].astype(bool)).mean()), **missing},
        duplicates=Duplicates(
            **vars(counted),
            image_ids=duplicate_groups(full),
            crossing_official_splits=duplicates_across(full, "split"),
            crossing_categories=duplicates_across(full, "category"),
        ),
        quarantined=steps.quarantined,
    )


def sample(manifest: pd.DataFrame, per_category: int, seed: int) -> pd.DataFrame:
    """Draw up to this many images of each category, those of different patients first."""
    shuffled = manifest.iloc[np.random.default_rng([seed, SAMPLE]).permutation(len(manifest))]
    repeated = shuffled.groupby(["category", "group_id"]).cumcount().to_numpy()
    drawn = shuffled.iloc[np.argsort(repeated, kind="stable")]
    return pd.concat(
        [drawn[drawn["category"] == name].head(per_category) for name in categories_of(manifest)]
    )


def previews(source: ImageSource, paths: Sequence[str], size: int) -> list[Preview]:
    """Read images of the manifest, in order, with few of them in memory at once."""

    def preview(path: str) -> Preview:
        pixels = read_again(source, path)
        return Preview(thumbnail(pixels, size, pixels.shape[2]), intensity_shares(pixels))

    return list(in_order(preview, paths))


def intensity_shares(image: Pixels) -> Floats:
    """Compute the share of the pixels (H, W, C) in each bin of luminance: (32,)."""
    gray = np.asarray(as_image(image, 1))
    shares: Floats = np.bincount((gray >> 3).ravel(), minlength=BINS) / gray.size
    return shares


def intensity_bands(categories: Iterable[str], images: Iterable[Preview]) -> Mapping[str, Floats]:
    """Compute 5th percentile, mean and 95th percentile of the histograms: category -> (3, 32)."""
    rows: dict[str, list[Floats]] = {}
    for category, image in zip(categories, images, strict=True):
        rows.setdefault(category, []).append(image.shares)
    bands = {}
    for name, found in rows.items():
        low, high = np.percentile(found, (5, 95), axis=0)
        bands[name] = np.stack([low, np.mean(found, axis=0), high])
    return bands
