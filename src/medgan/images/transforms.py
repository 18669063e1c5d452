"""From stored uint8 pixels to what a network sees, and seeded augmentation. numpy and torch
only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from medgan.errors import UserError

STANDARD_RANGE = 3.0
"""Standard deviations that a standardised image keeps on either side of its mean."""


def unit(pixels: Tensor) -> Tensor:
    """Float pixels (N, C, H, W) in [0, 255], mapped linearly to [-1, 1]."""
    return pixels / 127.5 - 1.0


def standardised(pixels: Tensor) -> Tensor:
    """Each image (N, C, H, W) with zero mean and unit spread, clipped to 3 standard deviations and
    divided by 3: in [-1, 1].

    Removes the exposure of a film. Computed in float, after the uint8 store and before any padding.
    """
    spread, mean = torch.std_mean(pixels, dim=(1, 2, 3), keepdim=True, correction=0)
    return ((pixels - mean) / spread.clamp_min(1e-6)).clamp(
        -STANDARD_RANGE, STANDARD_RANGE
    ) / STANDARD_RANGE


INTENSITY: dict[str, Callable[[Tensor], Tensor]] = {"unit": unit, "standardised": standardised}
"""How the pixels of an image become numbers in [-1, 1]: `preprocessing.intensity`."""


def _margins(height: int, width: int, size: int) -> tuple[int, int]:
    return (size - height) // 2, (size - width) // 2


def pad_square(images: Tensor, size: int) -> Tensor:
    """(N, C, H, W) in the middle of (N, C, size, size), zeros around it.

    Zero is the mean of a standardised image and the middle grey otherwise. It leaves the distance
    of two images as it was; repeating the border would weigh the border, the part of a film that
    tells least about the patient, several times over.
    """
    height, width = images.shape[2:]
    top, left = _margins(height, width, size)
    return (
        F.pad(images, (left, size - width - left, top, size - height - top))
        if (height, width) != (size, size)
        else images
    )


def crop_padding(maps: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pad_square`: (N, C, size, size) to (N, C, height, width)."""
    top, left = _margins(height, width, maps.shape[-1])
    return maps[..., top : top + height, left : left + width]


def prepare(pixels: Tensor, intensity: str, size: int) -> Tensor:
    """uint8 (N, H, W, C) to float32 (N, C, size, size) in [-1, 1], on the device of `pixels`."""
    return pad_square(INTENSITY[intensity](pixels.permute(0, 3, 1, 2).float()), size).contiguous()


def as_uint8(images: Tensor) -> NDArray[np.uint8]:
    """(n, C, H, W) in [-1, 1] to (n, H, W, C) uint8."""
    pixels: NDArray[np.uint8] = (
        ((images + 1) * 127.5)
        .round()
        .clamp(0, 255)
        .to(torch.uint8)
        .permute(0, 2, 3, 1)
        .cpu()
        .numpy()
    )
    return pixels


def as_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """The inverse of `as_uint8`, up to its rounding."""
    return unit(torch.from_numpy(pixels).permute(0, 3, 1, 2).float())


def _uniform(count: int, limit: float, rng: torch.Generator) -> Tensor:
    return (torch.rand(count, generator=rng) * 2.0 - 1.0) * limit


def _warp(images: Tensor, angles: Tensor, shifts: Tensor) -> Tensor:
    """Rotates by `angles` (N,), shifts by `shifts` (N, 2) as shares of the half side."""
    cosine, sine = torch.cos(angles), torch.sin(angles)
    rows = [
        torch.stack([cosine, -sine, shifts[:, 0]], 1),
        torch.stack([sine, cosine, shifts[:, 1]], 1),
    ]
    grid = F.affine_grid(
        torch.stack(rows, 1).to(images.device), list(images.shape), align_corners=False
    )
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def rotation(images: Tensor, rng: torch.Generator) -> Tensor:
    """Turns each image by up to 7 degrees."""
    count = len(images)
    return _warp(images, _uniform(count, math.radians(7.0), rng), torch.zeros(count, 2))


def translation(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shifts each image by up to 5 % of its side."""
    count = len(images)
    return _warp(images, torch.zeros(count), _uniform(2 * count, 0.1, rng).view(count, 2))


def horizontal_flip(images: Tensor, rng: torch.Generator) -> Tensor:
    """Mirrors each image with probability 1/2. Wrong for chest films: the heart would change
    sides.
    """
    mirrored = (torch.rand(len(images), generator=rng) < 0.5).to(images.device)
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def vertical_flip(images: Tensor, rng: torch.Generator) -> Tensor:
    """Turns each image upside down with probability 1/2. For images without an upright, such as
    dermatoscopy or microscopy.
    """
    inverted = (torch.rand(len(images), generator=rng) < 0.5).to(images.device)
    return torch.where(inverted[:, None, None, None], images.flip(2), images)


def quarter_turn(images: Tensor, rng: torch.Generator) -> Tensor:
    """Turns each square image by 0, 90, 180 or 270 degrees. For images without an upright."""
    turns = torch.randint(4, (len(images),), generator=rng).to(images.device)
    turned = torch.stack([torch.rot90(images, count, (2, 3)) for count in range(4)])
    return turned[turns, torch.arange(len(images), device=images.device)]


def brightness(images: Tensor, rng: torch.Generator) -> Tensor:
    """Adds up to 0.1 to each image, or takes it away."""
    return (images + _uniform(len(images), 0.1, rng).to(images.device)[:, None, None, None]).clamp(
        -1.0, 1.0
    )


def contrast(images: Tensor, rng: torch.Generator) -> Tensor:
    """Stretches each image about its mean by up to 15 %, or shrinks it."""
    factors = 1.0 + _uniform(len(images), 0.15, rng).to(images.device)[:, None, None, None]
    means = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - means) * factors + means).clamp(-1.0, 1.0)


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "rotation": rotation,
    "translation": translation,
    "brightness": brightness,
    "contrast": contrast,
    "horizontal_flip": horizontal_flip,
    "vertical_flip": vertical_flip,
    "quarter_turn": quarter_turn,
}
"""Label-preserving changes of (N, C, H, W) images in [-1, 1]. `augmentation.allowed` says which
ones a data set bears.
"""


def check_augmentations(names: Sequence[str], where: str = "augmentation.allowed") -> None:
    """Refuses names that are not in AUGMENTATIONS."""
    unknown = [name for name in names if name not in AUGMENTATIONS]
    if unknown:
        raise UserError(
            f"{where} names `{unknown[0]}`, which does not exist; choose from {', '.join(AUGMENTATIONS)}"
        )


def augment(images: Tensor, names: Sequence[str], rng: torch.Generator) -> Tensor:
    """Applies the named augmentations in turn; each image gets its own draw."""
    for name in names:
        images = AUGMENTATIONS[name](images, rng)
    return images
