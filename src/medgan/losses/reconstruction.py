"""Distances between an image and its reconstruction, one number per image."""

from __future__ import annotations

import torch
from torch import Tensor


def l1_per_image(a: Tensor, b: Tensor) -> Tensor:
    """Sum of |a - b| over everything but the first dimension: (N,). A sum, as in AnoGAN and EGBAD: a mean changes the balance of terms."""
    return (a - b).abs().flatten(1).sum(1)


def mse_per_image(a: Tensor, b: Tensor) -> Tensor:
    """Mean of (a - b)^2 over everything but the first dimension: (N,)."""
    return torch.square(a - b).flatten(1).mean(1)


def residual_map(a: Tensor, b: Tensor) -> Tensor:
    """|a - b| averaged over channels: (N, 1, H, W)."""
    return (a - b).abs().mean(1, keepdim=True)
