"""Search for copies: the training image most similar to each image, under small changes.

A copy may be mirrored, shifted by up to MARGIN pixels, saved again or changed in contrast. The
search has two steps, as that of near-duplicates has (decision 0018): thumbnails of GRID x GRID
means find the CANDIDATES nearest training images of each image, of its mirror image, and of both
shifted; then the detail of each candidate (pixels minus the mean around them) is correlated with
the detail of the image at every shift. The similarity is the largest correlation.

No network is involved: the features of a network that has learned from the training images differ
between these and new images whatever a generator does (decision 0027).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medgan.metrics.features import Floats, Indices

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 64
"""Largest side at which images are compared, in pixels."""
GRID = 8
CANDIDATES = 8
MARGIN = 3
COARSE_SHIFTS = (-2, 0, 2)
"""Shifts of the thumbnails; the detail is compared at every shift up to MARGIN."""
SURROUNDINGS = 1 / 7
"""Side of the window of the local mean, as a share of the side of the image."""
AT_ONCE = 64
COMPARED_AT_ONCE = 4096
"""Training images of one block of the comparison of thumbnails."""


@dataclass(frozen=True)
class Matches:
    """The most similar training image of each of n images."""

    similarity: Floats
    """(n,), the correlation of the details, at most 1."""
    place: Indices
    """(n,), index of the training image."""
    mirrored: NDArray[np.bool_]
    """(n,), whether the image resembles it when it is mirrored."""

    @property
    def distance(self) -> Floats:
        """Euclidean distance of the normalized details: sqrt(2 - 2 similarity), (n,)."""
        return np.sqrt(np.clip(2 - 2 * self.similarity, 0, None))


def gray(images: Tensor) -> NDArray[np.uint8]:
    """Reduce (N, C, H, W) in [-1, 1] to gray images uint8 (N, h, w) of at most SIDE pixels."""
    import torch
    import torch.nn.functional as F

    height, width = images.shape[2:]
    size = min(SIDE, height), min(SIDE, width)
    pixels = F.adaptive_avg_pool2d(images.float().mean(1, keepdim=True), size)[:, 0]
    return ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def thumbnails(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Describe gray images (n, h, w) by GRID x GRID means of mean 0 and length 1: (n, D)."""
    import torch

    parts = torch.split(torch.from_numpy(images), COMPARED_AT_ONCE)
    return torch.cat([_thumbnail(_windows_at(part.float())) for part in parts]).numpy()


@dataclass(frozen=True)
class CopySearch:
    """The images among which similar ones are searched: uint8 (t, h, w), as `gray` makes them."""

    images: NDArray[np.uint8]

    def nearest(self, images: NDArray[np.uint8]) -> Matches:
        """Find the most similar one of each of (n, h, w)."""
        import torch

        if not len(images):
            return Matches(np.zeros(0), np.zeros(0, np.intp), np.zeros(0, bool))
        stacked = torch.split(torch.from_numpy(images), AT_ONCE)
        parts = [self._nearest(part.float()) for part in stacked]
        joined = (torch.cat(found).numpy() for found in zip(*parts, strict=True))
        similarity, place, mirrored = joined
        return Matches(similarity.astype(np.float64), place.astype(np.intp), mirrored)

    @cached_property
    def _thumbnails(self) -> Tensor:
        """(t, GRID * GRID)."""
        import torch

        return torch.from_numpy(thumbnails(self.images))

    def _nearest(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        import torch

        found = [self._correlated(one, self._candidates(one)) for one in (images, images.flip(2))]
        (similarity, place), (of_mirrored, other) = found
        mirrored = of_mirrored > similarity
        best = torch.maximum(similarity, of_mirrored)
        return best, torch.where(mirrored, other, place), mirrored

    def _candidates(self, images: Tensor) -> Tensor:
        """Indices (n, k) of the training images with the most similar thumbnails."""
        import torch

        shifts = product(COARSE_SHIFTS, repeat=2)
        shifted = torch.stack([_thumbnail(_windows_at(images, *shift)) for shift in shifts])
        best, places = images.new_zeros(len(images), 0), torch.zeros(len(images), 0).long()
        for start in range(0, len(self.images), COMPARED_AT_ONCE):
            block = self._thumbnails[start : start + COMPARED_AT_ONCE]
            here = (shifted @ block.T).amax(0)
            top = here.topk(min(CANDIDATES, len(block)), 1)
            best = torch.cat([best, top.values], 1)
            places = torch.cat([places, top.indices + start], 1)
        return places.gather(1, best.topk(min(CANDIDATES, best.shape[1]), 1).indices)

    def _correlated(self, images: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Largest correlation (n,) of the details over candidates and shifts, and whose it is."""
        import torch

        wanted, place = torch.unique(candidates, return_inverse=True)
        others = _unit(_windows_at(_detail(torch.from_numpy(self.images[wanted.numpy()]).float())))
        detail = _detail(images)
        shifts = product(range(-MARGIN, MARGIN + 1), repeat=2)
        windows = torch.stack([_unit(_windows_at(detail, *shift)) for shift in shifts], 1)
        found = (windows @ others[place].transpose(1, 2)).amax(1)
        best = found.max(1)
        return best.values, candidates.gather(1, best.indices[:, None])[:, 0]


def _windows_at(images: Tensor, down: int = 0, right: int = 0) -> Tensor:
    """Cut (n, h, w) by MARGIN on every side, shifted by up to MARGIN pixels."""
    height, width = images.shape[1:]
    top, left = MARGIN + down, MARGIN + right
    return images[:, top : height - 2 * MARGIN + top, left : width - 2 * MARGIN + left]


def _thumbnail(images: Tensor) -> Tensor:
    import torch.nn.functional as F

    return _unit(F.adaptive_avg_pool2d(images, GRID))


def _detail(images: Tensor) -> Tensor:
    """Subtract the mean of the surroundings of each pixel from (n, h, w)."""
    import torch.nn.functional as F

    reach = max(1, round(min(images.shape[1:]) * SURROUNDINGS / 2))
    padded = F.pad(images[:, None], (reach,) * 4, mode="reflect")
    side = 2 * reach + 1
    means = F.avg_pool2d(F.avg_pool2d(padded, (side, 1), 1), (1, side), 1)
    return images - means[:, 0]


def _unit(images: Tensor) -> Tensor:
    """Flatten to vectors (n, d) of mean 0 and length 1; a constant image becomes 0."""
    import torch.nn.functional as F

    flat = images.flatten(1)
    return F.normalize(flat - flat.mean(1, keepdim=True), dim=1, eps=1e-3)
