"""Differentiable augmentations of what a discriminator sees (DiffAugment, Zhao 2020).

The names are those of `images.transforms.AUGMENTATIONS`, so that `augmentation.allowed` decides
about both; the changes are larger, since they need not keep an image real, only tell nothing that G
could learn. Each is differentiable twice, as penalties of gradients need.

Strengths are the paper's: shifts by up to 1/8 of the side, brightness by up to 0.5, contrast by a
factor of 0.5 to 1.5; it has no rotation, here up to 15 degrees, and no flips. Deviation: what is
shifted in repeats the border, where the paper has black.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from medgan.images import transforms
from medgan.sharing import own, rows

LARGEST_ANGLE = math.radians(15.0)
LARGEST_SHIFT = 1 / 8
LARGEST_BRIGHTNESS = LARGEST_CONTRAST = 0.5


def augmented(images: Tensor, names: Sequence[str], share: float) -> Tensor:
    """Change images (N, C, H, W), each by each augmentation with the probability `share`.

    The changes are drawn by the global generator of the CPU, which the training seeds for each
    update.
    """
    for name in names:
        images = AUGMENTATIONS[name](images, share)
    return images


def _drawn(images: Tensor, share: float, columns: int = 1) -> Tensor:
    """Draw (N, columns, 1, 1) from U(-1, 1), and 0 for images that are left as they are."""
    count = rows(len(images))
    values = 2 * torch.rand(count, columns) - 1
    values *= torch.rand(count, 1) < share
    return own(values)[:, :, None, None].to(images.device)


def _rotation(images: Tensor, share: float) -> Tensor:
    angles = LARGEST_ANGLE * _drawn(images, share).squeeze(1)
    rows, columns = _centered_grid(images)
    cosine, sine = angles.cos(), angles.sin()
    return _sampled(images, cosine * rows - sine * columns, sine * rows + cosine * columns)


def _translation(images: Tensor, share: float) -> Tensor:
    sides = torch.tensor(images.shape[2:], device=images.device)[:, None, None]
    shifts = (LARGEST_SHIFT * sides * _drawn(images, share, 2)).round()
    rows, columns = _centered_grid(images)
    return _sampled(images, rows + shifts[:, 0], columns + shifts[:, 1])


def _brightness(images: Tensor, share: float) -> Tensor:
    return images + LARGEST_BRIGHTNESS * _drawn(images, share)


def _contrast(images: Tensor, share: float) -> Tensor:
    means = images.mean((1, 2, 3), keepdim=True)
    return images + (images - means) * LARGEST_CONTRAST * _drawn(images, share)


def _as_real(name: str, images: Tensor, share: float) -> Tensor:
    """Change images as a data set's are changed."""
    changed = transforms.AUGMENTATIONS[name](images, torch.default_generator)
    chosen = own(torch.rand(rows(len(images)), 1, 1, 1)) < share
    return torch.where(chosen.to(images.device), changed, images)


AUGMENTATIONS: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "rotation": _rotation,
    "translation": _translation,
    "brightness": _brightness,
    "contrast": _contrast,
    **{
        name: partial(_as_real, name)
        for name in ("horizontal_flip", "vertical_flip", "quarter_turn")
    },
}
"""Name -> change of images (N, C, H, W) with a probability."""


def _centered_grid(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the row (H, 1) and the column (1, W) of each pixel, counted from the center."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) - (height - 1) / 2
    columns = torch.arange(width, device=images.device) - (width - 1) / 2
    return rows[:, None], columns[None]


def _sampled(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Interpolate images (N, C, H, W) bilinearly at rows and columns (N, H, W), from the center; the
    border is repeated.

    `grid_sample` has no second derivative.
    """
    height, width = images.shape[2:]
    rows = (rows + (height - 1) / 2).clamp(0, height - 1).expand(-1, height, width)
    columns = (columns + (width - 1) / 2).clamp(0, width - 1).expand(-1, height, width)
    pixels, total = images.flatten(2), torch.zeros_like(images)
    for row in (rows.floor(), rows.floor() + 1):
        for column in (columns.floor(), columns.floor() + 1):
            weight = (1 - (rows - row).abs()) * (1 - (columns - column).abs())
            index = (row.clamp(max=height - 1) * width + column.clamp(max=width - 1)).long()
            index = index.flatten(1)[:, None].expand(-1, images.shape[1], -1)
            total = total + weight[:, None] * pixels.gather(2, index).view_as(images)
    return total
