"""LPIPS (Zhang 2018): the distance of two images in the features of a network that was trained on
photographs.

    LPIPS(a, b) = sum over layers of the mean over positions of sum_c w_c (f_c(a) - f_c(b))^2,   f
    normalized to unit length over channels

from the package `lpips`, which brings the weights w, but not the backbone f. It builds a random
backbone when told not to download one, so here a backbone is read from a local file whose SHA-256
is known, every tensor of it is loaded, or there is no figure. Nothing is downloaded. Backbones do
not compare, so the name of a figure names its backbone.

The formula is a squared Euclidean distance of the vectors sqrt(w_c / positions) f_c, which is how
nearest pairs are found.
Images with a side under 31 pixels, which AlexNet cannot take, are enlarged to 64.
"""

from __future__ import annotations

import hashlib
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
from medgan.metrics.pairs import PairMetric

MIN_SIDE = 31
ENLARGED_SIDE = 64
IMAGES_AT_ONCE = 64


@dataclass(frozen=True)
class Backbone:
    """A file of weights that we know."""

    net: str
    """What the package lpips calls the network."""
    file: str
    """Name in torchvision's download folder."""
    sha256: str
    """How its hash starts, as torchvision's file names say."""


BACKBONES: Mapping[str, Backbone] = {
    "squeeze": Backbone("squeeze", "squeezenet1_1-b8a52dc0.pth", "b8a52dc0"),
    "alex": Backbone("alex", "alexnet-owt-7be5be79.pth", "7be5be79"),
    "vgg": Backbone("vgg", "vgg16-397923af.pth", "397923af"),
    "squeeze-caffe": Backbone("squeeze", "squeezenet1_1_caffe_features.pt", "22954858eb1392d2"),
}
"""`squeeze-caffe` are the original Caffe weights of SqueezeNet 1.1; not shown to equal
torchvision's, hence a name of their own.
"""


@dataclass(frozen=True)
class Unavailable:
    """Why there is no figure."""

    name: str
    reason: str


class Lpips:
    """LPIPS with a backbone whose weights are known. Images are (N, 1 or 3, H, W) in [-1, 1]."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    @torch.no_grad()
    def pairs(self, first: Tensor, second: Tensor) -> Tensor:
        """The distance of each pair (N,)."""
        batches = zip(
            torch.split(_prepared(first), IMAGES_AT_ONCE),
            torch.split(_prepared(second), IMAGES_AT_ONCE),
            strict=True,
        )
        return torch.cat([self.network(a, b).reshape(-1) for a, b in batches])

    @torch.no_grad()
    def embedding(self, images: Tensor) -> Tensor:
        """(N, D): the squared Euclidean distance of two rows is the LPIPS of the two images."""
        return torch.cat(
            [self._embed(batch) for batch in torch.split(_prepared(images), IMAGES_AT_ONCE)]
        )

    def distances(self, first: Tensor, second: Tensor) -> Tensor:
        """LPIPS of every image of one set with every image of another: (N, M)."""
        return torch.cdist(self.embedding(first), self.embedding(second)).square()

    def _embed(self, images: Tensor) -> Tensor:
        network: Any = self.network
        layers = network.net(network.scaling_layer(images))
        heads = [head.model[-1].weight for head in network.lins]
        return torch.cat(
            [_weighted(layer, head) for layer, head in zip(layers, heads, strict=True)], dim=1
        )


def lpips_metric(name: str, lpips: Lpips) -> PairMetric:
    """LPIPS as a metric of pairs, named `lpips_<backbone>`."""
    return PairMetric(f"lpips_{name}", lpips.pairs, lpips.distances)


def load_lpips(
    backbone: str = "squeeze", weights: str | Path | None = None
) -> PairMetric | Unavailable:
    """LPIPS with the named backbone, or why it is not available here.

    Args:
        backbone: a key of BACKBONES. A file that is another known one for the same network gives
            the figure its name (`squeeze-caffe`).
        weights: a local file of the backbone's weights (torchvision's key names); torchvision's
            download folder is looked into if left out.

    Raises:
        UserError: no such backbone, or a file that was given is missing, or is not the known file.
    """
    if backbone not in BACKBONES:
        raise UserError(
            f"synthesis.lpips_backbone is '{backbone}': use one of {', '.join(BACKBONES)}."
        )
    path = (
        Path(weights)
        if weights is not None
        else Path(torch.hub.get_dir()) / "checkpoints" / BACKBONES[backbone].file
    )
    if not path.is_file():
        if weights is not None:
            raise UserError(
                f"There are no LPIPS weights at {path}: give --params lpips_weights=PATH, or leave it out."
            )
        reason = f"not available: the {backbone} backbone ({BACKBONES[backbone].file}) is not on this machine; give --params lpips_weights=PATH"
        return Unavailable(f"lpips_{backbone}", reason)
    name = _known_name(backbone, path)
    return lpips_metric(name, Lpips(_network(BACKBONES[name].net, path)))


def _known_name(backbone: str, path: Path) -> str:
    """Which known backbone on the wanted network this file is, by its hash."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    net = BACKBONES[backbone].net
    for name, known in BACKBONES.items():
        if known.net == net and found.startswith(known.sha256):
            return name
    raise UserError(
        f"{path} is no file of weights that we know for '{net}' (SHA-256 {found[:16]}…): LPIPS takes {_files(net)}."
    )


def _files(net: str) -> str:
    return " or ".join(known.file for known in BACKBONES.values() if known.net == net)


def _network(net: str, path: Path) -> nn.Module:
    """The package's network with every tensor of the backbone replaced by the file's.

    Raises:
        UserError: a tensor is missing or of another shape.
    """
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    with (
        torch.random.fork_rng(devices=[]),
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        import lpips

        network: nn.Module = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    backbone: nn.Module = network.net  # type: ignore[assignment]
    # The package cuts torchvision's `features` into slices and keeps the numbers: slice2.3.weight
    # is features.3.weight.
    wanted = {name: "features." + name.partition(".")[2] for name in backbone.state_dict()}
    absent = [source for source in wanted.values() if source not in tensors]
    if absent:
        raise UserError(
            f"{path} lacks {len(absent)} of {len(wanted)} tensors of '{net}' (the first is {absent[0]}): LPIPS takes {_files(net)}."
        )
    try:
        backbone.load_state_dict(
            {name: tensors[source] for name, source in wanted.items()}, strict=True
        )
    except RuntimeError as error:
        raise UserError(f"{path} does not fit '{net}': LPIPS takes {_files(net)}.") from error
    return network.eval().requires_grad_(False)


def _weighted(layer: Tensor, head: Tensor) -> Tensor:
    unit = layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10)
    weighted: Tensor = unit * (head.clamp_min(0).sqrt() / layer[0, 0].numel() ** 0.5)
    return weighted.flatten(1)


def _prepared(images: Tensor) -> Tensor:
    """Three channels, and a side that every backbone can take."""
    colored = images.float().expand(-1, 3, -1, -1) if images.shape[1] == 1 else images.float()
    if min(colored.shape[-2:]) >= MIN_SIDE:
        return colored
    return F.interpolate(
        colored, (ENLARGED_SIDE, ENLARGED_SIDE), mode="bilinear", align_corners=False
    )
