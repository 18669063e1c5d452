"""What the architectures share: depth from the image size, channel widths, initialisation."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

N = TypeVar("N", bound=nn.Module)

BASE = 4
"""Side of the smallest feature map."""
MAX_FACTOR = 8
"""Feature maps never get wider than this multiple of `width`."""


def halvings(size: int) -> int:
    """How often a `size`-pixel image is halved until its side is 4: 3 at 32 px, 6 at 256 px."""
    return (size // BASE).bit_length() - 1


def channel_widths(size: int, width: int) -> list[int]:
    """Channels after each halving, from the largest map to the 4x4 one: width, 2 width, ... up to 8
    width.
    """
    return [width * min(2**level, MAX_FACTOR) for level in range(halvings(size))]


def initialize(module: nn.Module) -> None:
    """DCGAN's initialisation: weights from N(0, 0.02), batch norm scale from N(1, 0.02) (Radford
    2015, section 4).
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def spectrally_normalized(network: N) -> N:
    """The network with every convolution and linear layer divided by its largest singular value
    (Miyato 2018, algorithm 1).

    One power iteration for each forward pass in training mode, none in eval mode. Initial weights
    are to be set before.
    """
    for layer in [
        module
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]:
        spectral_norm(layer)
    return network


def flat(features: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C*H*W)."""
    return features.flatten(1)
