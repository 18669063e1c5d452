"""scores.csv: a row for each image or slice, and one for each volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medgan.evaluation.volumes import by_volume
from medgan.scoring.listing import Seen
from medgan.scoring.reference import Frozen

COLUMNS = ("unit", "path", "volume", "slice", "score", "threshold", "decision", "percentile", "heat_map", "code", "message")
KEPT = "kept"
"""Column for the number of an image in the spool of pictures; -1 where it is not there."""
NOT_KEPT = -1


def image_rows(seen: Sequence[Seen], scores: Sequence[float], kept: Sequence[int]) -> pd.DataFrame:
    """A row for each entry: unit, path, volume, slice, score (NaN where it was refused), code, message, kept.

    `volume` names the file of a volume, or the first file of a DICOM series. A series of one file is an image.
    """
    groups = pd.Series([one.group for one in seen], dtype=object)
    files = pd.Series([one.entry.file for one in seen], dtype=object)
    numbers = pd.Series([one.entry.number for one in seen], dtype=object)
    sliced = (numbers != "") | ((groups != "") & groups.duplicated(keep=False))
    return pd.DataFrame(
        {
            "unit": np.where(sliced, "slice", "image"),
            "path": files,
            "volume": files.groupby(groups).transform("first").where(sliced, "") if len(files) else files,
            "slice": numbers,
            "score": np.asarray(scores, dtype=np.float64),
            "code": [one.code for one in seen],
            "message": [one.message for one in seen],
            KEPT: np.asarray(kept, dtype=np.int64),
        }
    )


def with_volumes(images: pd.DataFrame, aggregate: str) -> pd.DataFrame:
    """The rows of `image_rows` with one for each volume before its slices: `aggregate` of their scores, the picture of the highest one."""
    slices = images[images["unit"] == "slice"]
    if slices.empty:
        return images.reset_index(drop=True)
    scored = slices[slices["score"].notna()]
    worst = by_volume(scored.assign(image_id=scored["path"]), aggregate) if len(scored) else scored
    found = {str(row["volume"]): row for row in worst.to_dict("records")}
    rows = [_volume_row(str(name), part, found.get(str(name)), aggregate) for name, part in slices.groupby("volume", sort=False)]
    places = images["volume"].where(images["volume"] != "", images["path"])
    first = pd.Series(np.arange(len(images)), index=images.index).groupby(places).transform("min")
    volumes = pd.DataFrame(rows)
    volumes["place"] = [first[slices.index[slices["volume"] == name][0]] for name in volumes["volume"]]
    together = pd.concat([volumes, images.assign(place=first)], ignore_index=True)
    return together.sort_values("place", kind="stable", ignore_index=True).drop(columns="place")


def _volume_row(name: str, slices: pd.DataFrame, worst: Mapping[Any, Any] | None, aggregate: str) -> dict[str, Any]:
    refused = int(slices["score"].isna().sum())
    row = {"unit": "volume", "path": name, "volume": name, "slice": "", "code": "", KEPT: NOT_KEPT, "score": np.nan}
    if worst is None:
        return {**row, "code": slices["code"].iloc[0], "message": f"none of its {len(slices)} slices could be scored"}
    message = f"{aggregate} of {len(slices) - refused} slices" + (f", {refused} refused" if refused else "")
    return {**row, "score": float(worst["score"]), KEPT: int(worst[KEPT]), "message": message}


def judged(table: pd.DataFrame, frozen: Frozen | None) -> pd.DataFrame:
    """With threshold, decision and percentile, where there is a score that the threshold may be applied to; empty elsewhere."""
    found = table.assign(threshold=np.nan, decision="", percentile=np.nan)
    if frozen is None:
        return found
    places = found["score"].notna() & found["unit"].map(frozen.judges).astype(bool)
    scores = found.loc[places, "score"]
    found.loc[places, "threshold"] = frozen.value
    found.loc[places, "decision"] = scores.map(frozen.decision)
    found.loc[places, "percentile"] = scores.map(frozen.percentile)
    return found
