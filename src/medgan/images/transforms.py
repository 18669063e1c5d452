"""Convert stored uint8 pixels to network inputs, with seeded augmentation. numpy and torch only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

STANDARD_RANGE = 3.0
"""Standard deviations that a standardised image keeps on either side of its mean."""


def unit(pixels: Tensor) -> Tensor:
    """Map float pixels (N, C, H, W) linearly from [0, 255] to [-1, 1]."""
    return pixels / 127.5 - 1.0


def standardised(pixels: Tensor) -> Tensor:
    """Standardise each image, clip it to 3 standard deviations, divide by 3: removes exposure."""
    import torch

    spread, mean = torch.std_mean(pixels, dim=(1, 2, 3), keepdim=True, correction=0)
    scaled = (pixels - mean) / spread.clamp_min(1e-6)
    return scaled.clamp(-STANDARD_RANGE, STANDARD_RANGE) / STANDARD_RANGE


INTENSITY: dict[str, Callable[[Tensor], Tensor]] = {"unit": unit, "standardised": standardised}
"""`preprocessing.intensity` -> how the pixels of an image become numbers in [-1, 1]."""


def pad_square(images: Tensor, size: int) -> Tensor:
    """Pad (N, C, H, W) around with zeros to (N, C, size, size).

    Zero keeps the distance of two images; a repeated border would count several times.
    """
    import torch.nn.functional as F

    height, width = images.shape[2:]
    if (height, width) == (size, size):
        return images
    top, left = (size - height) // 2, (size - width) // 2
    return F.pad(images, (left, size - width - left, top, size - height - top))


def crop_padding(maps: Tensor, height: int, width: int) -> Tensor:
    """Crop (N, C, size, size) to (N, C, height, width), the inverse of `pad_square`."""
    top, left = (maps.shape[-1] - height) // 2, (maps.shape[-1] - width) // 2
    return maps[..., top : top + height, left : left + width]


def prepare(pixels: Tensor, intensity: str, size: int) -> Tensor:
    """Convert uint8 (N, H, W, C) to float32 (N, C, size, size) in [-1, 1], on the same device."""
    return pad_square(INTENSITY[intensity](pixels.permute(0, 3, 1, 2).float()), size).contiguous()


def as_uint8(images: Tensor) -> NDArray[np.uint8]:
    """Convert (n, C, H, W) in [-1, 1] to (n, H, W, C) uint8."""
    import torch

    pixels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.asarray(pixels.permute(0, 2, 3, 1).cpu().numpy())


def as_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """Convert (n, H, W, C) uint8 to (n, C, H, W) in [-1, 1], the inverse of `as_uint8`."""
    import torch

    return unit(torch.from_numpy(pixels).permute(0, 3, 1, 2).float())


def _uniform(images: Tensor, limit: float, rng: torch.Generator, columns: int = 1) -> Tensor:
    """Draw (N, columns, 1, 1) numbers in [-limit, limit], on the device of the images."""
    import torch

    drawn = (torch.rand(len(images) * columns, generator=rng) * 2.0 - 1.0) * limit
    return drawn.view(len(images), columns, 1, 1).to(images.device)


def _where(images: Tensor, changed: Tensor, rng: torch.Generator) -> Tensor:
    """Replace each image with probability 1/2."""
    import torch

    chosen = torch.rand(len(images), generator=rng) < 0.5
    return torch.where(chosen.to(images.device)[:, None, None, None], changed, images)


def _warp(images: Tensor, angles: Tensor, shifts: Tensor) -> Tensor:
    """Rotate by `angles` (N,), shift by `shifts` (N, 2) as shares of the half side."""
    import torch
    import torch.nn.functional as F

    cosine, sine = torch.cos(angles), torch.sin(angles)
    first = torch.stack([cosine, -sine, shifts[:, 0]], 1)
    second = torch.stack([sine, cosine, shifts[:, 1]], 1)
    affine = torch.stack([first, second], 1)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def rotation(images: Tensor, rng: torch.Generator) -> Tensor:
    """Rotate each image by up to 7 degrees."""
    angles = _uniform(images, math.radians(7.0), rng).view(-1)
    return _warp(images, angles, angles.new_zeros(len(images), 2))


def translation(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shift each image by up to 5 % of its side."""
    shifts = _uniform(images, 0.1, rng, 2).view(-1, 2)
    return _warp(images, shifts.new_zeros(len(images)), shifts)


def horizontal_flip(images: Tensor, rng: torch.Generator) -> Tensor:
    """Mirror each image with probability 1/2. Wrong for chest radiographs: the heart has a side."""
    return _where(images, images.flip(3), rng)


def vertical_flip(images: Tensor, rng: torch.Generator) -> Tensor:
    """Turn each image upside down with probability 1/2, for images without an upright."""
    return _where(images, images.flip(2), rng)


def quarter_turn(images: Tensor, rng: torch.Generator) -> Tensor:
    """Rotate each square image by 0, 90, 180 or 270 degrees, for images without an upright."""
    import torch

    turns = torch.randint(4, (len(images),), generator=rng).to(images.device)
    turned = torch.stack([torch.rot90(images, count, (2, 3)) for count in range(4)])
    return turned[turns, torch.arange(len(images), device=images.device)]


def brightness(images: Tensor, rng: torch.Generator) -> Tensor:
    """Add up to 0.1 to each image, or subtract it."""
    return (images + _uniform(images, 0.1, rng)).clamp(-1.0, 1.0)


def contrast(images: Tensor, rng: torch.Generator) -> Tensor:
    """Stretch or shrink the contrast of each image around its mean by up to 15 %."""
    means = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - means) * (1.0 + _uniform(images, 0.15, rng)) + means).clamp(-1.0, 1.0)


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    function.__name__: function
    for function in (
        *(rotation, translation, brightness, contrast),
        *(horizontal_flip, vertical_flip, quarter_turn),
    )
}
"""Name -> change of (N, C, H, W) images in [-1, 1]. `augmentation.allowed` lists those that keep
the labels of a data set."""


def check_augmentations(names: Sequence[str], where: str = "augmentation.allowed") -> None:
    """Raise `UserError` for a name that is not in AUGMENTATIONS."""
    for name in names:
        if name not in AUGMENTATIONS:
            known = ", ".join(AUGMENTATIONS)
            raise UserError(f"{where} names `{name}`, which does not exist; choose from {known}")


def augment(images: Tensor, names: Sequence[str], rng: torch.Generator) -> Tensor:
    """Apply the named augmentations in turn, drawn for each image."""
    for name in names:
        images = AUGMENTATIONS[name](images, rng)
    return images
