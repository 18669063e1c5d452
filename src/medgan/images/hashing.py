"""A perceptual hash: 256 bits that stay nearly the same when a picture is saved again, and differ
between patients.

The signs of the 256 lowest frequencies of the discrete cosine transform, without the mean (after
Zauner 2010, who takes 64 of them). On 5,840 chest films, aligned and alike as they are, two of
different patients differ in 118 bits on average; nothing but an exact copy comes within 30, and 99
% of films that were saved again as JPEG, resized, brightened or darkened do. Mirrored, turned,
inverted or cropped pictures have other hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

BITS = 256
SIDE = 64
"""Pictures are brought to SIDE x SIDE before the transform."""
NOISE = 1e-3
"""Coefficients, in grey levels, that are nothing but rounding."""


def _lowest_frequencies() -> NDArray[np.int64]:
    """Places, in the flattened transform, of the BITS lowest frequencies after the mean."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.argsort((rows**2 + columns**2).ravel(), kind="stable")[1 : BITS + 1]


FREQUENCIES = _lowest_frequencies()


def luminance(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """uint8 (H, W, 1 or 3) to (side, side) grey levels, area-filtered on the way down."""
    picture = Image.fromarray(
        np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    ).convert("L")
    return np.asarray(
        picture.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0), dtype=np.float32
    )


def perceptual_hash(pixels: NDArray[np.uint8]) -> str:
    """The hash of uint8 pixels (H, W, 1 or 3) as 64 hexadecimal digits. A grey picture stored as
    RGB has the hash of its grey twin.
    """
    coefficients = dctn(luminance(pixels, SIDE), norm="ortho").ravel()[FREQUENCIES]
    return np.packbits(coefficients > NOISE).tobytes().hex()


def pack(hashes: Sequence[str]) -> NDArray[np.uint64]:
    """Hashes as (n, 4) words for `hamming.close_pairs`."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint64).reshape(-1, BITS // 64)


ROWS, COLUMNS = 128, 4096
"""Pairs in a block: its arrays stay in the processor's cache."""


@dataclass(frozen=True)
class ClosePairs:
    """Pairs of places, `first` < `second`, each (k,), sorted; `distance` is the number of bits in
    which they differ.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    distance: NDArray[np.int64]
    radius: int
    """All pairs within it are here. Less than what was asked for where those were more than
    `limit`; -1 where even equal hashes are.
    """

    def __len__(self) -> int:
        return len(self.first)


def close_pairs(
    words: NDArray[np.uint64], radius: int, groups: NDArray[np.int64], limit: int
) -> ClosePairs:
    """Pairs of different groups within a radius.

    Args:
        words: (n, 4) hashes of 256 bits.
        radius: largest number of different bits.
        groups: (n,) pairs of one group are passed over.
        limit: no more pairs than this are kept; where there are more, the radius shrinks until they
            fit.
    """
    columns = np.ascontiguousarray(words.T)
    kept = np.empty((0, 3), dtype=np.int64)
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(words), ROWS):
        for other in range(start, len(words), COLUMNS):
            found.append(_block(columns, start, other, radius, groups))
        if sum(map(len, found)) > limit // 4:
            kept, radius = _fitted(np.concatenate([kept, *found]), radius, limit)
            found = []
    kept, radius = _fitted(np.concatenate([kept, *found]), radius, limit)
    first, second, distance = kept[np.lexsort((kept[:, 1], kept[:, 0]))].T
    return ClosePairs(first, second, distance, radius)


def _block(
    columns: NDArray[np.uint64], start: int, other: int, radius: int, groups: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(k, 3) first, second, distance."""
    rows, others = columns[:, start : start + ROWS, None], columns[:, None, other : other + COLUMNS]
    counts = np.bitwise_count(rows[0] ^ others[0])
    for row, column in zip(rows[1:], others[1:], strict=True):
        counts += np.bitwise_count(row ^ column)
    first, second = np.divmod(np.flatnonzero(counts <= radius), counts.shape[1])
    first, second = first + start, second + other
    # 256 different bits do not fit into the 8 bits of a count and read as 0, so the few that are
    # near are counted again.
    distance = np.bitwise_count(columns[:, first] ^ columns[:, second]).sum(axis=0, dtype=np.int64)
    wanted = (distance <= radius) & (first < second) & (groups[first] != groups[second])
    return np.stack([first[wanted], second[wanted], distance[wanted]], axis=1)


def _fitted(pairs: NDArray[np.int64], radius: int, limit: int) -> tuple[NDArray[np.int64], int]:
    """The pairs within the largest radius at which they are no more than `limit`, and that
    radius.
    """
    within = np.cumsum(np.bincount(pairs[:, 2], minlength=radius + 1))
    if len(pairs) <= limit:
        return pairs, radius
    radius = int(np.searchsorted(within, limit, side="right")) - 1
    return pairs[pairs[:, 2] <= radius], radius


DIFFERENCES = {"category": "class", "group_id": "patient", "split": "split"}
"""Column in which copies should agree -> what a reader calls it."""


@dataclass(frozen=True)
class CopyGroups:
    """The groups of equal pictures of a data set."""

    shown: tuple[pd.DataFrame, ...]
    """Rows of the manifest, one table for each group that is shown; those whose copies differ in
    most come first.
    """
    count: int
    surplus: int
    """Images that repeat another."""


def copy_groups(manifest: pd.DataFrame, most: int) -> CopyGroups:
    """Images of equal pixels, at most so many groups of them."""
    repeated = manifest[manifest["pixel_hash"].duplicated(keep=False)].sort_values("image_id")
    differing = (
        (repeated.groupby("pixel_hash")[list(DIFFERENCES)].nunique() > 1)
        .sum(axis=1)
        .sort_values(ascending=False, kind="stable")
    )
    shown = tuple(repeated[repeated["pixel_hash"] == key] for key in differing.index[:most])
    return CopyGroups(shown, len(differing), len(repeated) - len(differing))


def differences(group: pd.DataFrame) -> list[str]:
    """What the images of a group differ in: class, patient, split."""
    return [name for column, name in DIFFERENCES.items() if group[column].nunique() > 1]


def captions(row: pd.Series[Any]) -> list[str]:
    """Lines that tell an image from its copies: id, class, patient, split that came with the
    data.
    """
    patient = f"patient {row['group_id']}" if row["group_known"] else "patient not known"
    split = f"split {row['split']}" if isinstance(row["split"], str) else "no split given"
    return [str(row["image_id"]).rpartition("/")[2], str(row["category"]), patient, split]


FINE, COARSE = 2.0, 8.0
"""Sigmas of the band-pass filter in pixels of the descriptor."""
LARGEST_SIDE = 128
FLAT = 2.0
"""Grey levels that are added to the local spread, so that noise on an even ground stays small."""
PRIOR = 10
"""The mean counts as if PRIOR images of nothing had been in the sample: a mean of few images is
that of their duplicates.
"""
BLOCK = 512
"""Pairs that are correlated at once."""


def descriptor_side(sides: Sequence[int]) -> int:
    """The side of the descriptors of images with these (shorter) sides in pixels: twice their
    median, at most LARGEST_SIDE.

    A small picture has no detail that is finer than its pixels; looking for it would find only how
    it was resized.
    """
    return int(min(LARGEST_SIDE, 2 * max(8, int(np.median(sides)))))


def detail(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """uint8 (H, W, 1 or 3) to (side * side,), of mean 0 and length 1; an even picture is all
    zeros.
    """
    grey = luminance(pixels, side)
    band = gaussian_filter(grey, FINE, truncate=3.0) - gaussian_filter(grey, COARSE, truncate=3.0)
    band /= np.sqrt(gaussian_filter(band * band, COARSE, truncate=3.0)) + FLAT
    return scaled((band - band.mean()).ravel())


def scaled(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., d) scaled to length 1."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, np.float32(1e-6)), dtype=np.float32)


def shared_detail(details: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, d) to the (d,) that is taken off every image of the data set."""
    return np.asarray(details.sum(axis=0) / np.float32(len(details) + PRIOR), dtype=np.float32)


def correlations(
    descriptors: NDArray[np.floating], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(k,) correlations of the pairs of rows of (n, d)."""
    found = np.empty(len(first), dtype=np.float64)
    for start in range(0, len(first), BLOCK):
        block = slice(start, start + BLOCK)
        left, right = (descriptors[places[block]].astype(np.float32) for places in (first, second))
        found[block] = np.clip(np.einsum("kd,kd->k", left, right), -1.0, 1.0)
    return found
