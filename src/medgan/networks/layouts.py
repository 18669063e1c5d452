"""Intensities that networks of torchvision were trained on; without torch, for those who only name
networks.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scaling:
    """What is done to images in [0, 1]: minus the mean, divided by the spread of each channel."""

    mean: tuple[float, ...]
    spread: tuple[float, ...]

    @property
    def channels(self) -> int:
        """3, or 1 for a network of gray images."""
        return len(self.mean)


IMAGENET = Scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
