"""Residual networks of WGAN-GP, f-AnoGAN and SNGAN (Gulrajani 2017, Schlegl 2019, Miyato 2018).

A 3x3 convolution followed by 2x2 average pooling equals one 4x4 convolution of stride 2, and
nearest-neighbor upsampling followed by a 3x3 convolution equals one transposed 4x4 convolution of
stride 2. Both take 4/9 of the multiplications; the 3x3 weights remain the parameters.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from medgan.networks.blocks import BASE, Norm, channel_widths, flat

layer_norm: Norm = partial(nn.GroupNorm, 1)
"""Layer norm over (C, H, W) with one scale per channel: batch norm would couple the images of a
gradient penalty."""


class HalvingConv(nn.Conv2d):
    """A 3x3 convolution and 2x2 average pooling in one convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H/2, W/2)."""
        return F.conv2d(features, _spread(self.weight), self.bias, stride=2, padding=1)


class DoublingConv(nn.Conv2d):
    """Nearest-neighbor upsampling and a 3x3 convolution in one transposed convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, 2H, 2W)."""
        kernels = 4 * _spread(self.weight.flip(2, 3)).transpose(0, 1)
        return F.conv_transpose2d(features, kernels, self.bias, stride=2, padding=1)


def _spread(weight: Tensor) -> Tensor:
    """Average the four shifts of kernels (O, I, 3, 3) inside a 4x4 window: (O, I, 4, 4)."""
    return F.avg_pool2d(F.pad(weight, (1, 1, 1, 1)), 2, stride=1)


class ResidualBlock(nn.Module):
    """Pre-activation residual block: norm, ReLU, 3x3 convolution, norm, ReLU, 3x3 convolution.

    The first convolution may upsample, the last may downsample. The shortcut is a resampled 1x1
    convolution, or the identity if the shape does not change. `activate=False` leaves out the first
    norm and ReLU, for a block whose input is an image.
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
        self.up = nn.Upsample(scale_factor=2.0) if up else nn.Identity()
        self.down = nn.AvgPool2d(2) if down else nn.Identity()
        first = DoublingConv(inputs, outputs) if up else nn.Conv2d(inputs, outputs, 3, padding=1)
        last = HalvingConv(outputs, outputs) if down else nn.Conv2d(outputs, outputs, 3, padding=1)
        activation = [norm(inputs), nn.ReLU()] if activate else []
        self.body = nn.Sequential(*activation, first, norm(outputs), nn.ReLU(), last)
        reshaped = up or down or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if reshaped else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H', W')."""
        # A 1x1 convolution commutes with both resamplings, so it runs on the smaller map.
        shortcut: Tensor = self.up(self.shortcut(self.down(features)))
        residual: Tensor = self.body(features)
        return residual + shortcut


class ResNetGenerator(nn.Module):
    """Map latents (N, latent_dim) to images (N, C, size, size) in (-1, 1)."""

    def __init__(self, latent_dim: int, width: int, size: int, channels: int) -> None:
        super().__init__()
        widths = [*channel_widths(size, width)[::-1], width]
        self.project = nn.Linear(latent_dim, widths[0] * BASE * BASE)
        blocks = [ResidualBlock(a, b, nn.BatchNorm2d, up=True) for a, b in pairwise(widths)]
        self.blocks = nn.Sequential(*blocks)
        self.to_image = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Generate images (N, C, size, size)."""
        hidden = self.project(latents).unflatten(1, (-1, BASE, BASE))
        return self.to_image(self.blocks(hidden))


class ResNetEncoder(nn.Module):
    """Map images (N, C, size, size) to outputs (N, out_features)."""

    def __init__(self, out_features: int, width: int, size: int, channels: int, norm: Norm) -> None:
        super().__init__()
        widths = [width, *channel_widths(size, width)]
        self.from_image = nn.Conv2d(channels, width, 3, padding=1)
        blocks = [ResidualBlock(a, b, norm, down=True) for a, b in pairwise(widths)]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(widths[-1] * BASE * BASE, out_features)

    def features(self, images: Tensor) -> Tensor:
        """Compute the input of the last layer, (N, C' * 4 * 4): f-AnoGAN's f_D."""
        return flat(self.blocks(self.from_image(images)))

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, size, size) to (N, out_features)."""
        return self.head(self.features(images))


class ResNetDiscriminator(nn.Module):
    """Map images (N, C, size, size) to logits (N,) (Miyato 2018, appendix B.4).

    It has no norm; `spectrally_normalized` is applied from outside.
    """

    def __init__(self, width: int, size: int, channels: int) -> None:
        super().__init__()
        widths = channel_widths(size, width)
        self.blocks = nn.Sequential(
            ResidualBlock(channels, width, nn.Identity, down=True, activate=False),
            *(ResidualBlock(a, b, nn.Identity, down=True) for a, b in pairwise(widths)),
            ResidualBlock(widths[-1], widths[-1], nn.Identity),
            nn.ReLU(),
        )
        self.to_logit = nn.Linear(widths[-1], 1)
        self.apply(xavier)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (N,)."""
        return self.to_logit(self.blocks(images).sum((2, 3))).squeeze(1)


def xavier(module: nn.Module) -> None:
    """Initialize as Miyato's code: Xavier uniform, gain sqrt(2) on residual paths, zero biases.

    Use it with `Module.apply`, which visits a block after its layers.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, ResidualBlock):
        for layer in module.body:
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight, gain=math.sqrt(2))
