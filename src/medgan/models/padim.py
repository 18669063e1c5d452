"""PaDiM: a Gaussian of pretrained features at each position of the image (Defard 2021).

Features of several layers of a frozen network are concatenated at the positions of the first one; a
random subset of d of them is kept. At each position, mean and covariance over the training normals
(with 0.01 I added) give the Mahalanobis distance of a new image (eq. 2). The map is the distance at
each position, interpolated to the size of the image; the score is its maximum over positions (the
paper) or its mean.

The weights of the network come from a file, `--params backbone_weights=PATH` or torchvision's
download folder, and become part of the published model. Images are handled as
`networks.backbone.Backbone` says: mapped from [-1, 1] to [0, 1], standardized or not.

Deviations: SqueezeNet 1.1 (features.4 and features.7) at 112 px instead of ResNet-18 or
WideResNet-50 at 224 px by default; the map is not smoothed; the maximum is taken before the map is
interpolated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from medgan.contracts import AnomalyScores, Batch, ImageSpec, Player, TrainingSet
from medgan.networks.backbone import BackboneName, PatchFeatures
from medgan.networks.blocks import enlarged
from medgan.ranges import BackboneSide, Count, Weight

NAME = "PaDiM"
ON_REQUEST = True
TRAINING_SET = TrainingSet.NORMAL
OVER_POSITIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "max": lambda distances: distances.amax(1),
    "mean": lambda distances: distances.mean(1),
}


@dataclass(frozen=True)
class Config:
    """Settings of `padim`."""

    backbone: BackboneName = "squeezenet1_1"
    layers: tuple[str, ...] = ("features.4", "features.7")
    """The first decides the number of positions."""
    side: BackboneSide = 112
    """Pixels to which images are resized."""
    dimensions: Count = 100
    """d, or all features where there are fewer."""
    regularization: Weight = 0.01
    """Added to the diagonal of each covariance."""
    score: Literal["max", "mean"] = "max"
    """Over positions."""


class Padim(nn.Module):
    """A frozen backbone, and a Gaussian at each position."""

    chosen: Tensor
    """(d,) indices of the features that are kept."""
    mean: Tensor
    """(P, d)."""
    precision: Tensor
    """(P, d, d), the inverse covariances."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.patches = PatchFeatures(config.backbone, config.layers, config.side, averaged=False)
        d, positions = min(config.dimensions, self.patches.dimensions), self.patches.grid**2
        self.register_buffer("chosen", torch.arange(d))
        self.register_buffer("mean", torch.zeros(positions, d))
        self.register_buffer("precision", torch.zeros(positions, d, d))

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return no stages: the model is fitted."""
        return {}

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Set the weights of the backbone, by torchvision's names."""
        self.patches.backbone.load(tensors)

    @torch.no_grad()
    def fit(self, batches: Iterator[Batch]) -> None:
        """Estimate the Gaussians from all training images.

        Raises:
            UserError: the backbone has no weights.
        """
        self.patches.require_weights("padim")
        parts = list[Tensor]()
        for number, batch in enumerate(batches):
            if number == 0:
                drawn = torch.randperm(self.patches.dimensions, generator=batch.rng)
                self.chosen = drawn[: len(self.chosen)].to(self.chosen.device)
            parts.append(self._embedded(batch.images))
        embedded = torch.cat(parts, dim=1)
        self.mean = embedded.mean(1)
        self.precision = torch.stack([self._inverted(position) for position in embedded])

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Compute the Mahalanobis distance at each position, and its maximum or mean."""
        apart = self._embedded(images) - self.mean[:, None]
        squares = torch.einsum("pnd,pde,pne->np", apart, self.precision, apart)
        distances = squares.clamp_min(0).sqrt()
        maps = distances.view(-1, 1, self.patches.grid, self.patches.grid)
        scores = OVER_POSITIONS[self.config.score](distances)
        return AnomalyScores(scores, enlarged(maps, images.shape[-1]))

    def _embedded(self, images: Tensor) -> Tensor:
        """Compute the features that are kept, position by position: (P, N, d)."""
        return self.patches(images)[:, self.chosen].flatten(2).permute(2, 0, 1)

    def _inverted(self, embedded: Tensor) -> Tensor:
        """Compute the inverse covariance (d, d) of vectors (N, d), regularized."""
        apart = (embedded - embedded.mean(0)).double()
        covariance = apart.T @ apart / max(len(apart) - 1, 1)
        covariance.diagonal().add_(self.config.regularization)
        return torch.linalg.inv(covariance).float()


def build(config: Config, spec: ImageSpec) -> Padim:
    """Build a detector without weights and without Gaussians."""
    return Padim(config, spec)
