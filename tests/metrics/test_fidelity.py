"""Fréchet and kernel distance against torch-fidelity, on the same features."""

import numpy as np
import pytest
import torch

from medgan.metrics.fid import frechet_distance, statistics
from medgan.metrics.kid import kernel_distance

metric_fid = pytest.importorskip("torch_fidelity.metric_fid", reason="torch-fidelity is missing")
metric_kid = pytest.importorskip("torch_fidelity.metric_kid", reason="torch-fidelity is missing")


def rectified(n, dimension, shift, seed):
    """Features as a network gives them: not negative, correlated, some of them always 0."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(n, dimension)) @ rng.normal(size=(dimension, dimension))
    found = np.maximum(mixed / np.sqrt(dimension) + shift, 0)
    found[:, :3] = 0
    return found.astype(np.float32)


@pytest.mark.parametrize(("n", "m", "dimension"), [(500, 400, 64), (150, 130, 512)])
def test_the_frechet_distance_is_that_of_torch_fidelity(n, m, dimension):
    first, second = rectified(n, dimension, 0, 1), rectified(m, dimension, 0.2, 2)
    published = metric_fid.fid_statistics_to_metric(
        *(
            metric_fid.fid_features_to_statistics(torch.from_numpy(one).double())
            for one in (first, second)
        ),
        verbose=False,
    )["frechet_inception_distance"]
    ours = frechet_distance(statistics(first), statistics(second))
    assert ours == pytest.approx(published, rel=1e-3)


@pytest.mark.parametrize(("n", "dimension"), [(400, 64), (150, 512)])
def test_the_kernel_distance_is_that_of_torch_fidelity(n, dimension):
    """Of one subset of all images: torch-fidelity averages over subsets of 1,000."""
    first, second = rectified(n, dimension, 0, 1), rectified(n, dimension, 0.2, 2)
    published = metric_kid.kid_features_to_metric(
        *(torch.from_numpy(one).double() for one in (first, second)),
        kid_subsets=1,
        kid_subset_size=n,
        verbose=False,
    )["kernel_inception_distance_mean"]
    assert kernel_distance(first, second).value == pytest.approx(published, rel=1e-3)
