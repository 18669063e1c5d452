"""Metrics of pairs of images, for synthetic images that have no original.

Each value states how its pairs were made, and is reported beside the value of real images paired
with real images in the same way:

- `random`: each image with a random real image of the same class.
- `nearest`: each image with the real image of the same class that is best by the same metric.

PSNR = 10 log10(1 / MSE) on images in [0, 1]. MS-GMSD (Zhang 2017), from the package piq, is the
standard deviation of the similarity of Prewitt gradients over four scales; lower is better, 0 is
identical, but it can be 0 for a uniformly wrong pair too.

Images are (N, C, H, W) in [-1, 1] with 1 or 3 channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from medgan.errors import UserError

MSE_FLOOR = 1e-8
"""Identical images have 80 dB, not infinity."""
MS_GMSD_MIN_SIDE = 17
PAIRS_AT_ONCE = 4096
SCALE_WEIGHTS = (0.096, 0.596, 0.289, 0.019)
"""Of MS-GMSD, finest first (Zhang 2017), as are the next two: masking, and numerical stability."""
MASKING, STABILITY = 0.5, 170.0


@dataclass(frozen=True)
class PairMetric:
    """A metric of pairs."""

    name: str
    pairs: Callable[[Tensor, Tensor], Tensor]
    """(N, C, H, W) twice to (N,)."""
    distances: Callable[[Tensor, Tensor], Tensor]
    """(N, C, H, W) and (M, C, H, W) to (N, M), lower is nearer, in the same order as `pairs`."""


def psnr(first: Tensor, second: Tensor) -> Tensor:
    """Compute the peak signal-to-noise ratio of each pair in dB (N,), at most 80."""
    error = ((first.double() - second.double()) / 2).square().flatten(1).mean(1)
    return -10 * torch.log10(error.clamp_min(MSE_FLOOR))


def ms_gmsd(first: Tensor, second: Tensor) -> Tensor:
    """Compute the multi-scale gradient magnitude similarity deviation of each pair: (N,).

    Raises:
        UserError: if a side is below 17 pixels, the minimum of four scales.
    """
    from piq import multi_scale_gmsd  # seconds of import

    side = min(first.shape[-2:])
    if side < MS_GMSD_MIN_SIDE:
        raise UserError(
            f"MS-GMSD needs images of {MS_GMSD_MIN_SIDE} pixels a side, these have {side}: raise "
            "preprocessing.size."
        )
    batches = (torch.split(_unit(images), PAIRS_AT_ONCE) for images in (first, second))
    pairs = zip(*batches, strict=True)
    return torch.cat([multi_scale_gmsd(a, b, data_range=1.0, reduction="none") for a, b in pairs])


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Compute squared Euclidean distances (N, M) of flattened images, in the order of PSNR."""
    return torch.cdist(first.flatten(1), second.flatten(1)).square()


def _ms_gmsd_distances(first: Tensor, second: Tensor) -> Tensor:
    """Compute MS-GMSD of all pairs (N, M), with piq's constants; the gradients of an image once."""
    total = torch.zeros(len(first), len(second), device=first.device)
    for weight, ours, theirs in zip(
        SCALE_WEIGHTS, _gradients(first), _gradients(second), strict=True
    ):
        for row, gradients in enumerate(ours):
            product, squares = gradients * theirs, gradients.square() + theirs.square()
            similarity = ((2 - MASKING) * product + STABILITY) / (
                squares - MASKING * product + STABILITY
            )
            total[row] += weight * similarity.var(1, correction=0)
    return total.sqrt()


def _gradients(images: Tensor) -> Iterator[Tensor]:
    """Return the magnitudes of the gradients (N, pixels) of each scale, on gray levels to 255."""
    from piq.functional import gradient_map, prewitt_filter, rgb2yiq  # seconds of import

    gray = 255 * _unit(images)
    gray = rgb2yiq(gray)[:, :1] if gray.shape[1] > 1 else gray
    kernel = prewitt_filter(dtype=gray.dtype, device=gray.device)
    kernels = torch.stack([kernel, kernel.mT])
    for scale in range(len(SCALE_WEIGHTS)):
        if scale:
            odd = max(side % 2 for side in gray.shape[2:])
            gray = F.avg_pool2d(F.pad(gray, (0, odd, 0, odd)), 2)
        yield gradient_map(gray, kernels).flatten(1)


PSNR = PairMetric("psnr", psnr, squared_distances)
MS_GMSD = PairMetric("ms_gmsd", ms_gmsd, _ms_gmsd_distances)
METRICS = (PSNR, MS_GMSD)
"""Those that need no weights; `metrics.lpips` has another."""
Pairing = Callable[[Tensor, Tensor, PairMetric, bool, torch.Generator], Tensor]
"""(images, real, metric, whether both are one set, rng) to the index (N,) of the real image of each
pair."""


def _random(
    images: Tensor, real: Tensor, metric: PairMetric, same_set: bool, rng: torch.Generator
) -> Tensor:
    """Select each real image about equally often, and never the image itself."""
    n, count = len(images), len(real)
    if same_set:
        shift = torch.randint(1, count, (n,), generator=rng)
        return (torch.arange(n) + shift) % count
    rounds = [torch.randperm(count, generator=rng) for _ in range(-(-n // count))]
    return torch.cat(rounds)[:n]


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
    """Compute the metric of each image with the real image that it is paired with: (N,).

    Args:
        images: (N, C, H, W), synthetic images, or real ones for the value to compare with.
        real: (M, C, H, W), of the same class.
        metric: `PSNR`, `MS_GMSD`, or a metric of `metrics.lpips`.
        pairing: a key of PAIRINGS.
        rng: generator of the random pairing.
        same_set: `images` are the first N of `real`; none is paired with itself.

    Raises:
        UserError: if there are too few images for a pair.
    """
    if not len(images) or len(real) < 1 + same_set:
        raise UserError(
            f"{len(images)} and {len(real)} images make no pairs: draw more images, or leave this "
            "class out."
        )
    return metric.pairs(images, real[PAIRINGS[pairing](images, real, metric, same_set, rng)])


def _unit(images: Tensor) -> Tensor:
    return ((images.float() + 1) / 2).clamp(0, 1)
