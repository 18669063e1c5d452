"""Agreement of patch_knn and padim with anomalib's PatchCore and PaDiM on the same feature maps.

    uv pip install --target build/anomalib anomalib
    PYTHONPATH=build/anomalib python benchmarks/patch_features.py --weights PATH --images pneumoniamnist.npz

anomalib's models get the feature maps of our backbone in place of its own; pooling, concatenation,
coreset, Gaussians, distances and scores are its own. Training normals are those of the file, scores
are compared on its validation images. It prints the Spearman correlation of the image scores, and
the largest relative difference.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from anomalib.models.image.padim.torch_model import PadimModel
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from scipy.stats import spearmanr
from torch import Tensor, nn

from medgan import models
from medgan.contracts import Batch
from medgan.images.transforms import prepare

RULE = "\n|---|---|---|"
PEER_BACKBONE = "resnet18"
"""anomalib builds one, which `FeatureMaps` replaces."""


class FeatureMaps(nn.Module):
    """The maps of our backbone by name, as anomalib's models ask for them."""

    def __init__(self, backbone: nn.Module, layers: list[str]) -> None:
        super().__init__()
        self.backbone, self.layers = backbone, layers

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.layers, self.backbone(images), strict=True))


def main() -> None:
    arguments = _arguments()
    weights = torch.load(arguments.weights, weights_only=True)
    with np.load(arguments.images) as file:
        normal = file["train_images"][file["train_labels"][:, 0] == 0][: arguments.count]
        train, new = (_prepared(part) for part in (normal, file["val_images"][: arguments.count]))
    settings = {"backbone": arguments.backbone, "layers": tuple(arguments.layers)}
    print(f"{len(train)} training normals, {len(new)} validation images, {arguments}\n")
    print("| scores | rank correlation | largest relative difference |" + RULE)
    for name, compare in (("patch_knn", _patchcore), ("padim", _padim)):
        model = models.create(
            name, 32, side=arguments.side, **settings, **_CHANGES.get(name, {})
        ).eval()
        model.load_pretrained(weights)
        model.fit(iter([Batch(train, torch.Generator().manual_seed(0))]))
        for what, ours, theirs in compare(model, arguments.layers, train, new):
            print(_row(what, ours, theirs), flush=True)


_CHANGES: dict[str, dict[str, Any]] = {"patch_knn": {"candidates": 1_000_000}}


def _patchcore(model: Any, layers: list[str], train: Tensor, new: Tensor) -> Any:
    peer = PatchcoreModel(["layer1"], PEER_BACKBONE, pre_trained=False)
    peer.feature_extractor, peer.layers = FeatureMaps(model.patches.backbone, layers), layers
    ours = model.score(new, torch.Generator()).image_scores
    peer.eval().memory_bank = model.memory.vectors.clone()
    yield "patch_knn, one coreset for both", ours, _in_parts(peer, new)
    theirs = [_own_coreset(peer, model.config.coreset, train, new) for _ in range(2)]
    yield "patch_knn, each its own coreset", ours, theirs[0]
    yield "anomalib against itself, two coresets", theirs[1], theirs[0]


def _own_coreset(peer: Any, share: float, train: Tensor, new: Tensor) -> Tensor:
    peer.train()
    peer.feature_extractor.eval()
    for part in train.split(64):
        peer(part)
    peer.subsample_embedding(share)
    return _in_parts(peer.eval(), new)


def _padim(model: Any, layers: list[str], train: Tensor, new: Tensor) -> Any:
    peer = PadimModel(PEER_BACKBONE, ["layer1", "layer2"], False, len(model.chosen))
    peer.feature_extractor, peer.layers = FeatureMaps(model.patches.backbone, layers), layers
    peer.idx = model.chosen
    peer.train()
    peer.feature_extractor.eval()
    for part in train.split(64):
        peer(part)
    peer.fit()
    peer.eval()
    maps = peer.anomaly_map_generator.compute_distance(
        peer.generate_embedding(peer.feature_extractor(new)),
        [peer.gaussian.mean, peer.gaussian.inv_covariance],
    ).flatten(1)
    ours = model.score(new, torch.Generator()).image_scores
    yield "padim, maximum over positions", ours, maps.amax(1)
    yield "padim, anomalib's own score: maximum of its smoothed map", ours, _in_parts(peer, new)
    object.__setattr__(model.config, "score", "mean")
    ours = model.score(new, torch.Generator()).image_scores
    yield "padim, mean over positions", ours, maps.mean(1)


@torch.no_grad()
def _in_parts(peer: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([peer(part).pred_score for part in images.split(64)])


def _row(what: str, ours: Tensor, theirs: Tensor) -> str:
    apart = ((ours - theirs).abs() / theirs.abs()).max()
    return f"| {what} | {spearmanr(ours, theirs).statistic:.5f} | {apart:.1e} |"


def _prepared(pixels: np.ndarray) -> Tensor:
    return prepare(torch.from_numpy(pixels[..., None]), "standardised", 32)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", required=True, help="file of the backbone's weights")
    parser.add_argument("--images", required=True, help="an .npz file of MedMNIST, gray")
    parser.add_argument("--backbone", default="squeezenet1_1")
    parser.add_argument("--layers", nargs="+", default=["features.4", "features.7"])
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--count", type=int, default=250, help="images of each part, at most")
    return parser.parse_args()


if __name__ == "__main__":
    main()
