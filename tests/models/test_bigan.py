"""BiGAN's labels, whom each term moves, and both scores."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medgan.contracts import Batch, ImageSpec
from medgan.models import bigan
from medgan.training.runtime import seeded

SPEC = ImageSpec(32, 1)
REAL, FAKE = 0.7, -0.4


def model(cycle: bool) -> bigan.BiGAN:
    with seeded(3):
        return bigan.build(bigan.Config(latent_dim=8, width=4, cycle=cycle), SPEC)


def batch() -> Batch:
    rng = torch.Generator().manual_seed(7)
    return Batch(torch.rand(4, *SPEC.shape, generator=rng) * 2 - 1, rng)


class Oracle(nn.Module):
    """Gives one logit to the pairs that it is told are real, another to all others."""

    def __init__(self, is_real: Any) -> None:
        super().__init__()
        self.is_real = is_real

    def forward(self, *pair: Tensor) -> Tensor:
        return torch.full((len(pair[0]),), REAL if self.is_real(*pair) else FAKE)


def with_oracles(cycle: bool) -> tuple[bigan.BiGAN, Batch]:
    made, drawn = model(cycle), batch()
    made.discriminator = Oracle(lambda images, latents: images is drawn.images)  # type: ignore[assignment]
    if isinstance(made, bigan.ALAD):
        made.discriminator_xx = Oracle(torch.equal)  # type: ignore[assignment]
        made.discriminator_zz = Oracle(lambda latents, others: latents is others)  # type: ignore[assignment]
    return made, drawn


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


@pytest.mark.parametrize("cycle", [False, True])
def test_encoded_pairs_are_one_and_drawn_pairs_zero(cycle: bool) -> None:
    made, drawn = with_oracles(cycle)
    tells, deceives = made.discriminator_loss(drawn), made.generator_loss(drawn)
    apart = softplus(-REAL) + softplus(FAKE)
    cycles = {"images", "latents"} if cycle else set()
    assert {name: value.item() for name, value in tells.items()} == pytest.approx(
        {"pairs": apart, "accuracy": 1.0, **dict.fromkeys(cycles, apart)}
    )
    assert {name: value.item() for name, value in deceives.items()} == pytest.approx(
        {
            "generator": softplus(-FAKE),
            "encoder": softplus(REAL),
            **dict.fromkeys(cycles, softplus(-FAKE)),
        }
    )


@pytest.mark.parametrize("cycle", [False, True])
def test_g_and_e_move_by_their_own_term_and_by_the_cycles(cycle: bool) -> None:
    made = model(cycle)
    reached = {}
    for name, term in made.generator_loss(batch()).items():
        made.zero_grad()
        term.backward(retain_graph=True)
        reached[name] = {
            part
            for part in ("generator", "encoder")
            if any(p.grad is not None for p in getattr(made, part).parameters())
        }
    both = {"generator", "encoder"}
    assert reached == {
        "generator": {"generator"},
        "encoder": {"encoder"},
        **({"images": both, "latents": both} if cycle else {}),
    }


@pytest.mark.parametrize("cycle", [False, True])
def test_what_is_rebuilt_exactly_scores_zero_and_what_is_not_more(cycle: bool) -> None:
    made = model(cycle).eval()
    images, encoded = batch().images, torch.zeros(4, 8)
    near, far = images + 0.05, images + 0.5
    assert made.feature_distance(images, images, encoded).tolist() == [0.0] * 4
    assert (made.feature_distance(images, near, encoded) > 0).all()
    assert (
        made.feature_distance(images, near, encoded) < made.feature_distance(images, far, encoded)
    ).all()


def test_egbads_score_is_nine_tenths_of_the_residual_sum_and_a_tenth_of_the_features() -> None:
    made = model(cycle=False).eval()
    images = batch().images
    found = made.score(images, torch.Generator())
    with torch.no_grad():
        encoded = made.encoder(images)
        rebuilt = made.generator(encoded)
        pixels = (images - rebuilt).abs().sum((1, 2, 3))
        features = (
            (
                made.discriminator.features(images, encoded)
                - made.discriminator.features(rebuilt, encoded)
            )
            .abs()
            .sum(1)
        )
        latents = (encoded - made.encoder(rebuilt)).abs().sum(1)
    torch.testing.assert_close(found.image_scores, 0.9 * pixels + 0.1 * features)
    assert {name: values.tolist() for name, values in found.components.items()} == {
        "reconstruction": pytest.approx(pixels.tolist()),
        "feature": pytest.approx(features.tolist()),
        "latent": pytest.approx(latents.tolist()),
    }


def test_alads_score_is_the_feature_distance_alone() -> None:
    found = model(cycle=True).eval().score(batch().images, torch.Generator())
    assert torch.equal(found.image_scores, found.components["feature"])


def test_alads_hidden_layers_have_a_spectral_norm_of_one_and_its_last_ones_are_free() -> None:
    made = model(cycle=True).train()
    for _ in range(60):  # power iterations
        made.discriminator_loss(batch())
    made.eval()
    for part in (
        made.discriminator.join[0],
        made.encoder.convolutions[1][0],
        made.discriminator.from_images[0],
    ):
        assert torch.linalg.matrix_norm(part.weight.flatten(1), 2).item() == pytest.approx(
            1, abs=0.05
        )
    plain = (made.discriminator.to_logit, made.encoder.to_latents, *model(cycle=False).modules())
    assert not any(hasattr(layer, "parametrizations") for layer in plain)


def test_the_image_pair_features_are_those_of_alad_s_reference() -> None:
    made = bigan.build(bigan.Config(width=32), ImageSpec(32, 1))
    assert isinstance(made, bigan.ALAD)
    images, others = torch.zeros(2, *SPEC.shape), torch.ones(2, *SPEC.shape)
    pair = made.discriminator_xx.eval()
    features = pair.features(images, others)
    assert features.shape == (2, 128 * 8 * 8)  # a quarter of the side
    kernels = [part for part in pair.modules() if isinstance(part, nn.Conv2d)]
    assert [(part.out_channels, part.kernel_size) for part in kernels] == [
        (64, (5, 5)),
        (128, (5, 5)),
    ]
    assert pair(images, others).shape == (2,)
    assert not torch.equal(pair(images, others), pair(others, images))


def test_the_form_is_the_method() -> None:
    assert [bigan.Config(cycle=cycle).form for cycle in (True, False)] == ["ALAD", "EGBAD"]
