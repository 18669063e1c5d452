"""Similarity of images: perceptual hashes, search of close hashes, correlation of fine detail.

A perceptual hash has the signs of the 256 lowest frequencies of the discrete cosine transform,
without the mean (after Zauner 2010, who takes 64). On 5,840 chest radiographs, two of different
patients differ in 118 bits on average; only exact copies come within 30, and 99 % of images saved
again as JPEG, resized, brightened or darkened do. Mirrored, rotated, inverted or cropped images
have other hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medgan.files.parallel import in_order
from medgan.images.resizing import as_image
from medgan.sources.raw import Floats, Ints, Pixels

BITS = 256
SIDE = 64  # images are resized to SIDE x SIDE before the transform
FREQUENCIES = np.argsort(np.add.outer(np.arange(SIDE) ** 2, np.arange(SIDE) ** 2), None, "stable")[
    1 : BITS + 1
]
"""Places, in the flattened transform, of the BITS lowest frequencies after the mean."""
NOISE = 1e-3  # coefficients, in gray levels, that are nothing but rounding
ROWS, COLUMNS = 32, 4096
"""Pairs in a block of the search, whose arrays fit into the cache of the processor."""
HALF = BITS // 128
"""Words of a hash with its higher frequencies, in which images of different patients differ most."""
SPARSE = 1 / 16
"""Share of a block up to which close pairs are counted one by one."""
FINE, COARSE = 2.0, 8.0  # sigmas of the band-pass filter in pixels of the descriptor
MAX_SIDE = 128  # of a descriptor
FLAT = 2.0
"""Gray levels that are added to the local deviation, so that noise in even regions stays small."""
BLOCK = 512  # pairs that are correlated at once


@dataclass(frozen=True)
class ClosePairs:
    """Sorted pairs `first` < `second`, each (k,), and the number of bits in which they differ."""

    first: Ints
    second: Ints
    distance: Ints
    radius: int
    """All pairs within it are here; less than asked for where the limit was exceeded, -1 where even
    pairs of equal hashes exceed it."""

    def __len__(self) -> int:
        return len(self.first)


def luminance(pixels: Pixels, side: int) -> NDArray[np.float32]:
    """Convert uint8 (H, W, 1 or 3) to (side, side) gray levels, area-filtered when shrinking."""
    gray = as_image(pixels, 1)
    resized = gray.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(resized, dtype=np.float32)


def perceptual_hash(pixels: Pixels) -> str:
    """Hash uint8 (H, W, 1 or 3) to 64 hexadecimal digits; gray RGB hashes like gray."""
    from scipy.fft import dctn

    coefficients = dctn(luminance(pixels, SIDE), norm="ortho").ravel()[FREQUENCIES]
    return np.packbits(coefficients > NOISE).tobytes().hex()


def pack(hashes: Sequence[str]) -> NDArray[np.uint64]:
    """Convert hashes to (n, 4) words for `close_pairs`."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint64).reshape(-1, BITS // 64)


def distances(words: NDArray[np.uint64], others: NDArray[np.uint64]) -> Ints:
    """Count the bits in which hashes (..., 4) differ: (...,)."""
    return np.asarray(np.bitwise_count(words ^ others).sum(axis=-1), dtype=np.int64)


def close_pairs(words: NDArray[np.uint64], radius: int, groups: Ints, limit: int) -> ClosePairs:
    """Find pairs of different groups within a radius.

    Args:
        words: (n, 4) hashes.
        radius: largest number of different bits.
        groups: (n,) pairs of one group are ignored.
        limit: largest number of pairs; where there are more, the radius shrinks until they fit.
    """
    columns = np.ascontiguousarray(words.T)
    kept = np.empty((0, 3), dtype=np.int64)
    found: list[Ints] = []

    def rows(start: int) -> Ints:
        others = range(start, len(words), COLUMNS)
        return np.concatenate([_block(columns, start, other, radius, groups) for other in others])

    for pairs in in_order(rows, range(0, len(words), ROWS)):
        found.append(pairs)
        if sum(map(len, found)) > limit // 4:
            kept, radius = _fitted(np.concatenate([kept, *found]), radius, limit)
            found = []
    kept, radius = _fitted(np.concatenate([kept, *found]), radius, limit)
    first, second, distance = kept[np.lexsort((kept[:, 1], kept[:, 0]))].T
    return ClosePairs(first, second, distance, radius)


def _block(columns: NDArray[np.uint64], start: int, other: int, radius: int, groups: Ints) -> Ints:
    """Find the pairs of a block: (k, 3) first, second, distance.

    Hashes that differ in more than `radius` bits of one half are not compared in the other.
    """
    rows, others = columns[:, start : start + ROWS, None], columns[:, None, other : other + COLUMNS]
    counts = _different(rows[HALF:], others[HALF:])
    near = counts <= radius
    if np.count_nonzero(near) > SPARSE * near.size:
        counts += _different(rows[:HALF], others[:HALF])
        near = counts <= radius
    first, second = np.divmod(np.flatnonzero(near), counts.shape[1])
    first, second = first + start, second + other
    # 256 different bits overflow the 8 bits of a count to 0, and the other half may be left out.
    distance = np.bitwise_count(columns[:, first] ^ columns[:, second]).sum(axis=0, dtype=np.int64)
    wanted = (distance <= radius) & (first < second) & (groups[first] != groups[second])
    return np.stack([first[wanted], second[wanted], distance[wanted]], axis=1)


def _different(rows: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Count the bits in which words (w, n, 1) and (w, 1, m) differ: (n, m)."""
    counts: NDArray[np.uint8] = np.bitwise_count(rows[0] ^ others[0])
    for row, column in zip(rows[1:], others[1:], strict=True):
        counts += np.bitwise_count(row ^ column)
    return counts


def _fitted(pairs: Ints, radius: int, limit: int) -> tuple[Ints, int]:
    """Leave out pairs beyond the radius, and shrink it until they are no more than `limit`."""
    pairs = pairs[pairs[:, 2] <= radius]  # some were looked for before it shrank
    if len(pairs) <= limit:
        return pairs, radius
    within = np.cumsum(np.bincount(pairs[:, 2], minlength=radius + 1))
    radius = int(np.searchsorted(within, limit, side="right")) - 1
    return pairs[pairs[:, 2] <= radius], radius


def descriptor_side(sides: Sequence[int] | Ints) -> int:
    """Choose the side of descriptors: twice the median side, as finer detail is resizing alone."""
    return min(MAX_SIDE, 2 * max(8, int(np.median(sides))))


def detail(pixels: Pixels, side: int) -> NDArray[np.float32]:
    """Describe uint8 (H, W, C) by band-pass luminance: (side * side,), mean 0, length 1 or 0."""
    from scipy.ndimage import gaussian_filter

    gray = luminance(pixels, side)
    band = gaussian_filter(gray, FINE, truncate=3.0) - gaussian_filter(gray, COARSE, truncate=3.0)
    band /= np.sqrt(gaussian_filter(band * band, COARSE, truncate=3.0)) + FLAT
    return scaled((band - band.mean()).ravel())


def scaled(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale (..., d) to length 1."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, np.float32(1e-6)), dtype=np.float32)


def correlations(descriptors: NDArray[np.floating], first: Ints, second: Ints) -> Floats:
    """Compute the correlations (k,) of pairs of rows of (n, d)."""
    found = np.empty(len(first), dtype=np.float64)
    for start in range(0, len(first), BLOCK):
        block = slice(start, start + BLOCK)
        left, right = (descriptors[places[block]].astype(np.float32) for places in (first, second))
        found[block] = np.clip(np.einsum("kd,kd->k", left, right), -1.0, 1.0)
    return found
