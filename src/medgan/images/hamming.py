"""All pairs of hashes that differ in few bits.

Every pair is looked at, a block at a time, so nothing is missed, and the time hardly depends on the radius or on how alike the hashes are:
100,000 of them take about 25 s on one thread (benchmarks/near_duplicates.py), so no index on parts of the hash (Norouzi 2012) is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 128, 4096
"""Pairs in a block: its arrays stay in the processor's cache."""


@dataclass(frozen=True)
class ClosePairs:
    """Pairs of places, `first` < `second`, each (k,), sorted; `distance` is the number of bits in which they differ."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    distance: NDArray[np.int64]
    radius: int
    """All pairs within it are here. Less than what was asked for where those were more than `limit`; -1 where even equal hashes are."""

    def __len__(self) -> int:
        return len(self.first)


def close_pairs(words: NDArray[np.uint64], radius: int, groups: NDArray[np.int64], limit: int) -> ClosePairs:
    """Pairs of different groups within a radius.

    Args:
        words: (n, 4) hashes of 256 bits.
        radius: largest number of different bits.
        groups: (n,) pairs of one group are passed over.
        limit: no more pairs than this are kept; where there are more, the radius shrinks until they fit.
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


def _block(columns: NDArray[np.uint64], start: int, other: int, radius: int, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """(k, 3) first, second, distance."""
    rows, others = columns[:, start : start + ROWS, None], columns[:, None, other : other + COLUMNS]
    counts = np.bitwise_count(rows[0] ^ others[0])
    for row, column in zip(rows[1:], others[1:], strict=True):
        counts += np.bitwise_count(row ^ column)
    first, second = np.divmod(np.flatnonzero(counts <= radius), counts.shape[1])
    first, second = first + start, second + other
    # 256 different bits do not fit into the 8 bits of a count and read as 0, so the few that are near are counted again.
    distance = np.bitwise_count(columns[:, first] ^ columns[:, second]).sum(axis=0, dtype=np.int64)
    wanted = (distance <= radius) & (first < second) & (groups[first] != groups[second])
    return np.stack([first[wanted], second[wanted], distance[wanted]], axis=1)


def _fitted(pairs: NDArray[np.int64], radius: int, limit: int) -> tuple[NDArray[np.int64], int]:
    """The pairs within the largest radius at which they are no more than `limit`, and that radius."""
    within = np.cumsum(np.bincount(pairs[:, 2], minlength=radius + 1))
    if len(pairs) <= limit:
        return pairs, radius
    radius = int(np.searchsorted(within, limit, side="right")) - 1
    return pairs[pairs[:, 2] <= radius], radius
