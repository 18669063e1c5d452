"""Similarity of images of one class to each other: MS-SSIM of random pairs (Odena 2017, section 4.2).

A generator that draws one image again and again has a similarity near 1. Real images of the class
are the reference: above it, synthetic images are more alike than real ones.

MS-SSIM (Wang 2003, package `piq`) has five scales, the coarsest of which takes a side of 161
pixels. Smaller images have as many scales as fit, with the weights of these, so values of different
sides do not compare.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medgan.errors import UserError

PAIRS = 100
"""As published; fewer where there are fewer than 200 images."""
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
KERNEL = 11


def scales(side: int) -> int:
    """Return the number of scales that fit into the shorter side of an image."""
    return sum((KERNEL - 1) * 2**scale < side for scale in range(len(WEIGHTS)))


def similarities(images: Tensor, groups: NDArray[Any] | None = None, seed: int = 0) -> Tensor:
    """Compute the MS-SSIM of random pairs: (pairs,), in [0, 1].

    No image is in two pairs, and no pair is of one patient.

    Args:
        images: (N, C, H, W) in [-1, 1], of one class.
        groups: (N,), the patient of each.
        seed: of the pairs.

    Raises:
        UserError: there are fewer than two pairs, or the images are smaller than the kernel.
    """
    from piq import multi_scale_ssim

    order = np.random.default_rng(seed).permutation(len(images))
    first, second = order[: len(order) // 2], order[len(order) // 2 :][: len(order) // 2]
    if groups is not None:
        apart = groups[first] != groups[second]
        first, second = first[apart], second[apart]
    if len(first) < 2:
        raise UserError(
            f"{len(images)} images make no two pairs for MS-SSIM: draw more images, or leave this "
            "class out."
        )
    fitting = scales(min(images.shape[-2:]))
    if not fitting:
        raise UserError(f"MS-SSIM takes images with a side of {KERNEL} pixels or more.")
    one, other = (
        ((images[torch.from_numpy(chosen[:PAIRS])].float() + 1) / 2).clamp(0, 1)
        for chosen in (first, second)
    )
    weights = torch.tensor(WEIGHTS[:fitting])
    return multi_scale_ssim(one, other, kernel_size=KERNEL, scale_weights=weights, reduction="none")
