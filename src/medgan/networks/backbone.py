"""Feature maps of a frozen network of torchvision, whose weights come from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medgan.errors import UserError
from medgan.networks.layouts import IMAGENET, Scaling

BackboneName: TypeAlias = Literal["squeezenet1_1", "resnet18", "resnet50", "wide_resnet50_2"]


class Colored(nn.Module):
    """Images (N, 1 or 3, H, W) in [-1, 1], mapped to [0, 1] whatever their intensity is and scaled as
    those of a network's training; gray ones are repeated for a network of color images.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, scaling: Scaling = IMAGENET) -> None:
        super().__init__()
        for name in ("mean", "spread"):
            values = torch.tensor(getattr(scaling, name))[:, None, None]
            self.register_buffer(name, values, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, channels of the network, H, W)."""
        gray = images.shape[1] == 1
        colored = images.expand(-1, len(self.mean), -1, -1) if gray else images
        return ((colored + 1) / 2 - self.mean) / self.spread


class Backbone(nn.Module):
    """The layers of a network up to the last one that is asked for.

    Its weights are NaN until `load` has replaced every one of them, so that no score can rest on
    random weights unnoticed.

    Raises:
        UserError: the network has no such layer.
    """

    def __init__(
        self, network: str, layers: Sequence[str], side: int, scaling: Scaling = IMAGENET
    ) -> None:
        super().__init__()
        from torchvision.models import get_model
        from torchvision.models.feature_extraction import create_feature_extractor

        self.side = side
        whole = get_model(network, weights=None).eval()
        if scaling.channels == 1:
            _make_gray(whole)
        try:
            layers_of = {layer: layer for layer in layers}
            self.network = create_feature_extractor(whole, layers_of)
        except ValueError as error:
            raise UserError(
                f"{network} has no layers {', '.join(layers)}: name layers as torchvision does, "
                "such as layer2 (ResNet) or features.4 (SqueezeNet)."
            ) from error
        self.requires_grad_(False)
        for tensor in self._tensors().values():
            tensor.fill_(torch.nan)
        self.colored = Colored(scaling)

    @property
    def loaded(self) -> bool:
        """Whether the weights are those of a file."""
        return not any(tensor.isnan().any() for tensor in self._tensors().values())

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace every weight.

        Raises:
            UserError: one is missing, or has another shape.
        """
        own = self.network.state_dict()
        wrong = [
            name
            for name, tensor in own.items()
            if name not in tensors or tensors[name].shape != tensor.shape
        ]
        if wrong:
            raise UserError(
                f"The file of weights does not fit the backbone: {len(wrong)} of {len(own)} "
                f"tensors are missing or have another shape, first {wrong[0]}; give the file of "
                "the network that `model.backbone` names."
            )
        self.network.load_state_dict({name: tensors[name] for name in own})

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the feature maps (N, C_i, H_i, W_i) of the layers, in their order.

        Images (N, 1 or 3, H, W) in [-1, 1] are resized to `side`, and scaled as those of the
        network's training.
        """
        size = (self.side, self.side)
        resized = F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
        return list(self.network(self.colored(resized)).values())

    def _tensors(self) -> dict[str, Tensor]:
        return {
            name: tensor
            for name, tensor in self.network.state_dict().items()
            if tensor.is_floating_point()
        }


def _make_gray(network: nn.Module) -> None:
    """Replace the first convolution of a network by one that takes a single channel."""
    name, first = next(
        (name, one) for name, one in network.named_modules() if isinstance(one, nn.Conv2d)
    )
    parent, _, attribute = name.rpartition(".")
    gray = nn.Conv2d(
        *(1, first.out_channels, first.kernel_size, first.stride, first.padding),  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    setattr(network.get_submodule(parent), attribute, gray)


class PatchFeatures(nn.Module):
    """Features of image patches: feature maps of several layers at the positions of the first.

    Args:
        network, layers, side: of the backbone.
        averaged: whether each feature is averaged over its 3x3 neighborhood, and coarser maps are
            interpolated bilinearly (PatchCore); otherwise they are repeated (PaDiM).
    """

    def __init__(self, network: str, layers: Sequence[str], side: int, *, averaged: bool) -> None:
        super().__init__()
        self.backbone = Backbone(network, layers, side)
        self.averaged = averaged
        with torch.no_grad():
            shape = self(torch.zeros(1, 3, side, side)).shape
        self.dimensions, self.grid = shape[1], shape[2]

    def require_weights(self, model: str) -> None:
        """Raise `UserError` where the backbone has no weights."""
        if not self.backbone.loaded:
            raise UserError(
                f"{model} needs the pretrained weights of its backbone: give --params "
                "backbone_weights=PATH, or in Python `model.load_pretrained(tensors)`."
            )

    def forward(self, images: Tensor) -> Tensor:
        """Compute features (N, dimensions, grid, grid) of images (N, 1 or 3, H, W) in [-1, 1]."""
        maps = self.backbone(images)
        if self.averaged:
            maps = [F.avg_pool2d(one, 3, stride=1, padding=1) for one in maps]
        size, mode = maps[0].shape[-2:], "bilinear" if self.averaged else "nearest"
        return torch.cat([maps[0], *(F.interpolate(one, size, mode=mode) for one in maps[1:])], 1)


def saved_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a dictionary that torch saved, without running anything in the file.

    Raises:
        ValueError: it holds no dictionary; torch raises errors of many kinds for other files.
    """
    found = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no dictionary of tensors")
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
