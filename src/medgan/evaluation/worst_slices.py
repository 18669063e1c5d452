"""Where in a volume a detector was surprised: the highest slices of the volumes that a reader should look at first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from medgan.evaluation.examples import with_kinds
from medgan.evaluation.volumes import NO_VOLUMES, by_volume, scored_unit, with_positions

MOST_ANOMALOUS = 10
"""Volumes with the highest scores that are listed."""
WORST = 3
"""Slices of each that are named."""
Errors = Callable[[pd.DataFrame, float], pd.DataFrame]
"""Test volumes and threshold -> the misses and false alarms to be listed."""


def describe_worst_slices(test: pd.DataFrame, aggregate: str, threshold: float, errors: Errors) -> dict[str, Any]:
    """The most anomalous test volumes, and misses and false alarms, each with its highest slices.

    Args:
        test: the test slices with image_id, score, label, category, volume, and slice where it is known.
        aggregate: how volumes are scored, as the row of the detector says.
        threshold: the frozen one of the row.
        errors: chooses the misses and false alarms.

    Returns:
        `aggregate`, `threshold`, `n_volumes` of the test split, `n_anomalous` of them, and `volumes`, the most anomalous first, then errors
        that are not among them: {`volume`, `chosen_as`: most anomalous | miss | false alarm, `kind`, `label`, `category`, `score`,
        `n_slices`, `worst`: [{`slice`, `position`, `of`, `score`, `image_id`}]}. Without volumes a `reason` and no volume.
    """
    if scored_unit(test) == "image":
        return {"reason": NO_VOLUMES, "volumes": []}
    slices = with_positions(test[test["volume"].notna()])
    judged = with_kinds(by_volume(slices, aggregate), threshold)
    highest = judged.nlargest(MOST_ANOMALOUS, "score")
    drawn = errors(judged, threshold)
    others = drawn[~drawn["volume"].isin(highest["volume"])]
    chosen = pd.concat([highest.assign(chosen_as="most anomalous"), others.assign(chosen_as=others["kind"])])
    parts = dict(list(slices[slices["volume"].isin(chosen["volume"])].groupby("volume")))
    return {
        "aggregate": aggregate,
        "threshold": threshold,
        "n_volumes": len(judged),
        "n_anomalous": int(judged["label"].sum()),
        "volumes": [_volume(row, parts[row["volume"]]) for row in chosen.to_dict("records")],
    }


def _volume(row: dict[Any, Any], slices: pd.DataFrame) -> dict[str, Any]:
    return {
        **{key: str(row[key]) for key in ("volume", "chosen_as", "kind", "category")},
        "label": int(row["label"]),
        "score": float(row["score"]),
        "n_slices": int(row["n_slices"]),
        "worst": [_slice(one) for one in slices.nlargest(WORST, "score").to_dict("records")],
    }


def _slice(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        "slice": _named(row),
        "position": int(row["position"]),
        "of": int(row["n_slices"]),
        "score": float(row["score"]),
        "image_id": str(row["image_id"]),
    }


def _named(row: dict[Any, Any]) -> str | None:
    """The number of the slice in its file, counted from 0, or its place in millimetres as a DICOM header gives it; None where unknown."""
    place = row.get("slice")
    if not isinstance(place, str) or not place:
        return None
    return place if str(row["image_id"]).endswith(f"/{place}") else f"{place} mm"
