"""Learning rates over a stage."""

from itertools import pairwise

import pytest

from medgan.training.schedules import SCHEDULES, rate_factor


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
