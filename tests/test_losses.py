"""Losses against closed forms, and orderings: wrong logits cost more."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from medgan.errors import UserError
from medgan.losses import (
    ADVERSARIAL,
    SMOOTHING,
    bce_discriminator,
    bce_generator,
    binary_cross_entropy,
    cross_entropy,
    data_to_data_cross_entropy,
    gradient_penalty,
    hinge_discriminator,
    l1_per_image,
    least_squares_discriminator,
    mse_per_image,
    multi_hot,
    pairwise_accuracy,
    r1_penalty,
    residual_map,
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
    assert hinge_discriminator(torch.tensor([0.0]), torch.tensor([0.5])).item() == pytest.approx(
        2.5
    )


def test_least_squares_by_hand() -> None:
    assert least_squares_discriminator(
        torch.tensor([0.0, 1.0]), torch.tensor([2.0])
    ).item() == pytest.approx(0.5 * (0.5 + 4.0))


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


X, Y, Z = torch.eye(3)
PROXIES = torch.stack([X, Y])


def d2d(
    features: list[Tensor],
    labels: Tensor,
    proxies: Tensor = PROXIES,
    m_p: float = 1.0,
    m_n: float = 0.0,
    tau: float = 0.5,
) -> float:
    return data_to_data_cross_entropy(torch.stack(features), proxies, labels, m_p, m_n, tau).item()


def unit(*numbers: float) -> Tensor:
    return torch.nn.functional.normalize(torch.tensor(numbers, dtype=torch.float32), dim=0)


def test_multi_hot() -> None:
    assert torch.equal(multi_hot(torch.tensor([0, 2]), 3), torch.tensor([[1.0, 0, 0], [0, 0, 1]]))
    rows = torch.tensor([[1.0, 0, 1]])
    assert torch.equal(multi_hot(rows, 3), rows)


def test_cross_entropy_at_chance_is_log_k_and_refuses_several_classes() -> None:
    assert cross_entropy(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])).item() == pytest.approx(
        math.log(3)
    )
    with pytest.raises(UserError, match="bce or d2d_ce"):
        cross_entropy(torch.zeros(1, 3), torch.tensor([[1.0, 1, 0]]))


def test_binary_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[math.log(3), 0.0]])  # sigmoid: 3/4 and 1/2
    expected = (-math.log(0.75) - math.log(0.5)) / 2
    assert binary_cross_entropy(logits, torch.tensor([[1.0, 1.0]])).item() == pytest.approx(
        expected, rel=1e-6
    )
    assert binary_cross_entropy(logits, torch.tensor([0])).item() == pytest.approx(
        expected, rel=1e-6
    )
    assert binary_cross_entropy(logits, torch.tensor([1])).item() == pytest.approx(
        (-math.log(0.25) - math.log(0.5)) / 2, rel=1e-6
    )


@pytest.mark.parametrize("feature", [X, Y, -X, unit(1, 2, 3)])
def test_d2d_without_negatives_is_zero_wherever_the_feature_is(feature: Tensor) -> None:
    assert d2d([feature], torch.tensor([0])) == 0
    assert d2d([feature, Z, X], torch.tensor([1, 1, 1])) == pytest.approx(0, abs=1e-7)


def test_d2d_with_easy_positive_and_easy_negatives_is_log_of_their_number_plus_one() -> None:
    # p = e^0 and every negative gives e^0, since features of different classes are orthogonal.
    assert d2d([X, Y], torch.tensor([0, 1])) == pytest.approx(math.log(2))
    three = torch.stack([X, Y, Z])
    assert d2d([X, Y, Z], torch.tensor([0, 1, 2]), three) == pytest.approx(math.log(3))
    assert d2d([X, Y, -X], torch.tensor([0, 1, 2]), torch.stack([X, Y, -X])) == pytest.approx(
        math.log(3)
    )


def test_d2d_by_hand() -> None:
    # f_1 = x with v = x, f_2 = (3/5, 4/5) with v = y, f_1.f_2 = 3/5; m_p = 0.9, m_n = 0.1, tau =
    # 0.5.
    second = unit(3, 4, 0)
    negative = math.exp((0.6 - 0.1) / 0.5)
    easy, hard = 1.0, math.exp((0.8 - 0.9) / 0.5)
    expected = (-math.log(easy / (easy + negative)) - math.log(hard / (hard + negative))) / 2
    assert d2d([X, second], torch.tensor([0, 1]), m_p=0.9, m_n=0.1) == pytest.approx(
        expected, rel=1e-6
    )
    # A third image of the first class is no negative of the first, and one more of the second.
    third = unit(4, 3, 0)
    pulled, other = math.exp((0.8 - 0.9) / 0.5), math.exp((24 / 25 - 0.1) / 0.5)
    rows = [(easy, negative), (hard, negative + other), (pulled, other)]
    expected = sum(-math.log(own / (own + rest)) for own, rest in rows) / 3
    assert d2d([X, second, third], torch.tensor([0, 1, 0]), m_p=0.9, m_n=0.1) == pytest.approx(
        expected, rel=1e-6
    )


def test_d2d_beyond_the_margins_there_is_no_gradient() -> None:
    features = torch.stack([unit(10, 0, 1), unit(0, 10, -1)]).requires_grad_()
    data_to_data_cross_entropy(features, PROXIES, torch.tensor([0, 1]), 0.98, 0.02, 0.5).backward()
    assert torch.equal(features.grad, torch.zeros(2, 3))
    features.grad = None
    data_to_data_cross_entropy(features, PROXIES, torch.tensor([0, 1]), 1.0, -0.1, 0.5).backward()
    assert (features.grad.abs().sum(1) > 0).all()


def test_d2d_orderings() -> None:
    labels = torch.tensor([0, 1])
    right, swapped, alike = d2d([X, Y], labels), d2d([Y, X], labels), d2d([X, X], labels)
    assert right < alike
    assert right < swapped
    assert (
        d2d([unit(4, 1, 0), Y], labels)
        < d2d([unit(2, 1, 0), Y], labels)
        < d2d([unit(1, 1, 0), Y], labels)
    )


def test_d2d_is_stable_where_the_plain_form_overflows() -> None:
    features = torch.stack([unit(1, 1, 0), unit(1, 1.1, 0)]).requires_grad_()
    loss = data_to_data_cross_entropy(features, PROXIES, torch.tensor([0, 1]), 1.0, 0.0, 1e-3)
    loss.backward()
    # exp(1000 * 0.999) is infinite in float32; the logarithm is the difference of the exponents.
    similarity = (features[0] @ features[1]).item()
    pulls = [(features[0] @ X).item() - 1, (features[1] @ Y).item() - 1]
    assert loss.item() == pytest.approx(
        sum(similarity - pull for pull in pulls) / 2 * 1e3, rel=1e-5
    )
    assert torch.isfinite(features.grad).all()


def test_d2d_with_several_classes_compares_whole_label_rows() -> None:
    labels = torch.tensor([[1.0, 0], [1.0, 1.0], [1.0, 0]])
    both = unit(1, 1, 0)  # the proxy of {x, y}
    negative = math.exp(math.sqrt(0.5) / 0.5)
    expected = (2 * math.log(1 + negative) + math.log(1 + 2 * negative)) / 3
    assert d2d([X, both, X], labels) == pytest.approx(expected, rel=1e-6)
    assert d2d([X, X, X], labels) > d2d([X, both, X], labels)


@pytest.mark.parametrize("slope", [0.0, 1.0, 3.0])
def test_a_linear_critic_pays_for_the_distance_of_its_slope_from_one(slope: float) -> None:
    direction = torch.randn(1, 2, 4, 4)
    direction = slope * direction / direction.norm() if slope else torch.zeros_like(direction)
    real, fake = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    penalty = gradient_penalty(
        lambda x: (x * direction).sum((1, 2, 3)) + 0 * x.sum((1, 2, 3)),
        real,
        fake,
        torch.Generator().manual_seed(0),
    )
    assert penalty.item() == pytest.approx((slope - 1) ** 2, abs=1e-5)


def test_it_can_be_differentiated_into_the_critic() -> None:
    weight = torch.nn.Parameter(torch.full((4,), 2.0))
    gradient_penalty(
        lambda x: x.flatten(1) @ weight,
        torch.randn(2, 1, 2, 2),
        torch.randn(2, 1, 2, 2),
        torch.Generator(),
    ).backward()
    assert weight.grad is not None
    assert (weight.grad > 0).all()  # a slope over 1 is pulled down


def test_by_hand() -> None:
    a, b = (
        torch.zeros(2, 2, 1, 2),
        torch.tensor([[[[1.0, -1.0]], [[0.0, 2.0]]], [[[0.0, 0.0]], [[0.0, 0.0]]]]),
    )
    assert l1_per_image(a, b).tolist() == [4.0, 0.0]
    assert mse_per_image(a, b).tolist() == [1.5, 0.0]


def test_a_residual_map_is_averaged_over_channels_and_smoothed() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 2, 40, 60))
    wanted = [
        gaussian_filter(one, sigma=SMOOTHING * 40, truncate=3, mode="mirror")
        for one in np.abs(a - b).mean(1)
    ]
    found = residual_map(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(found[:, 0], wanted, rtol=1e-9)


def test_r1_is_the_mean_square_of_the_gradient_at_real_images() -> None:
    images = torch.tensor([1.0, -2.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    penalty = r1_penalty(lambda values: values.square().flatten(1).sum(1), images)
    assert penalty.item() == pytest.approx((4 * (2 * 1) ** 2 + 4 * (2 * 2) ** 2) / 2)
