"""The gradient penalty against a critic whose gradient is known."""

import pytest
import torch

from medgan.losses.penalties import gradient_penalty


@pytest.mark.parametrize("slope", [0.0, 1.0, 3.0])
def test_a_linear_critic_pays_for_the_distance_of_its_slope_from_one(slope: float) -> None:
    direction = torch.randn(1, 2, 4, 4)
    direction = slope * direction / direction.norm() if slope else torch.zeros_like(direction)
    real, fake = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    penalty = gradient_penalty(
        lambda x: (x * direction).sum((1, 2, 3)) + 0 * x.sum((1, 2, 3)), real, fake, torch.Generator().manual_seed(0)
    )
    assert penalty.item() == pytest.approx((slope - 1) ** 2, abs=1e-5)


def test_it_can_be_differentiated_into_the_critic() -> None:
    weight = torch.nn.Parameter(torch.full((4,), 2.0))
    gradient_penalty(lambda x: x.flatten(1) @ weight, torch.randn(2, 1, 2, 2), torch.randn(2, 1, 2, 2), torch.Generator()).backward()
    assert weight.grad is not None
    assert (weight.grad > 0).all()  # a slope over 1 is pulled down
