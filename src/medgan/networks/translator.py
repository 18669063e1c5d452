"""Image to image: the translator of StarGAN (Choi 2018), which HealthyGAN and Brainomaly use, and
its patch discriminator.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from medgan.networks.blocks import halvings

SLOPE = 0.01
"""Of the discriminator's LeakyReLU."""


def instance_norm(channels: int) -> nn.Module:
    """Instance norm, a scale and a shift per channel, no running statistics: the same in training
    and after.
    """
    return nn.InstanceNorm2d(channels, affine=True, track_running_stats=False)


class Translator(nn.Module):
    """Images (N, C, H, W) to a head (N, head_channels, H, W) without a last activation.

    7x7 convolution, two halvings, residual blocks, two doublings, 7x7 convolution; zero padding.
    """

    def __init__(self, channels: int, head_channels: int, width: int, residual_blocks: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width]
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 7, padding=3, bias=False),
            instance_norm(width),
            nn.ReLU(),
            *(_down(a, b) for a, b in pairwise(widths)),
            *(TranslatorBlock(widths[-1]) for _ in range(residual_blocks)),
            *(_up(a, b) for a, b in pairwise(widths[::-1])),
            nn.Conv2d(width, head_channels, 7, padding=3, bias=False),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, head_channels, H, W)."""
        head: Tensor = self.layers(images)
        return head


class TranslatorBlock(nn.Module):
    """x + norm(convolution(ReLU(norm(convolution(x)))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            instance_norm(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            instance_norm(width),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, width, H, W) to the same shape."""
        residual: Tensor = self.body(features)
        return features + residual


class PatchDiscriminator(nn.Module):
    """Images (N, C, size, size) to logits (N, 1, 4, 4), one for each patch; no normalisation, as a
    gradient penalty needs.

    Stride-2 convolutions until the map is 4x4, each twice as wide as the last.
    """

    def __init__(self, width: int, size: int, channels: int) -> None:
        super().__init__()
        widths = [channels, *(width * 2**level for level in range(halvings(size)))]
        layers = [
            nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(SLOPE))
            for a, b in pairwise(widths)
        ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False))

    def features(self, images: Tensor) -> Tensor:
        """f_D, the layer before the logits: (N, D, 4, 4)."""
        features: Tensor = self.layers[:-1](images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 1, 4, 4)."""
        logits: Tensor = self.layers(images)
        return logits


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), instance_norm(outputs), nn.ReLU()
    )


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), instance_norm(outputs), nn.ReLU()
    )
