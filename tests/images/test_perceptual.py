from __future__ import annotations

import numpy as np
import pytest

from medgan.images.perceptual import BITS, pack, perceptual_hash
from medgan.images.twins import CHANGES, make_twin
from tests.images.planting import phantoms


def bits_apart(first: str, second: str) -> int:
    return (int(first, 16) ^ int(second, 16)).bit_count()


@pytest.mark.parametrize("shape", [(1, 1, 1), (28, 28, 1), (3, 200, 3), (224, 224, 3), (600, 450, 1)])
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
    others = [bits_apart(first, second) for place, first in enumerate(hashes) for second in hashes[:place]]
    rng = np.random.default_rng(1)
    twins = [bits_apart(found, perceptual_hash(make_twin(film, rng))) for film, found in zip(films, hashes, strict=True) for _ in range(5)]
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
