"""Choose the test images that a reader should see: the most confident decisions, the closest ones,
and a random draw of the errors.

The most confident decisions are extremes and say nothing of the usual error; the random draw does.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import Reconstructs
from medgan.evaluation.scores import Batches, Images
from medgan.images.transforms import crop_padding

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("true positive", "false negative", "false positive", "true negative")
ERRORS = ("false negative", "false positive")


def with_kinds(table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Add `kind`, one of KINDS, and `margin` to a table (label, score).

    An image is called anomalous where its score is at or above the threshold; the margin is the
    distance from it.
    """
    called, anomalous = table["score"] >= threshold, table["label"] == 1
    outcomes = [called & anomalous, ~called & anomalous, called & ~anomalous]
    kind = np.select(outcomes, KINDS[:3], KINDS[3])
    return table.assign(kind=kind, margin=(table["score"] - threshold).abs())


def most_confident_examples(table: pd.DataFrame, threshold: float, count: int) -> pd.DataFrame:
    """The `count` images of each kind, at most, whose scores are farthest from the threshold, in
    the order of KINDS.
    """
    kinds = with_kinds(table, threshold)
    return pd.concat([kinds[kinds["kind"] == kind].nlargest(count, "margin") for kind in KINDS])


def closest_examples(table: pd.DataFrame, threshold: float, count: int) -> pd.DataFrame:
    """The `count` images of each kind, at most, whose scores are nearest to the threshold, in the
    order of KINDS.
    """
    kinds = with_kinds(table, threshold)
    return pd.concat([kinds[kinds["kind"] == kind].nsmallest(count, "margin") for kind in KINDS])


def random_errors(table: pd.DataFrame, threshold: float, count: int, seed: int) -> pd.DataFrame:
    """Draw `count` false negatives and false positives at random: half of each, and more of one
    where the other has too few.

    One seed draws the same ones, whatever the order of the rows; false negatives come first.
    """
    kinds = with_kinds(table, threshold).sort_values("image_id")
    pools = {kind: kinds[kinds["kind"] == kind] for kind in ERRORS}
    sizes = [len(pool) for pool in pools.values()]
    halves = (count - count // 2, count // 2)
    drawn = []
    for (kind, pool), half, other in zip(pools.items(), halves, sizes[::-1], strict=True):
        rng, wanted = np.random.default_rng([seed, crc32(kind.encode())]), max(half, count - other)
        drawn.append(pool.iloc[np.sort(rng.permutation(len(pool))[:wanted])])
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
    batches: Batches,
) -> NDArray[np.float32]:
    """Compute the image that each one is compared with: (n, C, H, W) in [-1, 1], without padding.

    The detector is in eval mode, `rows` (n,) are of the store, `side` is the height and width of
    the stored images, and `batches` have the seed of the scores, so that a search finds the image
    that was scored.
    """
    seen = ((images(batch).to(batches.device), rng) for batch, rng in batches.of(rows))
    return np.concatenate([_plain(detector.counterpart(*one), side) for one in seen])


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
    return crop_padding(images.detach(), *side).float().cpu().numpy()
