"""Image classifiers: a trunk of convolutions, then a head that gives one logit for each class.

The networks of torchvision take gray images by repetition, which equals summing the kernels of the
first convolution over its channels, and scale images as those of ImageNet, whatever their intensity
is, so that pretrained weights meet the range that they know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medgan.errors import UserError
from medgan.networks.backbone import Colored
from medgan.networks.blocks import channel_widths

DROPOUT = 0.3
STRIDE = 32
"""Pixels for each position of the last feature map of torchvision's networks."""
FEWEST_POSITIONS = 4
"""Side of the last feature map for which small images keep resolution in the stem."""
VGG_SIDE = 7
"""Side of the map that the head of VGG was made for."""


def _block(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2))


class ImageClassifier(nn.Module):
    """A trunk (N, C, size, size) -> (N, D, h, w), and a head -> logits (N, classes)."""

    trunk: nn.Module
    """Its output is what Grad-CAM looks at."""
    head: nn.Module

    def features(self, images: Tensor) -> Tensor:
        """Compute features (N, D), the mean of the trunk over positions."""
        return self.trunk(images).mean((2, 3))

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace all weights but those of the last layer.

        Raises:
            UserError: one is missing or has another shape, or no file has weights of this network.
        """
        raise UserError(
            "There are no pretrained weights of this network: set `classifier` to one of "
            f"{', '.join(DIVIDED)}, or leave `classifier_training.weights` out."
        )


class SmallClassifier(ImageClassifier):
    """3x3 convolutions and pooling to 4x4, mean over positions, dropout, one linear layer."""

    def __init__(self, size: int, channels: int, classes: int, width: int = 32) -> None:
        super().__init__()
        widths = [channels, *channel_widths(size, width)]
        self.blocks = nn.Sequential(*(_block(a, b) for a, b in pairwise(widths)))
        self.head = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(widths[-1], classes))

    @property
    def trunk(self) -> nn.Module:  # type: ignore[override]  # under the name of older weights
        """The convolutions."""
        return self.blocks

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (N, classes) of images (N, C, size, size)."""
        return self.head(self.features(images))


@dataclass(frozen=True)
class Parts:
    """A network of torchvision in two parts."""

    trunk: nn.Module
    head: nn.Module
    stem: tuple[nn.Module, ...] = ()
    """Layers of the trunk that halve the side, those first whose stride becomes 1 first."""


class TorchvisionClassifier(ImageClassifier):
    """A network of torchvision with random weights, whose head has one logit for each class."""

    LEGACY: ClassVar[re.Pattern[str]] = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)")
    """Names of DenseNet's weights as its file has them."""

    def __init__(
        self,
        name: str,
        divide: Callable[[Any, int], Parts],
        size: int,
        channels: int,
        classes: int,
    ) -> None:
        super().__init__()
        from torchvision.models import get_model

        self.name, self._divide, self._size = name, divide, size
        parts = divide(get_model(name, weights=None, num_classes=classes), size)
        self.trunk = nn.Sequential(Colored(), parts.trunk)
        self.head = parts.head
        _keep_resolution(parts.stem, size)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (N, classes) of images (N, C, size, size)."""
        return self.head(self.trunk(images))

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace all weights but those of the last layer, by torchvision's names."""
        from torchvision.models import get_model

        whole = get_model(self.name, weights=None)
        own = whole.state_dict()
        renamed = {self.LEGACY.sub(r"\1\2", name): value for name, value in tensors.items()}
        wrong = [
            name
            for name, value in own.items()
            if not name.endswith("num_batches_tracked")
            and (name not in renamed or renamed[name].shape != value.shape)
        ]
        if wrong:
            raise UserError(
                f"The file of weights does not fit {self.name}: {len(wrong)} of {len(own)} tensors "
                f"are missing or have another shape, first {wrong[0]}; give the file of "
                f"{self.name}, or set `classifier` to the network of the file."
            )
        whole.load_state_dict({name: renamed.get(name, value) for name, value in own.items()})
        parts = self._divide(whole, self._size)
        self.trunk[1].load_state_dict(parts.trunk.state_dict())  # type: ignore[index]
        mine, given = list(self.head.children()), list(parts.head.children())
        for layer, other in zip(mine[:-1], given, strict=False):
            layer.load_state_dict(other.state_dict())


def _keep_resolution(stem: tuple[nn.Module, ...], size: int) -> None:
    """Set strides of the stem to 1 until the last map has 4x4 positions: both of a ResNet at 32 px,
    where it would have one position, that of the pooling at 64 px. No weight changes its shape.
    """
    halvings = (FEWEST_POSITIONS * STRIDE // size).bit_length() - 1
    for layer in stem[: max(0, halvings)]:
        layer.stride = 1 if isinstance(layer, nn.MaxPool2d) else (1, 1)  # type: ignore[assignment]


def _vgg(model: Any, size: int) -> Parts:
    """Divide VGG. The head sees each position of the last map once. As initialized it gives the
    logits of torchvision's, which enlarges the map to 7x7: 49 weights for one value at 32 px.
    """
    side = min(size // STRIDE, VGG_SIDE)
    first, *others = model.classifier
    channels = first.in_features // VGG_SIDE**2
    folded = nn.Linear(channels * side**2, first.out_features)
    places = torch.eye(side**2).view(side**2, 1, side, side)
    enlarged = F.adaptive_avg_pool2d(places, VGG_SIDE).flatten(1)
    weights = first.weight.detach().view(-1, channels, VGG_SIDE**2) @ enlarged.T
    folded.load_state_dict({"weight": weights.flatten(1), "bias": first.bias.detach()})
    head = nn.Sequential(nn.AdaptiveAvgPool2d(side), nn.Flatten(), folded, *others)
    return Parts(model.features, head)


def _resnet(model: Any, size: int) -> Parts:
    trunk = nn.Sequential(*list(model.children())[:-2])
    return Parts(trunk, _averaged(model.fc), (model.maxpool, model.conv1))


def _densenet(model: Any, size: int) -> Parts:
    stem = (model.features.pool0, model.features.conv0)
    return Parts(nn.Sequential(model.features, nn.ReLU()), _averaged(model.classifier), stem)


def _efficientnet(model: Any, size: int) -> Parts:
    return Parts(model.features, _averaged(*model.classifier), (model.features[0][0],))


def _averaged(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *layers)


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


DIVIDED: Mapping[str, Callable[[Any, int], Parts]] = {
    "vgg16": _vgg,
    "vgg16_bn": _vgg,
    "resnet18": _resnet,
    "resnet50": _resnet,
    "densenet121": _densenet,
    "efficientnet_b0": _efficientnet,
}
"""Networks of torchvision by their names there."""
RATES: Mapping[str, float] = {"vgg16": 1e-4}
RATE, FINE_TUNING = 1e-3, 1e-4
"""Learning rates (AdamW): of a network that RATES does not name, and from pretrained weights. VGG16
has no batch norm, and does not learn with the rate of the others.
"""
CLASSIFIERS: Mapping[str, Callable[[int, int, int], ImageClassifier]] = {
    "small": SmallClassifier,
    **{name: partial(TorchvisionClassifier, name, divide) for name, divide in DIVIDED.items()},
}
"""Factories of (size, channels, classes) by name."""
