"""Classifiers of whole images, each with `features(images)` before its last layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from medgan.networks.blocks import channel_widths


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


class SmallClassifier(nn.Module):
    """3x3 convolutions and pooling down to 4x4, mean over positions, dropout, one linear layer: (N,
    C, H, W) to (N, classes).
    """

    def __init__(self, size: int, channels: int, classes: int, width: int = 32) -> None:
        super().__init__()
        widths = channel_widths(size, width)
        self.blocks = nn.Sequential(
            *(_block(a, b) for a, b in zip([channels, *widths[:-1]], widths, strict=True))
        )
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(widths[-1], classes))

    def features(self, images: Tensor) -> Tensor:
        """(N, D), the mean over positions."""
        features: Tensor = self.blocks(images).mean((2, 3))
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Logits; see the class."""
        logits: Tensor = self.head(self.features(images))
        return logits


class VGG16(nn.Module):
    """torchvision's VGG16, from scratch, as S4 uses it; grey images are repeated to three
    channels.
    """

    def __init__(self, size: int, channels: int, classes: int) -> None:
        super().__init__()
        from torchvision.models import vgg16  # imported here: only these networks need torchvision

        self.vgg = vgg16(weights=None, num_classes=classes)

    def features(self, images: Tensor) -> Tensor:
        """(N, 512), the mean over positions of the last convolution."""
        pooled: Tensor = F.adaptive_avg_pool2d(self.vgg.features(_three_channels(images)), 1)
        return pooled.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits; see the class."""
        logits: Tensor = self.vgg(_three_channels(images))
        return logits


class ResNet(nn.Module):
    """One of torchvision's residual networks, from scratch; grey images are repeated to three
    channels.
    """

    def __init__(self, name: str, size: int, channels: int, classes: int) -> None:
        super().__init__()
        from torchvision.models import get_model  # imported here, as for VGG16

        self.trunk = get_model(name, weights=None)
        self.head = nn.Linear(self.trunk.fc.in_features, classes)
        self.trunk.fc = nn.Identity()

    def features(self, images: Tensor) -> Tensor:
        """(N, D), the mean over positions."""
        features: Tensor = self.trunk(_three_channels(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Logits; see the class."""
        logits: Tensor = self.head(self.features(images))
        return logits


class PatchClassifier(nn.Module):
    """Convolutions to a map of logits: (N, C, H, W) to (N, 1, H/8, W/8); the logit of an image is
    the mean of its map.
    """

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width]
        self.blocks = nn.Sequential(*(_block(a, b) for a, b in pairwise(widths)))
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Conv2d(widths[-1], 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits; see the class."""
        logits: Tensor = self.head(self.blocks(images))
        return logits


def _three_channels(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


CLASSIFIERS: Mapping[str, Callable[[int, int, int], nn.Module]] = {
    "small": SmallClassifier,
    "vgg16": VGG16,
    "resnet18": partial(ResNet, "resnet18"),
    "resnet50": partial(ResNet, "resnet50"),
}
"""Name to a factory of (size, channels, classes)."""
