"""The average of weights, by hand."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from medgan.training.optimization import SCHEDULES, WeightAverage, rate_factor


def test_by_hand() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = WeightAverage(model, 0.5)
    expected = 0.0
    for step, value in enumerate([1.0, 3.0, -2.0, 4.0], start=1):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert average.weights["weight"].item() == pytest.approx(expected)


def test_statistics_are_averaged_and_counters_copied() -> None:
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, 0.9)
    for _ in range(3):
        model(torch.randn(8, 2) + 5)
        average.update()
    assert average.weights["num_batches_tracked"].item() == 3
    assert 0 < average.weights["running_mean"][0] < 5


def test_the_unit_vectors_of_spectral_norm_are_copied() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(4, 3))
    )
    average = WeightAverage(model, 0.5)
    for _ in range(3):
        with torch.no_grad():
            model[0].parametrizations.weight.original.normal_()
        model(torch.ones(1, 4))
        average.update()
    vectors = [name for name in average.weights if name.endswith(("_u", "_v"))]
    assert len(vectors) == 2
    for name in vectors:
        assert torch.equal(average.weights[name], model.state_dict()[name])
    weight = "0.parametrizations.weight.original"
    assert not torch.equal(average.weights[weight], model.state_dict()[weight])


@pytest.mark.parametrize("decay", SCHEDULES)
def test_rates_are_flat_at_first_and_never_rise(decay: str) -> None:
    factors = [rate_factor(decay, 0.5, step, 100) for step in range(100)]
    assert factors[:51] == [1.0] * 51
    assert all(later <= earlier for earlier, later in pairwise(factors))
    assert all(factor > 0 for factor in factors)


def test_known_points() -> None:
    assert rate_factor("linear", 0.5, 75, 100) == pytest.approx(0.5)
    assert rate_factor("cosine", 0.0, 50, 100) == pytest.approx(0.5)
    assert rate_factor("none", 0.0, 99, 100) == 1.0
    assert rate_factor("linear", 1.0, 99, 100) == 1.0
