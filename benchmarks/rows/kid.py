"""Kernel distance (KID) of all pairs of images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.paired import Case, NotCompared, Within, relative_difference
from benchmarks.rows.features import GivenFeatures, features
from benchmarks.scale import Scale
from medgan.metrics.kid import kernel_distance

GOAL = 3.0
SAME = Within(1e-6, relative_difference, "relative difference of the KID")
SUBSETS_VARY = NotCompared("it averages over random subsets, in single precision")


def against_torchmetrics(scale: Scale) -> Case:
    """torchmetrics as it is called by default."""
    from torchmetrics.image.kid import KernelInceptionDistance

    _, dimensions = _size(scale)
    subsets, of = _subsets(scale)
    metric = KernelInceptionDistance(GivenFeatures(dimensions), subsets, of)
    real, synthetic = (torch.from_numpy(images)[:, :, None, None] for images in _features(scale))

    def theirs() -> float:
        metric.reset()
        metric.update(real, real=True)
        metric.update(synthetic, real=False)
        return float(metric.compute()[0])

    return _case(f"torchmetrics, {subsets} subsets of {of:,}", scale, theirs, SUBSETS_VARY)


def against_torch_fidelity(scale: Scale) -> Case:
    """torch-fidelity as it is called by default."""
    subsets, of = _subsets(scale)
    name = f"torch-fidelity, {subsets} subsets of {of:,}"
    return _case(name, scale, partial(_fidelity, scale, subsets, of), SUBSETS_VARY)


def against_all_pairs(scale: Scale) -> Case:
    """torch-fidelity with one subset of all images: the same pairs as ours."""
    n, _ = _size(scale)
    other = partial(_fidelity, scale, 1, n, np.float64)
    return _case("torch-fidelity, one subset of all images", scale, other, SAME)


def _fidelity(scale: Scale, subsets: int, of: int, kind: Any = np.float32) -> float:
    from torch_fidelity.metric_kid import kid_features_to_metric

    real, synthetic = (torch.from_numpy(images.astype(kind)) for images in _features(scale))
    found = kid_features_to_metric(
        synthetic, real, kid_subsets=subsets, kid_subset_size=of, rng_seed=0, verbose=False
    )
    return float(found["kernel_inception_distance_mean"])


def _size(scale: Scale) -> tuple[int, int]:
    return scale.of((5_000, 2_048), (400, 256))


def _subsets(scale: Scale) -> tuple[int, int]:
    return scale.of((100, 1_000), (10, 100))


def _features(scale: Scale) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    real, synthetic = features(*_size(scale))
    return real.astype(np.float32), synthetic.astype(np.float32)


def _case(
    against: str, scale: Scale, other: Callable[[], float], outputs: Within | NotCompared
) -> Case:
    real, synthetic = _features(scale)
    n, dimensions = real.shape
    return Case(
        f"KID of {n:,} and {n:,} images, {dimensions:,} features, all pairs",
        against,
        GOAL,
        lambda: kernel_distance(real, synthetic).value,
        other,
        outputs,
    )


CASES = (against_all_pairs, against_torch_fidelity, against_torchmetrics)
