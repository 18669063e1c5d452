"""The rows of scores.csv: images, slices and volumes with scores and decisions, and other files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from medgan.evaluation.domain import OUTSIDE, SENTENCE
from medgan.evaluation.volumes import by_volume
from medgan.inference.inputs import Seen
from medgan.inference.trained import Frozen

COLUMNS = (
    "unit",
    "path",
    "volume",
    "slice",
    "score",
    "threshold",
    "decision",
    "percentile",
    "caution",
    "heat_map",
    "code",
    "message",
)
KEPT, NOT_KEPT = "kept", -1
"""Column with the number of an image in the spool of pictures; its value where it is not there."""
REASON = "outside"
"""Column with the reason why an image is outside the domain; empty where it is inside."""
NO_IMAGE = "NO_IMAGE"
"""The code of a file that is left out unread."""


ScoredEntry: TypeAlias = tuple[Seen, float, int]
"""An entry without its pixels, its score (NaN where refused), and its number in the spool."""


def image_rows(entries: Sequence[ScoredEntry]) -> pd.DataFrame:
    """Make a row of each entry: unit, path, volume, slice, score (NaN where refused), code,
    message, outside, kept.

    `volume` names the file of a volume, or the first file of a DICOM series. A series of one file
    is an image.
    """
    seen = [one for one, _, _ in entries]
    groups = pd.Series([one.group for one in seen], dtype=object)
    files = pd.Series([one.entry.shown for one in seen], dtype=object)
    numbers = pd.Series([one.entry.number for one in seen], dtype=object)
    sliced = (numbers != "") | ((groups != "") & groups.duplicated(keep=False))
    volumes = files.groupby(groups).transform("first").where(sliced, "") if len(files) else files
    return pd.DataFrame(
        {
            "unit": np.where(sliced, "slice", "image"),
            "path": files,
            "volume": volumes,
            "slice": numbers,
            "score": np.array([score for _, score, _ in entries], dtype=np.float64),
            "code": [one.code for one in seen],
            "message": [one.message for one in seen],
            REASON: [one.outside for one in seen],
            KEPT: np.array([number for _, _, number in entries], dtype=np.int64),
        }
    )


def with_volumes(images: pd.DataFrame, aggregate: str) -> pd.DataFrame:
    """Add a row for each volume before its slices: `aggregate` of their scores, and the picture of
    the highest one. A volume is outside the domain if more than half of its scored slices are.
    """
    slices = images[images["unit"] == "slice"]
    if slices.empty:
        return images.reset_index(drop=True)
    units = images["volume"].where(images["volume"] != "", images["path"])
    images = images.assign(place=pd.factorize(units)[0])
    volumes = (
        images.loc[slices.index]
        .groupby("volume", sort=False)
        .agg(
            place=("place", "first"),
            code=("code", "first"),
            n_slices=("score", "size"),
            n_scored=("score", "count"),
            n_outside=(REASON, lambda reasons: int((reasons != "").sum())),
        )
    )
    scored = slices[slices["score"].notna()]
    worst = by_volume(scored.assign(image_id=scored["path"]), aggregate) if len(scored) else scored
    rows = volumes.join(worst.set_index("volume")[["score", KEPT]]).reset_index()
    none = rows["n_scored"] == 0
    rows = rows.assign(
        unit="volume",
        path=rows["volume"],
        slice="",
        code=rows["code"].where(none, ""),
        message=[
            _message(aggregate, *counts)
            for counts in rows[["n_slices", "n_scored"]].itertuples(index=False)
        ],
    )
    rows[KEPT] = rows[KEPT].fillna(NOT_KEPT).astype(np.int64)
    rows[REASON] = list(map(_volume_outside, rows["n_outside"], rows["n_scored"]))
    together = pd.concat([rows[images.columns], images], ignore_index=True)
    return together.sort_values("place", kind="stable", ignore_index=True).drop(columns="place")


def _message(aggregate: str, n_slices: int, n_scored: int) -> str:
    if not n_scored:
        return f"none of its {n_slices} slices could be scored"
    refused = n_slices - n_scored
    return f"{aggregate} of {n_scored} slices" + (f", {refused} refused" if refused else "")


def _volume_outside(n_outside: int, n_scored: int) -> str:
    if 2 * n_outside <= n_scored:
        return ""
    return f"{SENTENCE}: {n_outside} of its {n_scored} slices are"


def judged(
    table: pd.DataFrame, frozen: Frozen | None, cautions: Sequence[str] = ()
) -> pd.DataFrame:
    """Add threshold, decision and percentile where there is a score that the threshold applies to;
    empty elsewhere. Outside the domain the decision says so, and `message` why. `caution` stands
    beside every decision.
    """
    found = table.assign(threshold=np.nan, decision="", percentile=np.nan, caution="")
    if frozen is None:
        return found
    outside = found[REASON] != ""
    found.loc[outside, "decision"] = OUTSIDE
    messages = found.loc[outside, "message"] + "; " + found.loc[outside, REASON]
    found.loc[outside, "message"] = messages.str.strip("; ")
    judged = found["score"].notna() & found["unit"].map(frozen.judges).astype(bool)
    places = judged & ~outside
    scores = found.loc[places, "score"]
    found.loc[places, "threshold"] = frozen.value
    found.loc[places, "decision"] = scores.map(frozen.decision)
    found.loc[places, "percentile"] = scores.map(frozen.percentile)
    found.loc[places, "caution"] = "; ".join(cautions)
    return found


def with_others(table: pd.DataFrame, left_out: Mapping[str, str]) -> pd.DataFrame:
    """Add a row at the end for each file that is no image: path -> reason."""
    others = pd.DataFrame({"path": list(left_out), "message": list(left_out.values())})
    others = others.assign(unit="file", code=NO_IMAGE, **{KEPT: NOT_KEPT})
    together = pd.concat([table, others], ignore_index=True) if len(others) else table
    texts = ["volume", "slice", "decision", "caution", REASON]
    return together.assign(**{name: together[name].fillna("") for name in texts})


def counts(table: pd.DataFrame) -> dict[str, int]:
    """Count images (slices are images), volumes, decisions, refusals, and files that are no
    image.
    """
    single = table["unit"].isin(["image", "slice"])
    return {
        "images": int(single.sum()),
        "volumes": int((table["unit"] == "volume").sum()),
        "anomalous": int((table["decision"] == "anomalous").sum()),
        "outside": int((table.loc[single, "decision"] == OUTSIDE).sum()),
        "refused": int((table.loc[single, "code"] != "").sum()),
        "no_image": int((table["unit"] == "file").sum()),
    }
