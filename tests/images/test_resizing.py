from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

from medgan.errors import UserError
from medgan.images.resizing import (
    Box,
    Crop,
    crop_image,
    fit_square,
    kept_box,
    thumbnail,
    unfit_square,
)


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
    with pytest.raises(UserError, match=r"preprocessing\.crop\.top is 1\.0"):
        Crop(top=1.0)


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
def test_each_side_can_be_cut_and_not_all_of_it(side: str) -> None:
    kept = kept_box(100, 200, Crop(**{side: 0.1}))
    assert kept == Box(
        10 * (side == "top"),
        20 * (side == "left"),
        100 - 10 * (side == "bottom"),
        200 - 20 * (side == "right"),
    )
    with pytest.raises(UserError, match=rf"preprocessing\.crop\.{side} is -0\.1"):
        Crop(**{side: -0.1})


def test_sides_that_leave_nothing_are_refused() -> None:
    with pytest.raises(UserError, match=r"top and preprocessing\.crop\.bottom leave nothing"):
        Crop(top=0.5, bottom=0.5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (2, 3), (7, 3)])
def test_something_is_always_kept(height: int, width: int) -> None:
    for crop in (
        Crop(top=0.6, bottom=0.39, left=0.5, right=0.49),
        Crop(top=0.99, centre=True),
        Crop(pad=True),
    ):
        assert min(kept_box(height, width, crop).height, kept_box(height, width, crop).width) >= 1
        assert fit_square(np.full((height, width, 1), 9, np.uint8), 16, 1, crop).max() == 9


def torchvision_order(image: np.ndarray, size: int) -> np.ndarray:
    """S1: the short side to `size`, then the central square."""
    resized = Resize(size, InterpolationMode.BILINEAR)(Image.fromarray(image[:, :, 0]))
    return np.asarray(CenterCrop(size)(resized)).astype(int)


def test_the_central_square_before_resizing_is_that_after_it_but_for_the_filter_at_the_border() -> (
    None
):
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 1), dtype=np.uint8)
    difference = np.abs(
        torchvision_order(image, 32) - fit_square(image, 32, 1, Crop(centre=True))[:, :, 0]
    )
    assert difference[:, 1:-1].max() <= 1
    assert difference.max() <= 64


@pytest.mark.parametrize("shape", [(100, 201), (333, 100), (97, 151), (1000, 1501), (230, 229)])
def test_where_the_margins_are_no_whole_pixels_the_two_orders_are_less_than_a_pixel_apart(
    shape: tuple[int, int],
) -> None:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for places, length in ((rows, shape[0]), (columns, shape[1])):
        ramp = (places * 250 / length).astype(np.uint8)[:, :, None]
        a_pixel = 250 / length * min(shape) / 32
        assert (
            np.abs(
                torchvision_order(ramp, 32) - fit_square(ramp, 32, 1, Crop(centre=True))[:, :, 0]
            ).max()
            <= a_pixel + 1
        )


def test_bars_keep_all_of_an_image_and_its_proportions() -> None:
    image = np.full((60, 120, 1), 200, np.uint8)
    square = fit_square(image, 32, 1, Crop(pad=True))
    assert (square[8:24] == 200).all()
    assert square[:8].max() == square[24:].max() == 0
    assert np.array_equal(
        fit_square(image[:, :60], 32, 3, Crop(pad=True)), fit_square(image[:, :60], 32, 3)
    )
    with pytest.raises(UserError, match="choose one of them"):
        Crop(pad=True, centre=True)


def test_a_thumbnail_keeps_the_proportions() -> None:
    assert thumbnail(np.zeros((50, 200, 3), np.uint8), 64, 3).shape == (16, 64, 3)
    assert thumbnail(np.zeros((500, 2, 1), np.uint8), 64, 1).shape == (64, 1, 1)


@pytest.mark.parametrize(
    "crop", [None, Crop(pad=True), Crop(centre=True), Crop(top=0.25, left=0.1)]
)
def test_a_map_returns_to_its_place_in_the_original(crop: Crop | None) -> None:
    image = np.zeros((80, 120, 1), np.uint8)
    image[48:56, 66:78] = 255
    small = fit_square(image, 40, 1, crop)[:, :, 0].astype(np.float32)
    whole = unfit_square(small, 80, 120, crop, outside=-1.0)
    assert whole.shape == (80, 120)
    rows, columns = np.nonzero(whole > 127)
    assert abs(rows.mean() - 51.5) < 1.5
    assert abs(columns.mean() - 71.5) < 1.5
    box = kept_box(80, 120, crop)
    left_out = np.ones((80, 120), bool)
    left_out[box.top : box.bottom, box.left : box.right] = False
    assert (whole[left_out] == -1).all()
    assert (whole[~left_out] >= 0).all()
