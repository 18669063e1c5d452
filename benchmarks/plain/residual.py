"""Residual networks as the code of WGAN-GP has them: resample, and convolve at full size."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

Norm = Callable[[int], nn.Module]


class Block(nn.Module):
    """Two 3x3 convolutions; the first may follow an upsampling, the last precede a pooling."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, up: bool) -> None:
        super().__init__()
        resample = nn.Upsample(scale_factor=2) if up else nn.AvgPool2d(2)
        before, after = (resample, nn.Identity()) if up else (nn.Identity(), resample)
        self.body = nn.Sequential(
            norm(inputs),
            nn.ReLU(),
            before,
            nn.Conv2d(inputs, outputs, 3, padding=1),
            norm(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            after,
        )
        self.shortcut = nn.Sequential(before, nn.Conv2d(inputs, outputs, 1), after)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class Generator(nn.Module):
    """Latents (N, latent_dim) to images (N, C, 4 * 2^n, 4 * 2^n) for n + 1 widths."""

    def __init__(self, latent_dim: int, widths: list[int], channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(latent_dim, widths[0] * 16)
        self.blocks = nn.Sequential(
            *(Block(a, b, nn.BatchNorm2d, up=True) for a, b in pairwise(widths))
        )
        last = widths[-1]
        self.to_image = nn.Sequential(
            nn.BatchNorm2d(last), nn.ReLU(), nn.Conv2d(last, channels, 3, padding=1), nn.Tanh()
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.to_image(self.blocks(self.project(z).view(len(z), -1, 4, 4)))


class Critic(nn.Module):
    """Images to one number each, or to a code."""

    def __init__(self, widths: list[int], channels: int, norm: Norm, outputs: int = 1) -> None:
        super().__init__()
        self.from_image = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.blocks = nn.Sequential(*(Block(a, b, norm, up=False) for a, b in pairwise(widths)))
        self.head = nn.Linear(widths[-1] * 16, outputs)

    def features(self, x: Tensor) -> Tensor:
        return self.blocks(self.from_image(x)).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))
