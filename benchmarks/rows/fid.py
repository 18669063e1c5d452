"""FID of new samples; the statistics of the real images are known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.paired import Case, Within, relative_difference
from benchmarks.rows.features import GivenFeatures, features
from benchmarks.scale import Scale
from medgan.metrics.fid import frechet_distance, statistics

GOAL = 3.0
SAME = Within(1e-6, relative_difference, "relative difference of the FID")


def against_torch_fidelity(scale: Scale) -> Case:
    """torch-fidelity."""
    return _against_torch_fidelity(scale, scale.of(1_000, 100))


def against_torch_fidelity_with_more(scale: Scale) -> Case:
    """torch-fidelity, with more images than features."""
    return _against_torch_fidelity(scale, scale.of(5_000, 600))


def _against_torch_fidelity(scale: Scale, count: int) -> Case:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    def theirs(known: Any, new: Any) -> float:
        found = fid_statistics_to_metric(known, fid_features_to_statistics(new), verbose=False)
        return float(found["frechet_inception_distance"])

    real, new = map(torch.from_numpy, _samples(scale, count))
    other = partial(theirs, fid_features_to_statistics(real), new)
    return _case("torch-fidelity", other, scale, count)


def against_pytorch_fid(scale: Scale) -> Case:
    """pytorch-fid, the most used one."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    def moments(features: NDArray[np.float64]) -> tuple[Any, Any]:
        return np.mean(features, axis=0), np.cov(features, rowvar=False)

    count = scale.of(1_000, 100)
    real, new = _samples(scale, count)
    known = moments(real)
    other = lambda: calculate_frechet_distance(*known, *moments(new))  # noqa: E731
    return _case("pytorch-fid", other, scale, count)


def against_torchmetrics(scale: Scale) -> Case:
    """torchmetrics, which keeps the statistics of the real images."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    count = scale.of(1_000, 100)
    real, new = (torch.from_numpy(part)[:, :, None, None] for part in _samples(scale, count))
    network = GivenFeatures(new.shape[1])
    metric = FrechetInceptionDistance(network, reset_real_features=False).set_dtype(torch.float64)
    metric.update(real, real=True)

    def theirs() -> float:
        metric.reset()
        metric.update(new, real=False)
        return float(metric.compute())

    return _case("torchmetrics", theirs, scale, count)


def _samples(scale: Scale, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features of the real images, and of so many new ones."""
    real, new = features(*scale.of((5_000, 1_024), (600, 256)))
    return real, new[:count]


def _case(against: str, other: Callable[[], Any], scale: Scale, count: int) -> Case:
    real, new = _samples(scale, count)
    known = statistics(real)
    work = f"FID of {count:,} new samples, {new.shape[1]:,} features"
    return Case(work, against, GOAL, lambda: frechet_distance(known, statistics(new)), other, SAME)


CASES = (
    against_torch_fidelity,
    against_torch_fidelity_with_more,
    against_pytorch_fid,
    against_torchmetrics,
)
