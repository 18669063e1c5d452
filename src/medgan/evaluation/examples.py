"""Which images a reader should see: where the detector was surest and where it nearly decided otherwise, and a random draw of its errors.

The surest ones are chosen for their extremes and say nothing of the usual error; the random draw does.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

KINDS = ("hit", "miss", "false alarm", "true normal")
ERRORS = ("miss", "false alarm")
PLURALS = {"hit": "hits", "miss": "misses", "false alarm": "false alarms", "true normal": "true normals"}


def with_kinds(table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The table (label, score) with `kind`, one of KINDS: an image is called anomalous where its score is at or above the threshold.

    `margin` is the distance of its score from the threshold: how sure the detector was.
    """
    called, anomalous = table["score"] >= threshold, table["label"] == 1
    kind = np.select([called & anomalous, ~called & anomalous, called & ~anomalous], KINDS[:3], KINDS[3])
    return table.assign(kind=kind, margin=(table["score"] - threshold).abs())


def surest_examples(table: pd.DataFrame, threshold: float, count: int) -> pd.DataFrame:
    """The `count` images of each kind, at most, whose scores lie farthest from the threshold, in the order of KINDS."""
    kinds = with_kinds(table, threshold)
    return pd.concat([kinds[kinds["kind"] == kind].nlargest(count, "margin") for kind in KINDS])


def closest_examples(table: pd.DataFrame, threshold: float, count: int) -> pd.DataFrame:
    """The `count` images of each kind, at most, whose scores lie nearest to the threshold, in the order of KINDS."""
    kinds = with_kinds(table, threshold)
    return pd.concat([kinds[kinds["kind"] == kind].nsmallest(count, "margin") for kind in KINDS])


def random_errors(table: pd.DataFrame, threshold: float, count: int, seed: int) -> pd.DataFrame:
    """`count` misses and false alarms drawn at random: half of each, and more of one where the other has too few.

    One seed draws the same ones, whatever the order of the rows; misses come first.
    """
    kinds = with_kinds(table, threshold).sort_values("image_id")
    pools = {kind: kinds[kinds["kind"] == kind] for kind in ERRORS}
    sizes = [len(pools[kind]) for kind in ERRORS]
    halves = (count - count // 2, count // 2)
    wanted = [min(size, max(half, count - other)) for size, half, other in zip(sizes, halves, sizes[::-1], strict=True)]
    drawn = []
    for kind, number in zip(ERRORS, wanted, strict=True):
        rng = np.random.default_rng([seed, crc32(kind.encode())])
        drawn.append(pools[kind].iloc[np.sort(rng.permutation(len(pools[kind]))[:number])])
    return pd.concat(drawn)


def short_name(image_id: str, length: int = 26) -> str:
    """The last part of an image id without its suffix, cut in the middle where it is longer than `length`."""
    name = image_id.rsplit("/", 1)[-1]
    stem = name.rpartition(".")[0] or name
    if len(stem) <= length:
        return stem
    half = (length - 1) // 2
    return f"{stem[:half]}…{stem[-half:]}"


def case_name(row: Mapping[Hashable, Any], length: int = 26) -> str:
    """What a picture calls a row of test images: its short name; of a volume its own, with the place of the slice that is shown."""
    volume = row.get("volume")
    if not isinstance(volume, str):
        return short_name(row["image_id"], length)
    place = f" {row['position']}/{row['n_slices']}"
    return f"{short_name(volume, length - len(place))}{place}"


def share_below(score: float, normals: NDArray[np.float64]) -> str:
    """`93 %`: the share of the normal validation images that score lower."""
    return f"{100 * float((normals < score).mean()):.0f} %"
