from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medgan.images import hamming
from medgan.images.hamming import close_pairs

UNLIMITED = 10**9


def brute_force(words: NDArray[np.uint64], radius: int, groups: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    numbers = [int.from_bytes(word.tobytes(), "little") for word in words]
    return [
        (first, second, (numbers[first] ^ numbers[second]).bit_count())
        for first in range(len(numbers))
        for second in range(first + 1, len(numbers))
        if (numbers[first] ^ numbers[second]).bit_count() <= radius and groups[first] != groups[second]
    ]


def hashes(count: int, seed: int, flips: float) -> NDArray[np.uint64]:
    """A few originals and their disturbed copies, so that all distances occur."""
    rng = np.random.default_rng(seed)
    originals = rng.random((max(1, count // 5), 256)) < rng.uniform(0.1, 0.9, 256)
    copies = originals[rng.integers(0, len(originals), count)] ^ (rng.random((count, 256)) < flips)
    return np.packbits(copies, axis=1).view(np.uint64)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 60),
    seed=st.integers(0, 2**32 - 1),
    flips=st.floats(0.0, 0.5),
    radius=st.integers(0, 256),
    owners=st.integers(1, 60),
    block=st.sampled_from([(1, 1), (7, 3), (16, 64), (128, 4096)]),
)
def test_all_pairs_are_found_and_no_other(count: int, seed: int, flips: float, radius: int, owners: int, block: tuple[int, int]) -> None:
    words = hashes(count, seed, flips)
    groups = np.random.default_rng(seed).integers(0, owners, count)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hamming, "ROWS", block[0])
        patched.setattr(hamming, "COLUMNS", block[1])
        found = close_pairs(words, radius, groups, UNLIMITED)
    assert list(zip(found.first.tolist(), found.second.tolist(), found.distance.tolist(), strict=True)) == brute_force(
        words, radius, groups
    )
    assert found.radius == radius


@settings(max_examples=40, deadline=None)
@given(count=st.integers(2, 60), seed=st.integers(0, 2**32 - 1), limit=st.integers(0, 50))
def test_a_limit_shrinks_the_radius_and_what_is_left_is_complete(count: int, seed: int, limit: int) -> None:
    words, groups = hashes(count, seed, 0.1), np.arange(count)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hamming, "ROWS", 8)
        patched.setattr(hamming, "COLUMNS", 8)
        found = close_pairs(words, 60, groups, limit)
    assert len(found) <= limit
    assert list(zip(found.first.tolist(), found.second.tolist(), found.distance.tolist(), strict=True)) == brute_force(
        words, found.radius, groups
    )
    if found.radius < 60:
        assert len(brute_force(words, found.radius + 1, groups)) > limit


def test_opposite_hashes_are_far_apart() -> None:
    words = np.array([[0] * 4, [2**64 - 1] * 4], dtype=np.uint64)
    assert len(close_pairs(words, 255, np.arange(2), UNLIMITED)) == 0
    assert close_pairs(words, 256, np.arange(2), UNLIMITED).distance.tolist() == [256]


def test_equal_hashes_beyond_the_limit_leave_nothing_and_say_so() -> None:
    found = close_pairs(np.zeros((3000, 4), dtype=np.uint64), 30, np.arange(3000), limit=1000)
    assert len(found) == 0
    assert found.radius == -1
