"""Image classifiers; `features(images)` is the input of their last layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from medgan.networks.blocks import channel_widths

DROPOUT = 0.3


def _block(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2))


class SmallClassifier(nn.Module):
    """3x3 convolutions and pooling to 4x4, mean over positions, dropout, one linear layer."""

    def __init__(self, size: int, channels: int, classes: int, width: int = 32) -> None:
        super().__init__()
        widths = [channels, *channel_widths(size, width)]
        self.blocks = nn.Sequential(*(_block(a, b) for a, b in pairwise(widths)))
        self.head = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(widths[-1], classes))

    def features(self, images: Tensor) -> Tensor:
        """Compute features (N, D), the mean over positions."""
        return self.blocks(images).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (N, classes) of images (N, C, size, size)."""
        return self.head(self.features(images))


class VGG16(nn.Module):
    """torchvision's VGG16 with random weights; gray images are repeated to three channels."""

    def __init__(self, size: int, channels: int, classes: int) -> None:
        super().__init__()
        from torchvision.models import vgg16  # only VGG16 and ResNet need torchvision

        self.vgg = vgg16(weights=None, num_classes=classes)

    def features(self, images: Tensor) -> Tensor:
        """Compute features (N, 512), the mean of the last convolution over positions."""
        return F.adaptive_avg_pool2d(self.vgg.features(_three_channels(images)), 1).flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (N, classes) of images (N, C, size, size)."""
        return self.vgg(_three_channels(images))


class ResNet(nn.Module):
    """One of torchvision's residual networks with random weights; gray images are repeated."""

    def __init__(self, name: str, size: int, channels: int, classes: int) -> None:
        super().__init__()
        from torchvision.models import get_model  # only VGG16 and ResNet need torchvision

        self.trunk = get_model(name, weights=None)
        self.head = nn.Linear(self.trunk.fc.in_features, classes)
        self.trunk.fc = nn.Identity()

    def features(self, images: Tensor) -> Tensor:
        """Compute features (N, D), the mean over positions."""
        return self.trunk(_three_channels(images))

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (N, classes) of images (N, C, size, size)."""
        return self.head(self.features(images))


class PatchClassifier(nn.Module):
    """Convolutions to a map of logits, whose mean is the logit of the image."""

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width]
        self.blocks = nn.Sequential(*(_block(a, b) for a, b in pairwise(widths)))
        self.head = nn.Sequential(nn.Dropout(DROPOUT), nn.Conv2d(widths[-1], 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (N, 1, H/8, W/8) of images (N, C, H, W)."""
        return self.head(self.blocks(images))


def _three_channels(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


CLASSIFIERS: Mapping[str, Callable[[int, int, int], nn.Module]] = {
    "small": SmallClassifier,
    "vgg16": VGG16,
    "resnet18": partial(ResNet, "resnet18"),
    "resnet50": partial(ResNet, "resnet50"),
}
"""Factories of (size, channels, classes) by name."""
