"""Convert stored uint8 pixels to network inputs, with seeded augmentation. numpy and torch only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

M = TypeVar("M", "Tensor", NDArray[Any])
Change: TypeAlias = "Callable[[Tensor], Tensor]"
"""What is done to images (N, C, H, W) in [-1, 1] before their intensity is scaled."""
STANDARD_RANGE = 3.0
"""Standard deviations that a standardised image keeps on either side of its mean."""
WINDOW = 0.5
"""Side of the window of `local` as a share of the image's side."""


def unit(pixels: Tensor) -> Tensor:
    """Map float pixels (N, C, H, W) linearly from [0, 255] to [-1, 1]."""
    return (pixels / 127.5).sub_(1.0)


def standardised(pixels: Tensor) -> Tensor:
    """Standardise each image, clip it to 3 standard deviations, divide by 3: removes exposure.

    Images are standardised before any padding, which would count as pixels.
    """
    return _clipped(_centered(pixels))


def _centered(pixels: Tensor) -> Tensor:
    import torch

    spread, mean = torch.std_mean(pixels, dim=(1, 2, 3), keepdim=True, correction=0)
    return (pixels - mean) / spread.clamp_min(1e-6)


def _clipped(scaled: Tensor) -> Tensor:
    return scaled.clamp(-STANDARD_RANGE, STANDARD_RANGE) / STANDARD_RANGE


def window_side(share: float, side: int) -> int:
    """Return the odd side in pixels of a window that is a share of the image's side: 15 of 28."""
    return 2 * int(share * side / 2) + 1


def local(pixels: Tensor, window: float) -> Tensor:
    """Standardise each pixel by the mean and spread of the window around it, clip to 3, divide by 3:
    removes exposure and shading.

    Local contrast normalization (Jarrett 2009, What is the Best Multi-Stage Architecture for Object
    Recognition?, section 2): v = x - mean of the window, s = root mean square of v in the window,
    y = v / max(c, s), where c is the mean of s over the image, so that flat regions stay flat. Mean
    and s are those of all channels together. Deviations: the window is a box, not a Gaussian; at the
    border only pixels inside the image count; clip and division by 3 as in `standardised`.

    Args:
        pixels: (N, C, H, W) float, before any padding.
        window: side of the window as a share of the longer side of the image.
    """
    side = window_side(window, max(pixels.shape[2:]))
    centered = _centered(pixels)  # so that a rounding error is small beside the floor of 1e-6
    values = centered - _box_mean(centered.mean(1, keepdim=True), side)
    spread = _box_mean(values.square().mean(1, keepdim=True), side).sqrt()
    floor = spread.mean(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
    return _clipped(values / spread.maximum(floor))


def _box_mean(images: Tensor, side: int) -> Tensor:
    """Average (N, 1, H, W) over the box of an odd side around each pixel, inside the image."""
    down, across = (_averaging(length, side).to(images) for length in images.shape[2:])
    return down @ images @ across.T


def _averaging(length: int, side: int) -> Tensor:
    """Return the matrix (length, length) that averages over a window of an odd side."""
    import torch

    places = torch.arange(length)
    near = ((places[:, None] - places).abs() <= side // 2).float()
    return near / near.sum(1, keepdim=True)


INTENSITY: dict[str, Callable[[Tensor, float], Tensor]] = {
    "unit": lambda pixels, _: unit(pixels),
    "standardised": lambda pixels, _: standardised(pixels),
    "local": local,
}
"""`preprocessing.intensity` -> how float pixels (N, C, H, W) of 0 to 255 become numbers in [-1, 1],
given `preprocessing.window`."""
WINDOWED = ("local",)
"""Keys of INTENSITY that use the window."""


@dataclass(frozen=True)
class Intensity:
    """How the pixels of an image become numbers in [-1, 1]."""

    name: str
    """A key of `INTENSITY`."""
    window: float | None = None
    """As a share of the image's side; None where the name uses none."""

    @classmethod
    def of(cls, name: str, window: float) -> Intensity:
        """Leave out a window that is not used."""
        return cls(name, window if name in WINDOWED else None)

    def __str__(self) -> str:
        return self.name if self.window is None else f"{self.name}, window {self.window:g}"

    def __call__(self, pixels: Tensor) -> Tensor:
        """Scale float pixels (N, C, H, W) of 0 to 255, before any padding."""
        return INTENSITY[self.name](pixels, WINDOW if self.window is None else self.window)


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


def crop_padding(maps: M, height: int, width: int) -> M:
    """Crop (..., size, size) to (..., height, width), the inverse of `pad_square`."""
    top, left = (maps.shape[-1] - height) // 2, (maps.shape[-1] - width) // 2
    return maps[..., top : top + height, left : left + width]


def prepare(
    pixels: Tensor, intensity: Intensity, size: int, change: Change | None = None
) -> Tensor:
    """Convert uint8 (N, H, W, C) to float32 (N, C, size, size) in [-1, 1], on the same device.

    `change` is done to the pixels first, mapped linearly to [-1, 1], as a new image would be
    changed: standardising removes a change of brightness, but for what saturates, and padding
    stays 0.
    """
    levels = pixels.permute(0, 3, 1, 2).float()
    if change is not None:
        levels = (change(unit(levels)) + 1.0) * 127.5
    return pad_square(intensity(levels), size).contiguous()


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

    from medgan.sharing import own, rows

    drawn = (torch.rand(rows(len(images)) * columns, generator=rng) * 2.0 - 1.0) * limit
    return own(drawn.view(-1, columns, 1, 1)).to(images.device)


def _where(images: Tensor, changed: Tensor, rng: torch.Generator) -> Tensor:
    """Replace each image with probability 1/2."""
    import torch

    from medgan.sharing import own, rows

    chosen = own(torch.rand(rows(len(images)), generator=rng) < 0.5)
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

    from medgan.sharing import own, rows

    turns = own(torch.randint(4, (rows(len(images)),), generator=rng)).to(images.device)
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
