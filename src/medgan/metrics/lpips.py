"""LPIPS (Zhang 2018): distance of two images in the features of a network trained on photographs.

    LPIPS(a, b) = sum over layers of the mean over positions of sum_c w_c (f_c(a) - f_c(b))^2

with f normalized to unit length over channels. The package `lpips` provides the weights w but not
the backbone f, and uses a random backbone if it may not download one. Here the backbone is read
from a local file with a known SHA-256, and all its tensors are loaded; otherwise there is no value.
Nothing is downloaded. Values of different backbones are not comparable, so the metric is named
after its backbone.

The formula is a squared Euclidean distance of the vectors sqrt(w_c / positions) f_c, which serves
to find nearest pairs. Images with a side below 31 pixels, the minimum of AlexNet, are enlarged to
64.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medgan.errors import UserError
from medgan.files.digest import file_digest
from medgan.metrics.pairs import PairMetric

MIN_SIDE = 31
ENLARGED_SIDE = 64
IMAGES_AT_ONCE = 64


@dataclass(frozen=True)
class Backbone:
    """A known file of weights."""

    net: str
    """Name of the network in the package lpips."""
    file: str
    """Name in torchvision's download folder."""
    sha256: str
    """Its hash, or the first digits that torchvision's file name has; the file is loaded as data,
    whatever it holds."""


CAFFE = "22954858eb1392d200f2bd8ae5fe09ca3d40f2b2a68a5189d1910d0d4d1430b2"
BACKBONES: Mapping[str, Backbone] = {
    "squeeze": Backbone("squeeze", "squeezenet1_1-b8a52dc0.pth", "b8a52dc0"),
    "alex": Backbone("alex", "alexnet-owt-7be5be79.pth", "7be5be79"),
    "vgg": Backbone("vgg", "vgg16-397923af.pth", "397923af"),
    "squeeze-caffe": Backbone("squeeze", "squeezenet1_1_caffe_features.pt", CAFFE),
}
"""`squeeze-caffe` are the original Caffe weights of SqueezeNet 1.1. They are not known to equal
torchvision's, so they have their own name."""


@dataclass(frozen=True)
class Unavailable:
    """A metric that cannot be computed, and the reason."""

    name: str
    reason: str


class Lpips:
    """LPIPS of images (N, 1 or 3, H, W) in [-1, 1], with a network of the package lpips."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    @torch.no_grad()
    def pairs(self, first: Tensor, second: Tensor) -> Tensor:
        """Compute the distance of each pair: (N,)."""
        batches = zip(
            torch.split(_prepared(first), IMAGES_AT_ONCE),
            torch.split(_prepared(second), IMAGES_AT_ONCE),
            strict=True,
        )
        return torch.cat([self.network(a, b).reshape(-1) for a, b in batches])

    @torch.no_grad()
    def embedding(self, images: Tensor) -> Tensor:
        """Compute vectors (N, D) whose squared Euclidean distance is the LPIPS of two images."""
        batches = torch.split(_prepared(images), IMAGES_AT_ONCE)
        return torch.cat([self._embed(batch) for batch in batches])

    def distances(self, first: Tensor, second: Tensor) -> Tensor:
        """Compute the distance of every image of one set to every image of another: (N, M)."""
        return torch.cdist(self.embedding(first), self.embedding(second)).square()

    def _embed(self, images: Tensor) -> Tensor:
        network: Any = self.network
        layers = network.net(network.scaling_layer(images))
        heads = [head.model[-1].weight for head in network.lins]
        parts = [_weighted(layer, head) for layer, head in zip(layers, heads, strict=True)]
        return torch.cat(parts, dim=1)


def load_lpips(
    backbone: str = "squeeze", weights: str | Path | None = None
) -> PairMetric | Unavailable:
    """Load LPIPS with the named backbone, or return why it is not available.

    Args:
        backbone: a key of BACKBONES. If the file is another known one of the same network, the
            metric is named after that one (`squeeze-caffe`).
        weights: a local file of the backbone's weights, with torchvision's key names. Without it,
            torchvision's download folder is searched.

    Raises:
        UserError: if there is no such backbone, or a given file is missing or not a known one.
    """
    if backbone not in BACKBONES:
        raise UserError(
            f"synthesis.lpips_backbone is '{backbone}': use one of {', '.join(BACKBONES)}."
        )
    file = BACKBONES[backbone].file
    path = Path(torch.hub.get_dir()) / "checkpoints" / file if weights is None else Path(weights)
    if path.is_file():
        name = _known_name(backbone, path)
        lpips = Lpips(_network(BACKBONES[name].net, path))
        return PairMetric(f"lpips_{name}", lpips.pairs, lpips.distances)
    if weights is not None:
        raise UserError(
            f"There are no LPIPS weights at {path}: give --params lpips_weights=PATH, or leave it "
            "out."
        )
    reason = (
        f"not available: the {backbone} backbone ({file}) is not on this machine; give --params "
        "lpips_weights=PATH"
    )
    return Unavailable(f"lpips_{backbone}", reason)


def _known_name(backbone: str, path: Path) -> str:
    """Return the name of the known backbone of the same network that a file contains."""
    found, net = file_digest(path), BACKBONES[backbone].net
    for name, known in BACKBONES.items():
        if known.net == net and found.startswith(known.sha256):
            return name
    raise UserError(
        f"{path} is no file of weights that we know for '{net}' (SHA-256 {found[:16]}…): LPIPS "
        f"takes {_files(net)}."
    )


def _files(net: str) -> str:
    return " or ".join(known.file for known in BACKBONES.values() if known.net == net)


def _network(net: str, path: Path) -> nn.Module:
    """Build the package's network and replace every tensor of its backbone by the file's.

    Raises:
        UserError: if a tensor is missing or has another shape.
    """
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    silent = redirect_stdout(io.StringIO())
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"), silent:
        import lpips

        network: nn.Module = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    backbone: nn.Module = network.net  # type: ignore[assignment]
    # The package cuts torchvision's `features` into slices and keeps the numbers: slice2.3.weight
    # is features.3.weight.
    wanted = {name: "features." + name.partition(".")[2] for name in backbone.state_dict()}
    absent = [source for source in wanted.values() if source not in tensors]
    if absent:
        raise UserError(
            f"{path} lacks {len(absent)} of {len(wanted)} tensors of '{net}' (the first is "
            f"{absent[0]}): LPIPS takes {_files(net)}."
        )
    try:
        backbone.load_state_dict({name: tensors[source] for name, source in wanted.items()})
    except RuntimeError as error:
        raise UserError(f"{path} does not fit '{net}': LPIPS takes {_files(net)}.") from error
    return network.eval().requires_grad_(False)


def _weighted(layer: Tensor, head: Tensor) -> Tensor:
    unit = layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10)
    return (unit * (head.clamp_min(0).sqrt() / layer[0, 0].numel() ** 0.5)).flatten(1)


def _prepared(images: Tensor) -> Tensor:
    """Convert to three channels, and enlarge images that are too small for a backbone."""
    colored = images.float().expand(-1, 3, -1, -1) if images.shape[1] == 1 else images.float()
    if min(colored.shape[-2:]) >= MIN_SIDE:
        return colored
    size = (ENLARGED_SIDE, ENLARGED_SIDE)
    return F.interpolate(colored, size, mode="bilinear", align_corners=False)
