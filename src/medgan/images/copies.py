"""Pictures whose pixels come more than once, as groups of rows to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

DIFFERENCES = {"category": "class", "group_id": "patient", "split": "split"}
"""Column in which copies should agree -> what a reader calls it."""


@dataclass(frozen=True)
class CopyGroups:
    """The groups of equal pictures of a data set."""

    shown: tuple[pd.DataFrame, ...]
    """Rows of the manifest, one table for each group that is shown; those whose copies differ in most come first."""
    count: int
    surplus: int
    """Images that repeat another."""


def copy_groups(manifest: pd.DataFrame, most: int) -> CopyGroups:
    """Images of equal pixels, at most so many groups of them."""
    repeated = manifest[manifest["pixel_hash"].duplicated(keep=False)].sort_values("image_id")
    differing = (repeated.groupby("pixel_hash")[list(DIFFERENCES)].nunique() > 1).sum(axis=1).sort_values(ascending=False, kind="stable")
    shown = tuple(repeated[repeated["pixel_hash"] == key] for key in differing.index[:most])
    return CopyGroups(shown, len(differing), len(repeated) - len(differing))


def differences(group: pd.DataFrame) -> list[str]:
    """What the images of a group differ in: class, patient, split."""
    return [name for column, name in DIFFERENCES.items() if group[column].nunique() > 1]


def captions(row: pd.Series[Any]) -> list[str]:
    """Lines that tell an image from its copies: id, class, patient, split that came with the data."""
    patient = f"patient {row['group_id']}" if row["group_known"] else "patient not known"
    split = f"split {row['split']}" if isinstance(row["split"], str) else "no split given"
    return [str(row["image_id"]).rpartition("/")[2], str(row["category"]), patient, split]
