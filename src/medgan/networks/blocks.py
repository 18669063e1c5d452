"""Depth, widths, initialization and spectral normalization, shared by the architectures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import register_parametrization

N = TypeVar("N", bound=nn.Module)
Norm = Callable[[int], nn.Module]
"""Normalization of a number of channels."""
BASE = 4
"""Side of the smallest feature map."""
MAX_FACTOR = 8
"""Largest width of a feature map as a multiple of `width`."""


def halvings(size: int) -> int:
    """Return how often a side of `size` pixels is halved to 4: 3 at 32 px, 6 at 256 px."""
    return (size // BASE).bit_length() - 1


def channel_widths(size: int, width: int) -> list[int]:
    """Return the channels after each halving down to 4x4: width, 2 width, ... at most 8 width."""
    return [width * min(2**level, MAX_FACTOR) for level in range(halvings(size))]


def flat(features: Tensor) -> Tensor:
    """Flatten (N, C, H, W) to (N, C*H*W)."""
    return features.flatten(1)


def enlarged(maps: Tensor, size: int) -> Tensor:
    """Interpolate maps (N, C, H, W) bilinearly to (N, C, size, size)."""
    return F.interpolate(maps, (size, size), mode="bilinear", align_corners=False)


def group_norm(channels: int) -> nn.Module:
    """Normalize up to 8 groups of channels of each image alone (Wu, He 2018)."""
    return nn.GroupNorm(math.gcd(8, channels), channels)


NORMS: Mapping[str, Norm] = {"batch": nn.BatchNorm2d, "group": group_norm}


def initialize(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02), batch norm scales from N(1, 0.02) (Radford 2015, section 4)."""
    if any(value.is_meta for value in module.parameters(recurse=False)):
        return  # no values there, and torch would import 900 modules to draw them
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def spectrally_normalized(network: N) -> N:
    """Divide every convolution and linear layer by its largest singular value, in place.

    Each forward pass in training mode makes one power iteration (Miyato 2018, algorithm 1). Set
    initial weights before.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if module.weight.is_meta:
                register_parametrization(module, "weight", _Planned(module), unsafe=True)
            else:
                spectral_norm(module)
    return network


class _Planned(nn.Module):
    """The state of a spectral norm of weights on the meta device, where the power iterations that
    torch starts with take 0.7 s for a model and compute nothing.
    """

    def __init__(self, module: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> None:
        super().__init__()
        weight = module.weight
        rows = weight.shape[1 if isinstance(module, nn.ConvTranspose2d) else 0]
        self.register_buffer("_u", weight.new_empty(rows))
        self.register_buffer("_v", weight.new_empty(weight.numel() // rows))

    def forward(self, weight: Tensor) -> Tensor:
        return weight
