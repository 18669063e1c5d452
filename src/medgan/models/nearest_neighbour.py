"""Distance to the nearest normal training image: a baseline without a network.

PatchCore's idea (Roth 2022) on pixels, which are taken as they are given, like those of every other
model: `preprocessing.intensity` decides whether differences of exposure count. The score is the
root mean squared distance, the map is |x - nearest|.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from medgan.contracts import AnomalyScores, Batch, ImageSpec, Player, TrainingSet
from medgan.losses import residual_map

TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `nearest_neighbour`: none."""


class NearestNeighbour(nn.Module):
    """All normal training images in a buffer."""

    COUNTERPART = "nearest training image"

    memory: Tensor

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.register_buffer("memory", torch.zeros(0, *spec.shape))

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return no stages: the model is fitted."""
        return {}

    def fit(self, batches: Iterator[Batch]) -> None:
        """Store every training image."""
        self.memory = torch.cat([batch.images for batch in batches])

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Compute the root mean squared distance to the nearest training image, and the map."""
        distances, found = self._nearest(images)
        return AnomalyScores(distances / images[0].numel() ** 0.5, residual_map(images, found))

    @torch.inference_mode()
    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the nearest training images (N, C, H, W)."""
        return self._nearest(images)[1]

    def _nearest(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distance to the nearest stored image (N,), and that image (N, C, H, W)."""
        # Exact differences: the rounding of |a|^2 - 2ab + |b|^2 would depend on the batch.
        nearest = torch.cdist(
            queries.flatten(1), self.memory.flatten(1), compute_mode="donot_use_mm_for_euclid_dist"
        ).min(1)
        return nearest.values, self.memory[nearest.indices]

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        # Only the weights tell the number of training images.
        self.memory = torch.empty_like(state_dict[f"{prefix}memory"], device=self.memory.device)
        super()._load_from_state_dict(state_dict, prefix, *args)


def build(config: Config, spec: ImageSpec) -> NearestNeighbour:
    """Build a nearest-neighbor detector without images."""
    return NearestNeighbour(spec)
