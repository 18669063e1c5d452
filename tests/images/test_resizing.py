from __future__ import annotations

import numpy as np
import pytest

from medgan.contracts import Refusal
from medgan.images.resizing import Crop, crop_image, fit_square


def test_an_image_of_the_right_size_is_left_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 1), dtype=np.uint8)
    assert np.array_equal(fit_square(image, 32, 1), image)
    assert np.array_equal(fit_square(image, 32, 3), np.repeat(image, 3, axis=2))


def test_shrinking_averages_instead_of_picking() -> None:
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, None]
    small = fit_square(board, 32, 1)
    assert small.shape == (32, 32, 1)
    assert np.abs(small.astype(int) - 127).max() <= 2


def test_the_crop_takes_the_top_and_then_the_central_square() -> None:
    rows, columns = np.mgrid[:100, :200]
    image = np.dstack([rows, columns, rows]).astype(np.uint8)
    kept = crop_image(image, Crop(top=0.08, centre=True))
    assert kept.shape == (92, 92, 3)
    assert kept[0, 0, 0] == 8
    assert kept[0, 0, 1] == 54
    assert fit_square(image, 16, 3, Crop(centre=True)).shape == (16, 16, 3)


def test_a_crop_of_everything_is_refused() -> None:
    with pytest.raises(Refusal, match=r"preprocessing\.crop\.top is 1\.0"):
        Crop(top=1.0)
