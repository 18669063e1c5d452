"""Images as a network sees them, and what a detector holds them against, in batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medgan.contracts import Reconstructs
from medgan.images.transforms import crop_padding

Images = Callable[[NDArray[np.int64]], Tensor]
"""Rows of the store (n,) to images (n, C, H, W) in [-1, 1]."""


def as_seen(images: Images, rows: NDArray[np.int64], side: tuple[int, int]) -> NDArray[np.float32]:
    """Images as the network sees them: (n, C, H, W) in [-1, 1], without padding; `side` is the height and width of the stored images."""
    return _plain(images(rows), side)


def counterparts(
    detector: Reconstructs,
    images: Images,
    rows: NDArray[np.int64],
    side: tuple[int, int],
    *,
    batch_size: int,
    seed: int,
    device: str,
) -> NDArray[np.float32]:
    """The image that each one is held against: (n, C, H, W) in [-1, 1], without padding.

    Args:
        detector: in eval mode, on `device`.
        images: rows of the store to images.
        rows: (n,) of the store, at least one.
        side: height and width of the stored images.
        batch_size: images at a time; a counterpart does not depend on it.
        seed: that of the scores, so that a search finds the image that was scored.
        device: where the detector is.
    """
    batches = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
    found = (detector.counterpart(images(batch).to(device), torch.Generator().manual_seed(seed)) for batch in batches)
    return np.concatenate([_plain(batch, side) for batch in found])


def windowed(images: NDArray[np.float32], references: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Images (n, C, H, W) as pixels (n, H, W, C), black and white being the darkest and the brightest value of the reference of each.

    An image and its counterpart in the window of the image can be compared by eye.
    """
    low = references.min((1, 2, 3), keepdims=True)
    span = np.maximum(references.max((1, 2, 3), keepdims=True) - low, 1e-6)
    pixels: NDArray[np.uint8] = np.rint(np.clip((images - low) / span, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def _plain(images: Tensor, side: tuple[int, int]) -> NDArray[np.float32]:
    array: NDArray[np.float32] = crop_padding(images.detach(), *side).float().cpu().numpy()
    return array
