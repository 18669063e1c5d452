"""Feature spaces: the networks in whose features sets of images are compared.

A network of another domain sees other differences, so metrics of different spaces do not compare,
and each is named after its space. Weights come from a file. Nothing is downloaded, and no network
has random weights: a space without its file says so.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from medgan.errors import UserError
from medgan.files.digest import file_digest
from medgan.networks.layouts import FILES, IMAGENET, Scaling

if TYPE_CHECKING:
    from torch import Tensor

    from medgan.metrics.lpips import Unavailable

Features: TypeAlias = "Callable[[Tensor], Tensor]"
"""Images (N, C, H, W) in [-1, 1] to features (N, D)."""
SpaceName = Literal[
    "inception", "inception_v3", "squeezenet1_1", "resnet50", "densenet121", "densenet121_xray"
]
DOMAIN = "domain"
FIDELITY = "the package torch-fidelity is missing: pip install 'medgan[fidelity]'"


@dataclass(frozen=True)
class FeatureSpace:
    """A network that maps images to features, or why there is none."""

    key: str
    """Ends the keys of its metrics."""
    backbone: str
    """The network and its weights, for a reader."""
    identity: str
    """Hash of the weights; equal ones give equal features."""
    features: Features | Unavailable


@dataclass(frozen=True)
class Layout:
    """A known form of a file of weights."""

    name: str
    """For a reader."""
    file: str
    """In torchvision's download folder."""
    open: Callable[[Path], Features]
    gray_only: bool = False


def _of_torchvision(network: str, layer: str, side: int, scaling: Scaling, path: Path) -> Features:
    """Read a network of torchvision; maps of the layer are averaged over positions."""
    from medgan.networks.backbone import Backbone

    backbone = Backbone(network, [layer], side, scaling)
    backbone.load(_tensors(path))
    backbone.eval()

    def features(images: Tensor) -> Tensor:
        found = backbone(images)[0]
        return found.mean((2, 3)) if found.ndim == 4 else found

    return features


def _of_imagenet(name: str, network: str, layer: str = "flatten") -> Layout:
    return Layout(name, FILES[network], partial(_of_torchvision, network, layer, 224, IMAGENET))


def _of_the_fid(path: Path) -> Features:
    """Read the Inception network of Heusel 2017, as torch-fidelity computes it."""
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # torch-fidelity would run code that a pickle holds, so it reads the bare tensors instead.
    tensors = io.BytesIO()
    torch.save(dict(_tensors(path)), tensors)
    tensors.seek(0)
    try:
        network: Any = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=tensors
        )
    except RuntimeError as error:
        raise UserError(f"{path} does not fit the Inception network of the FID.") from error

    def features(images: Tensor) -> Tensor:
        pixels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return network(pixels.expand(-1, 3, -1, -1))[0]

    return features


def _tensors(path: Path) -> Mapping[str, Tensor]:
    """Read a file of tensors as safetensors or torch save them, without running anything in it."""
    from safetensors.torch import load_file

    from medgan.networks.backbone import saved_tensors

    try:
        return load_file(path) if path.suffix == ".safetensors" else saved_tensors(path)
    except Exception as error:  # of many kinds, UnpicklingError among them
        raise UserError(
            f"{path} is no file of weights: give a state dict that torch or safetensors saved."
        ) from error


INCEPTION = Scaling((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
XRAY = Scaling((0.5,), (1 / 2048,))
"""TorchXRayVision's intensities, -1024 to 1024."""
LAYOUTS: Mapping[SpaceName, Layout] = {
    "inception": Layout("Inception", "weights-inception-2015-12-05-6726825d.pth", _of_the_fid),
    "inception_v3": Layout(
        "Inception of torchvision",
        "inception_v3_google-0cc3c7bd.pth",
        partial(_of_torchvision, "inception_v3", "flatten", 299, INCEPTION),
    ),
    "squeezenet1_1": _of_imagenet("SqueezeNet (ImageNet)", "squeezenet1_1", "features.12"),
    "resnet50": _of_imagenet("ResNet-50 (ImageNet)", "resnet50"),
    "densenet121": _of_imagenet("DenseNet-121 (ImageNet)", "densenet121"),
    "densenet121_xray": Layout(
        "DenseNet-121 (chest X-rays)",
        "densenet121-xrayvision.pt",
        partial(_of_torchvision, "densenet121", "flatten", 224, XRAY),
        gray_only=True,
    ),
}


def space_name(key: str) -> str:
    """Name a space for a reader, by the end of the keys of its metrics."""
    return next((layout.name for name, layout in LAYOUTS.items() if name == key), key)


def load_space(name: SpaceName, given: str | None, channels: int) -> FeatureSpace:
    """Load the network of a space.

    Args:
        name: of the space.
        given: file of its weights; None searches torchvision's download folder.
        channels: of the images that it will see.

    Raises:
        UserError: the given file is missing, or has other weights than the layout.
    """
    import torch

    from medgan.metrics.lpips import Unavailable

    def missing(reason: str) -> FeatureSpace:
        return FeatureSpace(name, layout.name, "", Unavailable(name, f"not available: {reason}"))

    layout, parameter = LAYOUTS[name], f"synthesis.spaces.{name}"
    path = Path(given) if given else Path(torch.hub.get_dir()) / "checkpoints" / layout.file
    if given and not path.is_file():
        raise UserError(f"There are no weights at {path}: give --params {parameter}=PATH.")
    if not path.is_file():
        return missing(
            f"the weights of {layout.name} ({layout.file}) are not on this machine; give --params "
            f"{parameter}=PATH"
        )
    if layout.gray_only and channels != 1:
        return missing(f"{layout.name} takes gray images")
    try:
        features = layout.open(path)
    except ImportError:
        return missing(FIDELITY)
    digest = file_digest(path)
    return FeatureSpace(name, f"{layout.name}, weights {digest[:8]}", digest, features)
