"""Distance to the nearest normal training image: the baseline without a network (PatchCore's idea,
Roth 2022, on pixels).

Images are standardised - mean 0, spread 1 for each image, clipped at 3 spreads - because exposure
differs between films and would otherwise be most of the distance. The score is the Euclidean
distance per pixel, the map |x - nearest|.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from medgan.contracts import AnomalyScores, Batch, ImageSpec, Player, TrainingSet
from medgan.images.transforms import STANDARD_RANGE, standardised
from medgan.losses import residual_map

TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `nearest_neighbour`: it has none."""


class NearestNeighbour(nn.Module):
    """All normal training images, kept as a buffer."""

    COUNTERPART = "nearest training image"

    memory: Tensor

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.register_buffer("memory", torch.zeros(0, *spec.shape))

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Nothing to play: it is fitted."""
        return {}

    def fit(self, batches: Iterator[Batch]) -> None:
        """Keeps every training image."""
        self.memory = torch.cat([standardised(batch.images) for batch in batches])

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Root mean squared distance to the nearest training image, and where it lies."""
        queries = standardised(images)
        distances, found = self._nearest(queries)
        return AnomalyScores(distances / queries[0].numel() ** 0.5, residual_map(queries, found))

    @torch.inference_mode()
    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """The nearest training image (N, C, H, W), with the mean and spread of the image, as a
        standardised one has none of its own.
        """
        _, found = self._nearest(standardised(images))
        spread, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True, correction=0)
        return (found * STANDARD_RANGE * spread + mean).clamp(-1, 1)

    def _nearest(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Distance to the nearest standardised training image (N,), and that image (N, C, H, W)."""
        # Exact differences, not |a|^2 - 2ab + |b|^2: the shortcut's rounding would depend on the
        # batch.
        nearest = torch.cdist(
            queries.flatten(1), self.memory.flatten(1), compute_mode="donot_use_mm_for_euclid_dist"
        ).min(1)
        return nearest.values, self.memory[nearest.indices]

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        # The number of training images is known only from the weights.
        self.memory = torch.empty_like(state_dict[f"{prefix}memory"], device=self.memory.device)
        super()._load_from_state_dict(state_dict, prefix, *args)


def build(config: Config, spec: ImageSpec) -> NearestNeighbour:
    """A nearest-neighbour detector without memory."""
    return NearestNeighbour(spec)
