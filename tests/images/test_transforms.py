from __future__ import annotations

import numpy as np
import pytest
import torch

from medgan.errors import UserError
from medgan.images.transforms import (
    AUGMENTATIONS,
    augment,
    check_augmentations,
    crop_padding,
    pad_square,
    prepare,
)

PIXELS = torch.from_numpy(
    np.random.default_rng(2).integers(20, 200, (6, 28, 28, 1), dtype=np.uint8)
)


@pytest.mark.parametrize("intensity", ["unit", "standardised"])
def test_prepared_images_are_square_float_and_in_range(intensity: str) -> None:
    images = prepare(PIXELS, intensity, 32)
    assert images.shape == (6, 1, 32, 32)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1


def test_unit_maps_the_ends_of_the_scale() -> None:
    ends = torch.tensor([0, 255], dtype=torch.uint8).repeat(32, 16)[None, :, :, None]
    assert set(prepare(ends, "unit", 32).unique().tolist()) == {-1.0, 1.0}


def test_standardising_is_the_formula_of_each_image_alone() -> None:
    image = PIXELS[3].numpy().astype(np.float64)
    expected = np.clip((image - image.mean()) / image.std(), -3, 3) / 3
    inner = crop_padding(prepare(PIXELS, "standardised", 32), 28, 28)
    assert np.allclose(inner[3, 0].numpy(), expected[:, :, 0], atol=1e-5)
    assert torch.equal(
        prepare(PIXELS[3:4], "standardised", 32), prepare(PIXELS, "standardised", 32)[3:4]
    )


def test_standardising_removes_exposure() -> None:
    darker = (PIXELS.float() * 0.5 + 10).round().to(torch.uint8)
    assert torch.allclose(
        prepare(darker, "standardised", 32), prepare(PIXELS, "standardised", 32), atol=0.01
    )


def test_a_constant_image_stays_finite() -> None:
    assert (
        prepare(torch.full((1, 32, 32, 1), 7, dtype=torch.uint8), "standardised", 32).abs().max()
        == 0
    )


def test_padding_keeps_distances_and_can_be_undone() -> None:
    images = torch.randn(4, 1, 27, 30)
    padded = pad_square(images, 32)
    assert torch.equal(crop_padding(padded, 27, 30), images)
    assert torch.allclose(
        torch.cdist(padded.flatten(1), padded.flatten(1)),
        torch.cdist(images.flatten(1), images.flatten(1)),
        atol=1e-4,
    )


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentation_changes_each_image_a_little_and_repeatably(name: str) -> None:
    images = prepare(PIXELS, "standardised", 32).repeat(4, 1, 1, 1)
    changed = augment(images, [name], torch.Generator().manual_seed(5))
    assert changed.shape == images.shape
    assert changed.abs().max() <= 1
    assert torch.equal(changed, augment(images, [name], torch.Generator().manual_seed(5)))
    assert not torch.equal(changed, augment(images, [name], torch.Generator().manual_seed(6)))
    assert not torch.equal(changed[0], changed[6]) or not torch.equal(changed[0], changed[12]), (
        "each image has a draw of its own"
    )


def test_translation_moves_a_dot_by_a_few_pixels_at_most() -> None:
    images = torch.full((64, 1, 64, 64), -1.0)
    images[:, :, 31:33, 31:33] = 1.0
    changed = augment(images, ["translation"], torch.Generator().manual_seed(1)) + 1
    weights = changed / changed.sum(dim=(2, 3), keepdim=True)
    columns = (weights.sum(dim=2) * torch.arange(64)).sum(dim=2).squeeze(1)
    assert (columns - 31.5).abs().max() <= 3.3
    assert columns.std() > 0.8


@pytest.mark.parametrize(
    ("name", "views"), [("horizontal_flip", 2), ("vertical_flip", 2), ("quarter_turn", 4)]
)
def test_a_flip_or_turn_gives_each_of_its_views_and_loses_no_pixel(name: str, views: int) -> None:
    image = prepare(PIXELS[:1], "standardised", 32)
    changed = augment(image.repeat(64, 1, 1, 1), [name], torch.Generator().manual_seed(0))
    assert len(changed.unique(dim=0)) == views
    assert torch.equal(
        changed.flatten(1).sort(dim=1).values, image.flatten(1).sort(dim=1).values.expand(64, -1)
    )
    expected = {
        "horizontal_flip": [image, image.flip(3)],
        "vertical_flip": [image, image.flip(2)],
        "quarter_turn": [torch.rot90(image, turns, (2, 3)) for turns in range(4)],
    }[name]
    assert torch.equal(changed.unique(dim=0), torch.cat(expected).unique(dim=0))


def test_an_unknown_augmentation_is_refused_with_the_choices() -> None:
    with pytest.raises(
        UserError,
        match=r"augmentation\.allowed names `spin`.*rotation, translation, brightness, contrast, horizontal_flip",
    ):
        check_augmentations(["rotation", "spin"])
