"""Slices are scored, volumes are judged: a figure about subjects needs one score for each volume."""

from __future__ import annotations

import pandas as pd


def by_volume(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each volume, with the mean score of its slices; images that are no slices stay as they are.

    The other columns are those of the slice with the highest score, so that pictures of a volume show its worst slice.

    Args:
        table: score, and `volume` (the volume that an image is a slice of) where there is any.
    """
    if "volume" not in table or table["volume"].isna().all():
        return table
    unit = table["volume"].where(table["volume"].notna(), table["image_id"])
    worst = table.loc[table.groupby(unit, sort=False)["score"].idxmax()]
    return worst.assign(score=table.groupby(unit, sort=False)["score"].mean().to_numpy()).reset_index(drop=True)


def scored_unit(table: pd.DataFrame) -> str:
    """What a row of `by_volume` is: image or volume."""
    return "volume" if "volume" in table and table["volume"].notna().any() else "image"
