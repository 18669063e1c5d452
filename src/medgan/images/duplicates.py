"""Exact duplicates: images with equal pixels, and groups of images that are linked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from medgan.sources.raw import Ints

DIFFERENCES = {"category": "class", "group_id": "patient", "split": "split"}
"""Column in which duplicates should agree -> its name for a reader."""


@dataclass(frozen=True)
class DuplicateGroups:
    """The groups of images with equal pixels."""

    shown: tuple[pd.DataFrame, ...]
    """Rows of the manifest, one table per group, those with most DIFFERENCES first."""
    count: int
    surplus: int  # images that repeat another


@dataclass(frozen=True)
class DuplicateCounts:
    """How many images have equal pixels."""

    groups: int
    surplus_copies: int
    crossing_patients: list[list[str]]
    """Image ids of each group of several patients."""


def repeated_images(manifest: pd.DataFrame) -> pd.DataFrame:
    """Return the images whose pixels occur more than once."""
    return manifest[manifest["pixel_hash"].duplicated(keep=False)]


def duplicate_groups(manifest: pd.DataFrame) -> list[list[str]]:
    """List the image ids of each group of equal pixels."""
    return _ids(repeated_images(manifest))


def duplicates_across(manifest: pd.DataFrame, column: str) -> list[list[str]]:
    """List the groups whose images differ in a column (group_id, split, category)."""
    values = manifest.groupby("pixel_hash")[column].nunique()
    return _ids(manifest[manifest["pixel_hash"].isin(values[values > 1].index)])


def _ids(manifest: pd.DataFrame) -> list[list[str]]:
    return sorted(sorted(map(str, ids)) for _, ids in manifest.groupby("pixel_hash")["image_id"])


def duplicate_counts(manifest: pd.DataFrame) -> DuplicateCounts:
    """Count groups, surplus copies and groups of several patients."""
    groups = duplicate_groups(manifest)
    known = manifest[manifest["group_known"].astype(bool)]
    surplus = sum(len(ids) - 1 for ids in groups)
    return DuplicateCounts(len(groups), surplus, duplicates_across(known, "group_id"))


def select_groups(manifest: pd.DataFrame, limit: int) -> DuplicateGroups:
    """Select at most `limit` groups of equal pixels to show."""
    repeated = repeated_images(manifest).sort_values("image_id")
    differing = (repeated.groupby("pixel_hash")[list(DIFFERENCES)].nunique() > 1).sum(axis=1)
    keys = differing.sort_values(ascending=False, kind="stable").index
    shown = tuple(repeated[repeated["pixel_hash"] == key] for key in keys[:limit])
    return DuplicateGroups(shown, len(keys), len(repeated) - len(keys))


def differences(group: pd.DataFrame) -> list[str]:
    """Name what the images of a group differ in: class, patient, split."""
    return [name for column, name in DIFFERENCES.items() if group[column].nunique() > 1]


def captions(row: pd.Series[Any]) -> list[str]:
    """Describe an image among its duplicates: id, class, patient, official split."""
    patient = f"patient {row['group_id']}" if row["group_known"] else "patient not known"
    split = f"split {row['split']}" if isinstance(row["split"], str) else "no split given"
    return [str(row["image_id"]).rpartition("/")[2], str(row["category"]), patient, split]


def linked_groups(first: ArrayLike, second: ArrayLike, count: int) -> Ints:
    """Number the connected components (count,) of the links first[k] - second[k]."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = np.ones(np.shape(first), dtype=bool)
    graph = coo_array((links, (first, second)), shape=(count, count))
    components = connected_components(graph, directed=False)[1]
    return np.asarray(pd.factorize(components)[0], dtype=np.int64)
