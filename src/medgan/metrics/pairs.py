"""Figures of pairs of images, for images that have no pair.

A synthetic image has no original to be compared with, so every figure states how its pairs were
made, and stands beside the same figure of real images paired with real images in the same way:

- `random`: each image with a real image of the same class, drawn at random.
- `nearest`: each image with the real image of the same class that is best by the same metric.

PSNR = 10 log10(1 / MSE) on images in [0, 1]. MS-GMSD (Zhang 2017) is the spread of the similarity
of Prewitt gradients over four scales, from the package piq; 0 is identical, lower is better. As a
spread it can be 0 for a uniformly wrong pair.

Images are (N, C, H, W) in [-1, 1], C 1 or 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from medgan.errors import UserError

MSE_FLOOR = 1e-8
"""Identical images have 80 dB, not infinitely many."""
MS_GMSD_MIN_SIDE = 17
PAIRS_AT_ONCE = 4096


@dataclass(frozen=True)
class PairMetric:
    """A metric of pairs.

    `pairs` takes (N, C, H, W) twice and gives (N,). `distances` takes (N, C, H, W) and (M, C, H, W)
    and gives (N, M), lower is nearer; it only has to order like `pairs`.
    """

    name: str
    pairs: Callable[[Tensor, Tensor], Tensor]
    distances: Callable[[Tensor, Tensor], Tensor]


def psnr(first: Tensor, second: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each pair in dB (N,), from images mapped to [0, 1]; 80 dB where
    they are identical.
    """
    error = ((first.double() - second.double()) / 2).square().flatten(1).mean(1)
    return -10 * torch.log10(error.clamp_min(MSE_FLOOR))


def ms_gmsd(first: Tensor, second: Tensor) -> Tensor:
    """Multi-scale gradient magnitude similarity deviation of each pair (N,): 0 identical, lower is
    better.

    Raises:
        UserError: a side is under 17 pixels, which four scales need.
    """
    from piq import multi_scale_gmsd  # seconds of import

    if min(first.shape[-2:]) < MS_GMSD_MIN_SIDE:
        raise UserError(
            f"MS-GMSD needs images of {MS_GMSD_MIN_SIDE} pixels a side, these have {min(first.shape[-2:])}: raise preprocessing.size."
        )
    pairs = zip(
        torch.split(_unit(first), PAIRS_AT_ONCE),
        torch.split(_unit(second), PAIRS_AT_ONCE),
        strict=True,
    )
    return torch.cat([multi_scale_gmsd(a, b, data_range=1.0, reduction="none") for a, b in pairs])


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Squared Euclidean distances (N, M) of flattened images: the order of PSNR."""
    return torch.cdist(first.flatten(1), second.flatten(1)).square()


def every_pair(pairs: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Distances (N, M) by a metric of pairs where lower is nearer: one row of pairs at a time."""

    def distances(first: Tensor, second: Tensor) -> Tensor:
        rows = [
            pairs(image.expand(len(second), -1, -1, -1), second) for image in torch.split(first, 1)
        ]
        return torch.stack(rows) if rows else torch.zeros(0, len(second))

    return distances


PSNR = PairMetric("psnr", psnr, squared_distances)
MS_GMSD = PairMetric("ms_gmsd", ms_gmsd, every_pair(ms_gmsd))

Pairing = Callable[[Tensor, Tensor, PairMetric, bool, torch.Generator], Tensor]
"""(images, real, metric, whether they are the same set, rng) to the number of the real image that
each image is paired with (N,).
"""


def _random(
    images: Tensor, real: Tensor, metric: PairMetric, same_set: bool, rng: torch.Generator
) -> Tensor:
    """Every real image about equally often; never the image itself where both are one set."""
    if same_set:
        shift = torch.randint(1, len(real), (len(images),), generator=rng)
        return (torch.arange(len(images)) + shift) % len(real)
    rounds = -(-len(images) // len(real))
    return torch.cat([torch.randperm(len(real), generator=rng) for _ in range(rounds)])[
        : len(images)
    ]


def _nearest(
    images: Tensor, real: Tensor, metric: PairMetric, same_set: bool, rng: torch.Generator
) -> Tensor:
    distances = metric.distances(images, real)
    if same_set:
        distances.diagonal().fill_(torch.inf)
    return distances.argmin(1)


PAIRINGS: Mapping[str, Pairing] = {"random": _random, "nearest": _nearest}


@torch.no_grad()
def paired_quality(
    images: Tensor,
    real: Tensor,
    metric: PairMetric,
    pairing: str,
    rng: torch.Generator,
    *,
    same_set: bool = False,
) -> Tensor:
    """The metric of each image (N, C, H, W) with the real image (M, C, H, W) that the pairing gives
    it: (N,).

    Args:
        images: synthetic ones, or real ones for the figure to compare with.
        real: of the same class.
        metric: `PSNR`, `MS_GMSD`, or a perceptual distance of `metrics.perceptual`.
        pairing: a key of PAIRINGS.
        rng: of the random pairing.
        same_set: `images` are the first N of `real`; none is paired with itself.

    Raises:
        UserError: too few images for a pair.
    """
    if not len(images) or len(real) < 1 + same_set:
        raise UserError(
            f"{len(images)} and {len(real)} images make no pairs: draw more images, or leave this class out."
        )
    return metric.pairs(images, real[PAIRINGS[pairing](images, real, metric, same_set, rng)])


def _unit(images: Tensor) -> Tensor:
    return ((images.float() + 1) / 2).clamp(0, 1)
