"""Planted copies: changed training images, by which a search for copies is calibrated and tested.

Each change maps gray images uint8 (n, h, w) to as many copies.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.metrics.copies import CopySearch
from medgan.metrics.features import Floats

Gray = NDArray[np.uint8]
Change = Callable[[Gray, np.random.Generator], Gray]
SHIFT = 2
"""Pixels by which a copy is shifted, in one direction or in both."""
QUALITIES = (50, 90)
"""Of JPEG."""
CONTRASTS = (0.6, 1.4)
HELD_OUT_SHARE = 0.995
"""Share of the held-out images that the limit leaves unflagged, at least."""
FOUND_SHARE = 0.95


def exact(images: Gray, rng: np.random.Generator) -> Gray:
    """Copy without a change."""
    return images.copy()


def flipped(images: Gray, rng: np.random.Generator) -> Gray:
    """Mirror left and right."""
    return np.ascontiguousarray(images[:, :, ::-1])


def shifted(images: Gray, rng: np.random.Generator) -> Gray:
    """Shift by SHIFT pixels in one of the eight directions; the edge is repeated."""
    steps = [(x, y) for x in (-SHIFT, 0, SHIFT) for y in (-SHIFT, 0, SHIFT) if x or y]
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)), mode="edge")
    height, width = images.shape[1:]
    copies = np.empty_like(images)
    for place, (x, y) in enumerate(rng.choice(steps, len(images))):
        copies[place] = padded[place, SHIFT + y : SHIFT + y + height, SHIFT + x : SHIFT + x + width]
    return copies


def recompressed(images: Gray, rng: np.random.Generator) -> Gray:
    """Save as JPEG of a quality of QUALITIES."""
    from PIL import Image

    copies = np.empty_like(images)
    for place, quality in enumerate(rng.integers(QUALITIES[0], QUALITIES[1] + 1, len(images))):
        buffer = io.BytesIO()
        Image.fromarray(images[place]).save(buffer, "JPEG", quality=int(quality))
        copies[place] = np.asarray(Image.open(buffer))
    return copies


def contrasted(images: Gray, rng: np.random.Generator) -> Gray:
    """Scale the deviation of the pixels from their mean by a factor of CONTRASTS."""
    means = images.mean((1, 2), keepdims=True)
    factors = rng.uniform(*CONTRASTS, (len(images), 1, 1))
    return np.clip((images - means) * factors + means, 0, 255).round().astype(np.uint8)


CHANGES: Mapping[str, Change] = {
    "exact": exact,
    "flipped": flipped,
    "shifted": shifted,
    "re-encoded": recompressed,
    "contrast": contrasted,
}


@dataclass(frozen=True)
class Calibration:
    """The similarity from which an image is flagged, and what it rests on."""

    limit: float
    held_out: float
    """Similarity below which HELD_OUT_SHARE of the held-out images are."""
    planted: float
    """Similarity above which FOUND_SHARE of the planted copies of every kind are."""


def plant(images: Gray, seed: int) -> dict[str, Gray]:
    """Make copies of every kind of each image (n, h, w)."""
    return {
        name: change(images, np.random.default_rng([seed, place]))
        for place, (name, change) in enumerate(CHANGES.items())
    }


def calibrate(search: CopySearch, held_out: Floats, originals: Gray, seed: int) -> Calibration:
    """Choose the limit halfway between held-out images and planted copies of training images (m, h,
    w).

    Where these overlap, the limit is that of the held-out images, so that few of them are flagged.
    Nothing is reported later with the held-out images of these similarities (n,).
    """
    genuine = float(np.quantile(held_out, HELD_OUT_SHARE))
    planted = min(
        float(np.quantile(search.nearest(copies).similarity, 1 - FOUND_SHARE))
        for copies in plant(originals, seed).values()
    )
    return Calibration(max(genuine, (genuine + planted) / 2), genuine, planted)
