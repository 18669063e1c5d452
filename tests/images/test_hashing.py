from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medgan.images import hashing
from medgan.images.duplicate_calibration import CHANGES, make_twin
from medgan.images.hashing import BITS, close_pairs, pack, perceptual_hash
from tests.images.planting import phantoms

UNLIMITED = 10**9


def brute_force(
    words: NDArray[np.uint64], radius: int, groups: NDArray[np.int64]
) -> list[tuple[int, int, int]]:
    numbers = [int.from_bytes(word.tobytes(), "little") for word in words]
    return [
        (first, second, (numbers[first] ^ numbers[second]).bit_count())
        for first in range(len(numbers))
        for second in range(first + 1, len(numbers))
        if (numbers[first] ^ numbers[second]).bit_count() <= radius
        and groups[first] != groups[second]
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
def test_all_pairs_are_found_and_no_other(
    count: int, seed: int, flips: float, radius: int, owners: int, block: tuple[int, int]
) -> None:
    words = hashes(count, seed, flips)
    groups = np.random.default_rng(seed).integers(0, owners, count)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hashing, "ROWS", block[0])
        patched.setattr(hashing, "COLUMNS", block[1])
        found = close_pairs(words, radius, groups, UNLIMITED)
    assert list(
        zip(found.first.tolist(), found.second.tolist(), found.distance.tolist(), strict=True)
    ) == brute_force(words, radius, groups)
    assert found.radius == radius


@settings(max_examples=40, deadline=None)
@given(count=st.integers(2, 60), seed=st.integers(0, 2**32 - 1), limit=st.integers(0, 50))
def test_a_limit_shrinks_the_radius_and_what_is_left_is_complete(
    count: int, seed: int, limit: int
) -> None:
    words, groups = hashes(count, seed, 0.1), np.arange(count)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hashing, "ROWS", 8)
        patched.setattr(hashing, "COLUMNS", 8)
        found = close_pairs(words, 60, groups, limit)
    assert len(found) <= limit
    assert list(
        zip(found.first.tolist(), found.second.tolist(), found.distance.tolist(), strict=True)
    ) == brute_force(words, found.radius, groups)
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


def bits_apart(first: str, second: str) -> int:
    return (int(first, 16) ^ int(second, 16)).bit_count()


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (28, 28, 1), (3, 200, 3), (224, 224, 3), (600, 450, 1)]
)
def test_any_picture_has_a_hash_of_256_bits(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert len(perceptual_hash(pixels)) == 64
    assert perceptual_hash(pixels) == perceptual_hash(pixels.copy())


def test_a_grey_picture_stored_as_rgb_keeps_its_hash_and_an_even_one_is_all_zeros() -> None:
    film = next(iter(phantoms(12).values()))
    assert perceptual_hash(film) == perceptual_hash(np.repeat(film, 3, axis=2))
    assert perceptual_hash(np.full((40, 30, 1), 77, dtype=np.uint8)) == "0" * 64


def test_words_hold_the_bits() -> None:
    hashes = [perceptual_hash(film) for film in phantoms(12).values()]
    words = pack(hashes)
    assert words.shape == (12, BITS // 64)
    assert int(np.bitwise_count(words[0] ^ words[1]).sum()) == bits_apart(hashes[0], hashes[1])


def test_twins_are_nearer_than_other_patients() -> None:
    films = list(phantoms(40).values())
    hashes = [perceptual_hash(film) for film in films]
    others = [
        bits_apart(first, second) for place, first in enumerate(hashes) for second in hashes[:place]
    ]
    rng = np.random.default_rng(1)
    twins = [
        bits_apart(found, perceptual_hash(make_twin(film, rng)))
        for film, found in zip(films, hashes, strict=True)
        for _ in range(5)
    ]
    assert np.median(twins) < 8
    assert np.quantile(twins, 0.98) < np.quantile(others, 0.02)


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_alters_the_picture_and_hardly_the_hash(change: str) -> None:
    from PIL import Image

    film = next(iter(phantoms(12, 160).values()))
    for way in CHANGES[change]:
        changed = np.asarray(way(Image.fromarray(film[:, :, 0]), np.random.default_rng(3)))
        assert changed.shape != film.shape[:2] or (changed != film[:, :, 0]).mean() > 0.1
        assert bits_apart(perceptual_hash(film), perceptual_hash(changed[:, :, None])) < 30


def test_twins_of_small_and_large_pictures_keep_their_kind() -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (28, 28, 3), dtype=np.uint8)
    large = rng.integers(0, 256, (700, 1400, 1), dtype=np.uint8)
    for _ in range(20):
        assert make_twin(small, rng).shape[2] == 3
        assert min(make_twin(small, rng).shape[:2]) >= 28
        assert max(make_twin(large, rng).shape[:2]) <= 1.5 * 512
