"""Stored vectors of training images, exact distances to the nearest of them, and their selection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

SMALLEST_SPREAD = 1e-6


class Memory(nn.Module):
    """Vectors (M, D) in a buffer; M is 0 until they are stored or loaded."""

    vectors: Tensor

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(0, dimensions))

    def nearest(self, queries: Tensor, neighbours: int) -> tuple[Tensor, Tensor]:
        """Find the stored vectors nearest to each query.

        Args:
            queries: (N, D).
            neighbours: k; all stored vectors if there are fewer.

        Returns:
            Distances (N, k), ascending, and indices (N, k) into `vectors`.
        """
        k = min(neighbours, len(self.vectors))
        found = torch.cdist(queries, self.vectors).topk(k, largest=False).indices
        # |a|^2 - 2ab + |b|^2 finds the neighbors; its rounding would depend on the batch.
        exact = (queries[:, None] - self.vectors[found]).norm(dim=2)
        distances, order = exact.sort(dim=1)
        return distances, found.gather(1, order)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        # Only the weights tell the number of vectors.
        self.vectors = torch.empty_like(state_dict[f"{prefix}vectors"], device=self.vectors.device)
        super()._load_from_state_dict(state_dict, prefix, *args)


class FeatureMemory(nn.Module):
    """Features of training images, each z-scored by its mean and standard deviation over them."""

    mean: Tensor
    spread: Tensor

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.memory = Memory(dimensions)
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("spread", torch.ones(dimensions))

    def store(self, features: Iterable[Tensor]) -> None:
        """Store the features of all training images, in parts (n, D)."""
        whole = torch.cat(list(features))
        spread, self.mean = torch.std_mean(whole, dim=0, correction=0)
        self.spread = spread.clamp_min(SMALLEST_SPREAD)
        self.memory.vectors = self.scaled(whole)

    def scaled(self, features: Tensor) -> Tensor:
        """Z-score features (N, D)."""
        return (features - self.mean) / self.spread

    def distances(self, features: Tensor, neighbours: int, side: int) -> tuple[Tensor, Tensor]:
        """Compute the mean distance to the nearest stored images, and where it comes from.

        Args:
            features: (N, D), flattened (C, side, side) feature maps.
            neighbours: stored images whose distances are averaged.
            side: of the feature map.

        Returns:
            Distances (N,), root mean squares over the features; and maps (N, 1, side, side): at
            each position the root mean squared difference from the same neighbors.
        """
        queries = self.scaled(features)
        distances, found = self.memory.nearest(queries, neighbours)
        apart = torch.square(queries[:, None] - self.memory.vectors[found])
        maps = apart.view(*apart.shape[:2], -1, side, side).mean((1, 2)).sqrt()[:, None]
        return distances.mean(1) / queries.shape[1] ** 0.5, maps


def k_center_greedy(vectors: Tensor, count: int, dimensions: int, rng: torch.Generator) -> Tensor:
    """Select vectors, each the farthest from those before it (Sener 2018; PatchCore, algorithm 1).

    Args:
        vectors: (M, D).
        count: vectors to select.
        dimensions: of the random Gaussian projection in which distances are measured (Johnson,
            Lindenstrauss 1984); none where D is not larger.
        rng: draws the projection and the first vector.

    Returns:
        Indices (count,), all different while there are different vectors.
    """
    space = vectors
    if dimensions < vectors.shape[1]:
        projection = torch.randn(vectors.shape[1], dimensions, generator=rng) / dimensions**0.5
        space = vectors @ projection.to(vectors.device)
    chosen = [int(torch.randint(len(space), (1,), generator=rng))]
    nearest = torch.full((len(space),), torch.inf, device=vectors.device)
    while len(chosen) < min(count, len(space)):
        apart = torch.square(space - space[chosen[-1]]).sum(1)
        nearest = torch.minimum(nearest, apart)
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen, device=vectors.device)
