"""Which images a reader should see: where the detector was surest and where it nearly decided
otherwise, and a random draw of its errors.

The surest ones are chosen for their extremes and say nothing of the usual error; the random draw
does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from medgan.contracts import Reconstructs
from medgan.evaluation.volumes import NO_VOLUMES, by_volume, scored_unit, with_positions
from medgan.images.transforms import crop_padding

KINDS = ("hit", "miss", "false alarm", "true normal")
ERRORS = ("miss", "false alarm")
PLURALS = {
    "hit": "hits",
    "miss": "misses",
    "false alarm": "false alarms",
    "true normal": "true normals",
}


def with_kinds(table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The table (label, score) with `kind`, one of KINDS: an image is called anomalous where its
    score is at or above the threshold.

    `margin` is the distance of its score from the threshold: how sure the detector was.
    """
    called, anomalous = table["score"] >= threshold, table["label"] == 1
    kind = np.select(
        [called & anomalous, ~called & anomalous, called & ~anomalous], KINDS[:3], KINDS[3]
    )
    return table.assign(kind=kind, margin=(table["score"] - threshold).abs())


def surest_examples(table: pd.DataFrame, threshold: float, count: int) -> pd.DataFrame:
    """The `count` images of each kind, at most, whose scores lie farthest from the threshold, in
    the order of KINDS.
    """
    kinds = with_kinds(table, threshold)
    return pd.concat([kinds[kinds["kind"] == kind].nlargest(count, "margin") for kind in KINDS])


def closest_examples(table: pd.DataFrame, threshold: float, count: int) -> pd.DataFrame:
    """The `count` images of each kind, at most, whose scores lie nearest to the threshold, in the
    order of KINDS.
    """
    kinds = with_kinds(table, threshold)
    return pd.concat([kinds[kinds["kind"] == kind].nsmallest(count, "margin") for kind in KINDS])


def random_errors(table: pd.DataFrame, threshold: float, count: int, seed: int) -> pd.DataFrame:
    """`count` misses and false alarms drawn at random: half of each, and more of one where the
    other has too few.

    One seed draws the same ones, whatever the order of the rows; misses come first.
    """
    kinds = with_kinds(table, threshold).sort_values("image_id")
    pools = {kind: kinds[kinds["kind"] == kind] for kind in ERRORS}
    sizes = [len(pools[kind]) for kind in ERRORS]
    halves = (count - count // 2, count // 2)
    wanted = [
        min(size, max(half, count - other))
        for size, half, other in zip(sizes, halves, sizes[::-1], strict=True)
    ]
    drawn = []
    for kind, number in zip(ERRORS, wanted, strict=True):
        rng = np.random.default_rng([seed, crc32(kind.encode())])
        drawn.append(pools[kind].iloc[np.sort(rng.permutation(len(pools[kind]))[:number])])
    return pd.concat(drawn)


def short_name(image_id: str, length: int = 26) -> str:
    """The last part of an image id without its suffix, cut in the middle where it is longer than
    `length`.
    """
    name = image_id.rsplit("/", 1)[-1]
    stem = name.rpartition(".")[0] or name
    if len(stem) <= length:
        return stem
    half = (length - 1) // 2
    return f"{stem[:half]}…{stem[-half:]}"


def case_name(row: Mapping[Hashable, Any], length: int = 26) -> str:
    """What a picture calls a row of test images: its short name; of a volume its own, with the
    place of the slice that is shown.
    """
    volume = row.get("volume")
    if not isinstance(volume, str):
        return short_name(row["image_id"], length)
    place = f" {row['position']}/{row['n_slices']}"
    return f"{short_name(volume, length - len(place))}{place}"


def share_below(score: float, normals: NDArray[np.float64]) -> str:
    """`93 %`: the share of the normal validation images that score lower."""
    return f"{100 * float((normals < score).mean()):.0f} %"


Images = Callable[[NDArray[np.int64]], Tensor]
"""Rows of the store (n,) to images (n, C, H, W) in [-1, 1]."""


def as_seen(images: Images, rows: NDArray[np.int64], side: tuple[int, int]) -> NDArray[np.float32]:
    """Images as the network sees them: (n, C, H, W) in [-1, 1], without padding; `side` is the
    height and width of the stored images.
    """
    return _plain(images(rows), side)


def counterparts(
    detector: Reconstructs,
    images: Images,
    rows: NDArray[np.int64],
    side: tuple[int, int],
    *,
    batch_size: int,
    seed: int,
    device: str,
) -> NDArray[np.float32]:
    """The image that each one is held against: (n, C, H, W) in [-1, 1], without padding.

    Args:
        detector: in eval mode, on `device`.
        images: rows of the store to images.
        rows: (n,) of the store, at least one.
        side: height and width of the stored images.
        batch_size: images at a time; a counterpart does not depend on it.
        seed: that of the scores, so that a search finds the image that was scored.
        device: where the detector is.
    """
    batches = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
    found = (
        detector.counterpart(images(batch).to(device), torch.Generator().manual_seed(seed))
        for batch in batches
    )
    return np.concatenate([_plain(batch, side) for batch in found])


def windowed(images: NDArray[np.float32], references: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Images (n, C, H, W) as pixels (n, H, W, C), black and white being the darkest and the
    brightest value of the reference of each.

    An image and its counterpart in the window of the image can be compared by eye.
    """
    low = references.min((1, 2, 3), keepdims=True)
    span = np.maximum(references.max((1, 2, 3), keepdims=True) - low, 1e-6)
    pixels: NDArray[np.uint8] = np.rint(np.clip((images - low) / span, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def _plain(images: Tensor, side: tuple[int, int]) -> NDArray[np.float32]:
    array: NDArray[np.float32] = crop_padding(images.detach(), *side).float().cpu().numpy()
    return array


MOST_ANOMALOUS = 10
"""Volumes with the highest scores that are listed."""
WORST = 3
"""Slices of each that are named."""
Errors = Callable[[pd.DataFrame, float], pd.DataFrame]
"""Test volumes and threshold -> the misses and false alarms to be listed."""


def describe_worst_slices(
    test: pd.DataFrame, aggregate: str, threshold: float, errors: Errors
) -> dict[str, Any]:
    """The most anomalous test volumes, and misses and false alarms, each with its highest slices.

    Args:
        test: the test slices with image_id, score, label, category, volume, and slice where it is
            known.
        aggregate: how volumes are scored, as the row of the detector says.
        threshold: the frozen one of the row.
        errors: chooses the misses and false alarms.

    Returns:
        `aggregate`, `threshold`, `n_volumes` of the test split, `n_anomalous` of them, and
        `volumes`, the most anomalous first, then errors that are not among them: {`volume`,
        `chosen_as`: most anomalous | miss | false alarm, `kind`, `label`, `category`, `score`,
        `n_slices`, `worst`: [{`slice`, `position`, `of`, `score`, `image_id`}]}. Without volumes a
        `reason` and no volume.
    """
    if scored_unit(test) == "image":
        return {"reason": NO_VOLUMES, "volumes": []}
    slices = with_positions(test[test["volume"].notna()])
    judged = with_kinds(by_volume(slices, aggregate), threshold)
    highest = judged.nlargest(MOST_ANOMALOUS, "score")
    drawn = errors(judged, threshold)
    others = drawn[~drawn["volume"].isin(highest["volume"])]
    chosen = pd.concat(
        [highest.assign(chosen_as="most anomalous"), others.assign(chosen_as=others["kind"])]
    )
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
    """The number of the slice in its file, counted from 0, or its place in millimetres as a DICOM
    header gives it; None where unknown.
    """
    place = row.get("slice")
    if not isinstance(place, str) or not place:
        return None
    return place if str(row["image_id"]).endswith(f"/{place}") else f"{place} mm"
