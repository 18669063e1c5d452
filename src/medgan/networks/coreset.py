"""Greedy selection of vectors that cover all others."""

from __future__ import annotations

import torch
from torch import Tensor


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
