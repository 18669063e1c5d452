"""A U-Net (Ronneberger 2015) with group norm and SiLU, as in Kascenas 2022."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 4
"""Resolutions, from that of the image to an eighth of it."""
GROUP = 4
"""Channels that are normalized together, at least."""


class UNet(nn.Module):
    """Map images (N, C, H, W), sides multiples of 8, to (N, outputs, H, W)."""

    def __init__(self, channels: int, outputs: int, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(_block(a, b) for a, b in pairwise([channels, *widths]))
        self.up = nn.ModuleList(_block(a + b, b) for b, a in reversed([*pairwise(widths)]))
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Compute (N, outputs, H, W)."""
        features, skipped = images, list[Tensor]()
        for level, block in enumerate(self.down):
            features = block(F.avg_pool2d(features, 2) if level else features)
            skipped.append(features)
        skipped.pop()
        for block in self.up:
            larger = F.interpolate(features, scale_factor=2.0, mode="nearest")
            features = block(torch.cat([larger, skipped.pop()], 1))
        return self.head(features)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in ((inputs, outputs), (outputs, outputs)):
        groups = max(outputs // (2 * GROUP), 1)
        layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.GroupNorm(groups, b), nn.SiLU()]
    return nn.Sequential(*layers)
