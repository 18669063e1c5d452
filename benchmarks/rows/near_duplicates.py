"""All pairs of hashes within a radius, as ingestion searches near-duplicates among images.

The hashes are made: a tenth of them are others with up to 40 of 256 bits inverted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.paired import Case, NotCompared, Within
from benchmarks.scale import Scale
from medgan.images.hashing import BITS, close_pairs

GOAL = 1.0
RADIUS = 40
COPIES = 0.1
SHORT = 64
"""Bits of a hash of imagededup."""
Words = NDArray[np.uint64]
Pairs = set[tuple[int, int]]


@lru_cache(maxsize=1)
def _hashes(count: int) -> Words:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (count, BITS), dtype=np.uint8)
    copies = rng.permutation(count)[: int(COPIES * count)]
    inverted = rng.random((len(copies), BITS)).argsort(axis=1) < rng.integers(
        0, RADIUS + 1, (len(copies), 1)
    )
    bits[copies] = bits[rng.integers(0, count, len(copies))] ^ inverted
    return np.packbits(bits, axis=1).view(np.uint64)


def against_faiss(scale: Scale) -> Case:
    """faiss, an exhaustive index of binary vectors."""
    import faiss

    words = _hashes(scale.of(100_000, 4_000))

    def theirs() -> Pairs:
        index = faiss.IndexBinaryFlat(BITS)
        index.add(words.view(np.uint8))
        limits, _, found = index.range_search(words.view(np.uint8), RADIUS + 1)
        of = np.repeat(np.arange(len(words)), np.diff(limits.astype(np.int64)))
        return _pairs(of[of < found], found[of < found])

    return _case(words, "faiss, `IndexBinaryFlat`", theirs, SAME)


def against_imagededup(scale: Scale) -> Case:
    """imagededup, whose hashes have 64 bits: a quarter of the work."""
    from imagededup.methods import PHash

    words = _hashes(scale.of(100_000, 4_000))
    few = words[: scale.of(20_000, 2_000), 0].tolist()
    named = {str(place): f"{word:016x}" for place, word in enumerate(few)}
    radius, method = RADIUS * SHORT // BITS, PHash(verbose=False)
    return _case(
        words,
        f"imagededup, {SHORT} bits",
        lambda: method.find_duplicates(encoding_map=named, max_distance_threshold=radius),
        NotCompared(f"it has hashes of {SHORT} bits"),
        scale=(len(words) / len(few)) ** 2,
        note=f"Its time is that of {len(few):,} hashes, extrapolated by the number of pairs.",
    )


def against_imagehash(scale: Scale) -> Case:
    """imagehash, whose hashes are subtracted in a double loop."""
    from imagehash import ImageHash

    words = _hashes(scale.of(100_000, 4_000))
    few, fewer = (
        [ImageHash(square) for square in _square(words[:count])]
        for count in scale.of((1_000, 500), (200, 100))
    )
    growth = _seconds(lambda: _loop(few)) / _seconds(lambda: _loop(fewer))
    return _case(
        words,
        "imagehash, a double loop",
        lambda: _loop(few),
        NotCompared(f"it is run on {len(few):,} hashes"),
        scale=(len(words) / len(few)) ** 2,
        note=f"Its time is that of {len(few):,} hashes, extrapolated by the number of pairs; "
        f"from {len(fewer):,} to {len(few):,} it grew {growth:.1f} times.",
    )


def _difference(mine: Pairs, theirs: Pairs) -> float:
    return float(len(mine ^ theirs))


SAME = Within(0, _difference, "pairs that only one side finds")


def _case(
    words: Words,
    against: str,
    other: Callable[[], Any],
    outputs: Within | NotCompared,
    **settings: Any,
) -> Case:
    def mine() -> Pairs:
        found = close_pairs(words, RADIUS, np.arange(len(words)), len(words) ** 2)
        return _pairs(found.first, found.second)

    work = f"Pairs within {RADIUS} of {BITS} bits among {len(words):,} hashes"
    return Case(work, against, GOAL, mine, other, outputs, **settings)


def _pairs(first: NDArray[np.int64], second: NDArray[np.int64]) -> Pairs:
    return set(zip(first.tolist(), second.tolist(), strict=True))


def _square(words: Words) -> NDArray[np.bool_]:
    return np.unpackbits(words.view(np.uint8), axis=1).reshape(-1, 16, 16).astype(bool)


def _loop(hashes: list[Any]) -> Pairs:
    return {
        (i, j)
        for i, one in enumerate(hashes)
        for j, other in enumerate(hashes[i + 1 :], i + 1)
        if one - other <= RADIUS
    }


def _seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


CASES = (against_faiss, against_imagededup, against_imagehash)
