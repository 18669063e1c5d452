"""The residual networks of WGAN-GP, f-AnoGAN and SNGAN (Gulrajani 2017, Schlegl 2019, Miyato 2018),
at any size from 32 px on.

A 3x3 convolution and then the mean of each 2x2 block is one 4x4 convolution of stride 2;
nearest-neighbour doubling and then a 3x3 convolution is one transposed 4x4 convolution of stride 2.
Both are computed so, with kernels made from the 3x3 weights, which stay the parameters: the same
function for 4/9 of the multiplications.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from medgan.networks.blocks import BASE, channel_widths, flat

Norm = Callable[[int], nn.Module]


def layer_norm(channels: int) -> nn.Module:
    """Layer norm over (C, H, W) of each image with one scale per channel: batch norm would break a
    per-image penalty.
    """
    return nn.GroupNorm(1, channels)


def batch_norm(channels: int) -> nn.Module:
    """Batch norm."""
    return nn.BatchNorm2d(channels)


def no_norm(channels: int) -> nn.Module:
    """No norm: spectral normalisation takes its place."""
    return nn.Identity()


def halve(features: Tensor) -> Tensor:
    """Mean of each 2x2 block."""
    return F.avg_pool2d(features, 2)


def double(features: Tensor) -> Tensor:
    """Each pixel repeated in a 2x2 block."""
    return F.interpolate(features, scale_factor=2.0, mode="nearest")


def _spread(weight: Tensor) -> Tensor:
    """Kernels (O, I, 3, 3) to (O, I, 4, 4): the mean of the four shifts of a 3x3 kernel inside a
    4x4 one.
    """
    return F.avg_pool2d(F.pad(weight, (1, 1, 1, 1)), 2, stride=1)


class HalvingConv(nn.Conv2d):
    """`halve(conv3x3(x))` in one convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/2, W/2)."""
        return F.conv2d(features, _spread(self.weight), self.bias, stride=2, padding=1)


class DoublingConv(nn.Conv2d):
    """`conv3x3(double(x))` in one transposed convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, 2H, 2W)."""
        kernels = 4 * _spread(self.weight.flip(2, 3)).transpose(0, 1)
        return F.conv_transpose2d(features, kernels, self.bias, stride=2, padding=1)


class ResidualBlock(nn.Module):
    """norm, ReLU, (up), 3x3 convolution, norm, ReLU, 3x3 convolution, (down), added to a resampled
    1x1 shortcut.

    A block that changes neither width nor side has the identity as its shortcut. The one that sees
    the image itself begins with its convolution: `activate=False`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        norm: Norm,
        *,
        up: bool = False,
        down: bool = False,
        activate: bool = True,
    ) -> None:
        super().__init__()
        self.up = double if up else nn.Identity()
        self.down = halve if down else nn.Identity()
        first = DoublingConv(inputs, outputs) if up else nn.Conv2d(inputs, outputs, 3, padding=1)
        last = HalvingConv(outputs, outputs) if down else nn.Conv2d(outputs, outputs, 3, padding=1)
        activation = [norm(inputs), nn.ReLU()] if activate else []
        self.body = nn.Sequential(*activation, first, norm(outputs), nn.ReLU(), last)
        self.shortcut = (
            nn.Conv2d(inputs, outputs, 1) if up or down or inputs != outputs else nn.Identity()
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H', W')."""
        # A 1x1 convolution commutes with both resamplings, so it runs on the smaller map.
        shortcut: Tensor = self.up(self.shortcut(self.down(features)))
        residual: Tensor = self.body(features)
        return residual + shortcut


class ResNetGenerator(nn.Module):
    """Latents (N, latent_dim) to images (N, C, size, size) in (-1, 1)."""

    def __init__(self, latent_dim: int, width: int, size: int, channels: int) -> None:
        super().__init__()
        widths = channel_widths(size, width)[::-1]
        self.latent_dim = latent_dim
        self.project = nn.Linear(latent_dim, widths[0] * BASE * BASE)
        outputs = [*widths[1:], width]
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(a, b, batch_norm, up=True)
                for a, b in zip(widths, outputs, strict=True)
            )
        )
        self.to_image = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()
        )

    def forward(self, latents: Tensor) -> Tensor:
        """(N, latent_dim) to (N, C, size, size)."""
        hidden = self.project(latents).unflatten(1, (-1, BASE, BASE))
        images: Tensor = self.to_image(self.blocks(hidden))
        return images


class ResNetEncoder(nn.Module):
    """Images (N, C, size, size) to the last residual output (N, D) and on to (N, out_features)."""

    def __init__(self, out_features: int, width: int, size: int, channels: int, norm: Norm) -> None:
        super().__init__()
        widths = channel_widths(size, width)
        self.from_image = nn.Conv2d(channels, width, 3, padding=1)
        inputs = [width, *widths[:-1]]
        self.blocks = nn.Sequential(
            *(ResidualBlock(a, b, norm, down=True) for a, b in zip(inputs, widths, strict=True))
        )
        self.head = nn.Linear(widths[-1] * BASE * BASE, out_features)

    def features(self, images: Tensor) -> Tensor:
        """(N, C' * 4 * 4), the layer that f-AnoGAN's feature residual compares."""
        return flat(self.blocks(self.from_image(images)))

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, size, size) to (N, out_features)."""
        output: Tensor = self.head(self.features(images))
        return output


class ResNetDiscriminator(nn.Module):
    """Images (N, C, size, size) to logits (N,): blocks down to 4x4, one that stays there, ReLU, sum
    over positions, one linear layer.

    Miyato 2018, appendix B.4. It has no norm: spectral normalisation is applied from outside.
    """

    def __init__(self, width: int, size: int, channels: int) -> None:
        super().__init__()
        widths = channel_widths(size, width)
        self.blocks = nn.Sequential(
            ResidualBlock(channels, width, no_norm, down=True, activate=False),
            *(ResidualBlock(a, b, no_norm, down=True) for a, b in pairwise(widths)),
            ResidualBlock(widths[-1], widths[-1], no_norm),
            nn.ReLU(),
        )
        self.to_logit = nn.Linear(widths[-1], 1)
        self.apply(xavier)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N,)."""
        logits: Tensor = self.to_logit(self.blocks(images).sum((2, 3)))
        return logits.squeeze(1)


def xavier(module: nn.Module) -> None:
    """Initial weights of Miyato's code: Xavier's, uniform, sqrt(2) times as large on the residual
    path; zero biases.

    `apply` comes to a block after its layers, so the block has the last word.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, ResidualBlock):
        for layer in module.body:
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight, gain=math.sqrt(2))
