"""Networks of torchvision: files of their weights, and the intensities that they were trained on.

Without torch, for those who only name networks.
"""

from __future__ import annotations

from collections.abc import Mapping
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
FILES: Mapping[str, str] = {
    "squeezenet1_1": "squeezenet1_1-b8a52dc0.pth",
    "resnet18": "resnet18-f37072fd.pth",
    "resnet50": "resnet50-11ad3fa6.pth",
    "wide_resnet50_2": "wide_resnet50_2-95faca4d.pth",
    "vgg16": "vgg16-397923af.pth",
    "vgg16_bn": "vgg16_bn-6c64b313.pth",
    "densenet121": "densenet121-a639ec97.pth",
    "efficientnet_b0": "efficientnet_b0_rwightman-7f5810bc.pth",
}
"""Network of torchvision -> its file in torchvision's download folder."""
