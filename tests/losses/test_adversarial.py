"""Losses against closed forms, and orderings: wrong logits cost more."""

import math

import pytest
import torch

from medgan.losses.adversarial import (
    ADVERSARIAL,
    bce_discriminator,
    bce_generator,
    hinge_discriminator,
    least_squares_discriminator,
    pairwise_accuracy,
)


def test_bce_at_chance_is_two_log_two() -> None:
    zeros = torch.zeros(5)
    assert bce_discriminator(zeros, zeros).item() == pytest.approx(2 * math.log(2))
    assert bce_generator(zeros).item() == pytest.approx(math.log(2))


def test_bce_equals_the_textbook_form() -> None:
    real, fake = torch.tensor([0.3, -1.2]), torch.tensor([0.7, 2.0])
    expected = -torch.log(torch.sigmoid(real)).mean() - torch.log(1 - torch.sigmoid(fake)).mean()
    assert bce_discriminator(real, fake).item() == pytest.approx(expected.item(), rel=1e-6)


def test_hinge_is_zero_beyond_the_margins() -> None:
    assert hinge_discriminator(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -2.0])).item() == 0
    assert hinge_discriminator(torch.tensor([0.0]), torch.tensor([0.5])).item() == pytest.approx(2.5)


def test_least_squares_by_hand() -> None:
    assert least_squares_discriminator(torch.tensor([0.0, 1.0]), torch.tensor([2.0])).item() == pytest.approx(0.5 * (0.5 + 4.0))


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_wrong_logits_cost_more(name: str) -> None:
    loss = ADVERSARIAL[name]
    high, low = torch.full((4,), 0.8), torch.full((4,), -0.8)
    assert loss.discriminator(high, low) < loss.discriminator(low, high)
    assert loss.generator(high) < loss.generator(low)


def test_pairwise_accuracy_counts_pairs_and_carries_no_gradient() -> None:
    real, fake = torch.tensor([2.0, 0.0], requires_grad=True), torch.tensor([1.0, 0.0])
    accuracy = pairwise_accuracy(real, fake)
    assert accuracy.item() == pytest.approx((2 + 0.5) / 4)
    assert not accuracy.requires_grad
    assert pairwise_accuracy(fake, fake).item() == 0.5
