"""FID of new samples; the statistics of the real images are known."""

from __future__ import annotations

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
    """torch-fidelity, which `medgan` needs for Inception only."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    def theirs(known: Any, new: Any) -> float:
        found = fid_statistics_to_metric(known, fid_features_to_statistics(new), verbose=False)
        return float(found["frechet_inception_distance"])

    real, new = map(torch.from_numpy, _samples(scale))
    return _case("torch-fidelity", partial(theirs, fid_features_to_statistics(real), new), scale)


def against_pytorch_fid(scale: Scale) -> Case:
    """pytorch-fid, the most used one."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    def moments(features: NDArray[np.float64]) -> tuple[Any, Any]:
        return np.mean(features, axis=0), np.cov(features, rowvar=False)

    real, new = _samples(scale)
    known = moments(real)
    return _case("pytorch-fid", lambda: calculate_frechet_distance(*known, *moments(new)), scale)


def against_torchmetrics(scale: Scale) -> Case:
    """torchmetrics, which keeps the statistics of the real images."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    real, new = (torch.from_numpy(images)[:, :, None, None] for images in _samples(scale))
    network = GivenFeatures(new.shape[1])
    metric = FrechetInceptionDistance(network, reset_real_features=False).set_dtype(torch.float64)
    metric.update(real, real=True)

    def theirs() -> float:
        metric.reset()
        metric.update(new, real=False)
        return float(metric.compute())

    return _case("torchmetrics", theirs, scale)


def _samples(scale: Scale) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return features(*scale.of((5_000, 1_024), (600, 256)))


def _case(against: str, other: Any, scale: Scale) -> Case:
    real, new = _samples(scale)
    known = statistics(real)
    work = f"FID of {len(new):,} new samples, {new.shape[1]:,} features"
    return Case(work, against, GOAL, lambda: frechet_distance(known, statistics(new)), other, SAME)


CASES = (against_torch_fidelity, against_pytorch_fid, against_torchmetrics)
