"""Augmentations of what a discriminator sees: right values, allowed names, two derivatives."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from medgan.images import transforms
from medgan.training import augmentation
from medgan.training.augmentation import AUGMENTATIONS, augmented


@pytest.fixture
def images() -> Tensor:
    return torch.rand(64, 2, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_names_are_those_that_a_data_set_allows() -> None:
    assert AUGMENTATIONS.keys() == transforms.AUGMENTATIONS.keys()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_as_many_images_change_as_the_probability_says(name: str, images: Tensor) -> None:
    torch.manual_seed(1)
    assert torch.equal(augmented(images, [name], 0.0), images)
    always = (augmented(images, [name], 1.0) != images).flatten(1).any(1).float().mean()
    half = (augmented(images, [name], 0.5) != images).flatten(1).any(1).float().mean()
    expected = {"horizontal_flip": 0.5, "vertical_flip": 0.5, "quarter_turn": 0.75}.get(name, 1.0)
    assert always == pytest.approx(expected, abs=0.2)
    assert half == pytest.approx(expected / 2, abs=0.2)


def test_sampling_is_that_of_torch(images: Tensor) -> None:
    angle = torch.full((64, 1, 1), 0.3)
    rows, columns = augmentation._centered_grid(images)
    cosine, sine = angle.cos(), angle.sin()
    found = augmentation._sampled(
        images, cosine * rows - sine * columns, sine * rows + cosine * columns
    )
    matrix = torch.tensor([[0.3], [0.3]]).cos().expand(2, 1)
    affine = torch.zeros(64, 2, 3)
    affine[:, 0, 0] = affine[:, 1, 1] = matrix[0, 0]
    affine[:, 0, 1], affine[:, 1, 0] = torch.tensor(0.3).sin(), -torch.tensor(0.3).sin()
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    expected = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_shift_is_of_whole_pixels_and_repeats_the_border(images: Tensor) -> None:
    rows, columns = augmentation._centered_grid(images)
    shift = torch.full((64, 1, 1), 2.0)
    moved = augmentation._sampled(images, rows + shift, columns + 0 * shift)
    assert torch.equal(moved[:, :, :-2], images[:, :, 2:])
    assert torch.equal(moved[:, :, -1], images[:, :, -1])


def test_contrast_keeps_the_mean_and_brightness_the_differences(images: Tensor) -> None:
    torch.manual_seed(2)
    changed = augmented(images, ["contrast"], 1.0)
    torch.testing.assert_close(changed.mean((1, 2, 3)), images.mean((1, 2, 3)))
    offsets = (augmented(images, ["brightness"], 1.0) - images).flatten(1)
    assert offsets.std(1).max() < 1e-6
    assert 0.4 < offsets.abs().max() <= 0.5


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_differentiable_twice(name: str) -> None:
    images = torch.rand(2, 1, 5, 5, dtype=torch.float64, requires_grad=True)

    def change(values: Tensor) -> Tensor:
        torch.manual_seed(3)
        return augmented(values, [name], 1.0).square()

    assert torch.autograd.gradcheck(change, images, atol=1e-4)
    assert torch.autograd.gradgradcheck(change, images, atol=1e-4)
