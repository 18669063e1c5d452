"""Distance of image patches to those of normal training images, in pretrained features: PatchCore.

Roth 2022. Features of two layers of a frozen network, averaged over 3x3 neighborhoods, describe the
patches; a coreset of the patches of all training normals is stored, selected by the greedy k-center
algorithm on a random projection. With s* = max over patches of the distance to the nearest stored
patch m*, found at patch p*, the score is (eq. 7)

    (1 - exp |p* - m*| / sum over m in N_b(m*) of exp |p* - m|) s*,   b = 9

N_b(m*) being the b stored patches nearest to m*, itself too. The map is the distance of each patch,
interpolated to the size of the image.

The weights of the network come from a file, `--params backbone_weights=PATH` or torchvision's
download folder, and become part of the published model. Images are handled as
`networks.backbone.Backbone` says: mapped from [-1, 1] to [0, 1], standardized or not.

Deviations: SqueezeNet 1.1 (features.4 and features.7) at 112 px instead of WideResNet-50 (layer2
and layer3) at 224 px by default; at most `candidates` patches, drawn at random, enter the selection
of the coreset; Gaussian instead of sparse projection; the map is not smoothed, and nothing is
cropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from medgan.contracts import AnomalyScores, Batch, ImageSpec, Player, TrainingSet
from medgan.networks.backbone import BackboneName, PatchFeatures
from medgan.networks.blocks import enlarged
from medgan.networks.memory import Memory, k_center_greedy
from medgan.ranges import BackboneSide, Count, Share

NAME = "PatchCore"
ON_REQUEST = True
TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `patch_knn`."""

    backbone: BackboneName = "squeezenet1_1"
    layers: tuple[str, ...] = ("features.4", "features.7")
    """The first decides the number of patches."""
    side: BackboneSide = 112
    """Pixels to which images are resized."""
    coreset: Share = 0.01
    """Share of the candidates that is stored."""
    candidates: Count = 100_000
    """Patches among which the coreset is selected."""
    projection: Count = 32
    """Dimensions in which it is selected."""
    neighbours: Count = 9
    """b; 1 does not weight the score."""
    score: Literal["max", "mean"] = "max"
    """`max` is eq. 7, `mean` the mean of the map, for anomalies that are spread over the image."""


class PatchKNN(nn.Module):
    """A frozen backbone, and patches of the training images."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.patches = PatchFeatures(config.backbone, config.layers, config.side, averaged=True)
        self.memory = Memory(self.patches.dimensions)

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return no stages: the model is fitted."""
        return {}

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Set the weights of the backbone, by torchvision's names."""
        self.patches.backbone.load(tensors)

    @torch.no_grad()
    def fit(self, batches: Iterator[Batch]) -> None:
        """Store a coreset of the patches of all training images.

        Raises:
            UserError: the backbone has no weights.
        """
        self.patches.require_weights("patch_knn")
        candidates, keys, rng = self.memory.vectors[:0], torch.empty(0), torch.Generator()
        for batch in batches:
            rng = batch.rng
            found = self.patches(batch.images).movedim(1, 3).flatten(0, 2)
            # The smallest random keys of all patches: a random sample, without storing all patches.
            keys = torch.cat([keys, torch.rand(len(found), generator=rng)])
            kept = keys.argsort()[: self.config.candidates]
            keys, candidates = keys[kept], torch.cat([candidates, found])[kept.to(found.device)]
        count = max(round(self.config.coreset * len(candidates)), 1)
        chosen = k_center_greedy(candidates, count, self.config.projection, rng)
        self.memory.vectors = candidates[chosen]

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Compute eq. 7 for each image, and the distance of each patch."""
        patches = self.patches(images).movedim(1, 3).flatten(1, 2)
        # Image by image: the distances of many patches to many others are large.
        scores, distances = zip(*(self._score(one) for one in patches), strict=True)
        grid = self.patches.grid
        maps = torch.stack(distances).view(-1, 1, grid, grid)
        return AnomalyScores(torch.stack(scores), enlarged(maps, images.shape[-1]))

    def _score(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the score of one image of patches (P, D), and the distance of each (P,)."""
        distances, found = (one[:, 0] for one in self.memory.nearest(patches, 1))
        if self.config.score == "mean":
            return distances.mean(), distances
        worst = distances.argmax()
        weight = self._weight(patches[worst], self.memory.vectors[found[worst]])
        return weight * distances[worst], distances

    def _weight(self, patch: Tensor, nearest: Tensor) -> Tensor | float:
        """Compute the factor of eq. 7 for p* (D,) and m* (D,)."""
        if self.config.neighbours == 1:
            return 1.0
        _, support = self.memory.nearest(nearest[None], self.config.neighbours)
        return 1 - (patch - self.memory.vectors[support[0]]).norm(dim=1).softmax(0)[0]


def build(config: Config, spec: ImageSpec) -> PatchKNN:
    """Build a detector without weights and without patches."""
    return PatchKNN(config, spec)
