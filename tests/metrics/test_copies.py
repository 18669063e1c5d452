"""Copies of images are found under every planted change, and new images are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medgan.metrics.copies import CANDIDATES, SIDE, CopySearch, gray, thumbnails
from medgan.metrics.planted import CHANGES, HELD_OUT_SHARE, calibrate, plant

COUNT = 60


def pictures(n: int, seed: int, side: int = 40) -> np.ndarray:
    """Smooth random images, all unlike each other: uint8 (n, side, side)."""
    noise = torch.from_numpy(np.random.default_rng(seed).normal(size=(n, 1, 10, 10)))
    smooth = torch.nn.functional.interpolate(noise, (side, side), mode="bicubic")[:, 0].numpy()
    return np.clip(smooth * 40 + 128, 0, 255).astype(np.uint8)


TRAINING = pictures(COUNT, 0)
SEARCH = CopySearch(TRAINING)


@pytest.mark.parametrize("kind", CHANGES)
def test_each_copy_is_nearest_to_its_original(kind: str) -> None:
    found = SEARCH.nearest(plant(TRAINING, 1)[kind])
    assert found.place.tolist() == list(range(COUNT))
    assert found.similarity.min() > 0.9
    assert found.mirrored.all() == (kind == "flipped")
    assert found.mirrored.any() == (kind == "flipped")


def test_the_similarity_of_a_pair_is_its_correlation() -> None:
    """No change: that of the two details within the margin, computed by numpy."""
    one, other = pictures(2, 3).astype(float)
    reach, margin = 3, 3

    def detail(image: np.ndarray) -> np.ndarray:
        padded = np.pad(image, reach, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1,) * 2)
        return image - windows.mean((2, 3))

    inside = slice(margin, 40 - margin)
    middle = detail(other)[inside, inside].ravel()
    expected = -1.0
    for image in (detail(one), detail(one[:, ::-1])):
        for down in range(2 * margin + 1):
            for right in range(2 * margin + 1):
                window = image[down : down + 34, right : right + 34].ravel()
                expected = max(expected, float(np.corrcoef(window, middle)[0, 1]))
    found = CopySearch(other[None].astype(np.uint8)).nearest(one[None].astype(np.uint8))
    assert found.similarity[0] == pytest.approx(expected, abs=1e-4)
    assert found.distance[0] == pytest.approx(np.sqrt(2 - 2 * expected), abs=1e-3)


def test_the_limit_lies_between_new_images_and_copies() -> None:
    held_out = SEARCH.nearest(pictures(200, 2)).similarity
    found = calibrate(SEARCH, held_out, TRAINING[:30], 0)
    assert found.held_out == pytest.approx(np.quantile(held_out, HELD_OUT_SHARE))
    assert found.limit == pytest.approx((found.held_out + found.planted) / 2)
    new = SEARCH.nearest(pictures(200, 4)).similarity
    assert (new >= found.limit).mean() <= 0.01
    for copies in plant(TRAINING[30:], 5).values():
        assert (SEARCH.nearest(copies).similarity >= found.limit).mean() >= 0.95


def test_where_copies_look_like_new_images_the_limit_is_that_of_the_new_ones() -> None:
    """Few held-out images are flagged whatever the copies are."""
    found = calibrate(SEARCH, np.full(100, 0.9999), TRAINING[:10], 0)
    assert found.planted < found.limit == pytest.approx(0.9999)


def test_images_are_gray_and_small() -> None:
    colors = torch.rand(2, 3, 2 * SIDE, SIDE // 2) * 2 - 1
    made = gray(colors)
    assert made.shape == (2, SIDE, SIDE // 2)
    expected = (colors.mean(1).reshape(2, SIDE, 2, SIDE // 2).mean(2) + 1) * 127.5
    assert np.abs(made - expected.numpy()).max() <= 0.5001


def test_no_image_and_few_training_images() -> None:
    assert len(SEARCH.nearest(TRAINING[:0]).similarity) == 0
    few = CopySearch(TRAINING[: CANDIDATES // 2]).nearest(TRAINING[:3])
    assert few.place.tolist() == [0, 1, 2]


def test_a_constant_image_is_like_nothing() -> None:
    assert SEARCH.nearest(np.full((1, 40, 40), 99, np.uint8)).similarity[0] == pytest.approx(0)
    assert np.isfinite(thumbnails(np.full((1, 40, 40), 99, np.uint8))).all()
