"""HealthyGAN and Brainomaly: each term by hand, who sees what, what an empty map still scores."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medgan.contracts import Batch, ImageSpec
from medgan.losses import smoothed
from medgan.models import healthygan
from medgan.models.healthygan import (
    AdditiveMap,
    CoarseMap,
    Config,
    HealthyGAN,
    MaskedImage,
    focus,
)
from medgan.training.runtime import seeded

OUTPUTS = ["mask", "additive", "coarse"]
SPEC = ImageSpec(32, 1)


def model(output: str, channels: int = 1) -> HealthyGAN:
    with seeded(2):
        return healthygan.build(
            Config(output=output, width=4, residual_blocks=1), ImageSpec(32, channels)
        )  # type: ignore[arg-type]


def filled(value: float, channels: int = 1) -> Tensor:
    return torch.full((2, channels, 4, 4), value)


def batch(images: Tensor, unlabelled: Tensor | None) -> Batch:
    return Batch(images, torch.Generator().manual_seed(0), unlabelled=unlabelled)


def noise(n: int, channels: int = 1, seed: int = 3) -> Tensor:
    return torch.rand(n, channels, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class Constant(nn.Module):
    """A generator whose head has one value per channel."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = torch.tensor(values)[:, None, None]

    def forward(self, images: Tensor) -> Tensor:
        return self.values.expand(len(images), -1, *images.shape[2:])


def judged_by_brightness(images: Tensor) -> Tensor:
    return images.mean((1, 2, 3))


@pytest.mark.parametrize(
    ("mask", "loss"),
    [(0.0, 0.0), (0.5, 0.25 + 100 - 1 / 0.51), (1.0, 1.0), (0.25, 0.0625 + 1 / 0.26 - 1 / 0.51)],
)
def test_focus_by_hand(mask: float, loss: float) -> None:
    assert focus(filled(mask)).item() == pytest.approx(loss, rel=1e-5, abs=1e-6)


def test_the_mask_shares_the_image_with_what_was_there() -> None:
    output = MaskedImage(Config())
    head = torch.cat(
        [filled(0.5).atanh(), filled(0.6).atanh()], 1
    )  # f = 0.5, m = (0.6 + 1) / 2 = 0.8
    torch.testing.assert_close(output.translated(filled(-1.0), head), filled(0.8 * 0.5 - 0.2))


def test_terms_of_the_mask_by_hand() -> None:
    output = MaskedImage(Config())
    mix_head = torch.cat([filled(0.5).atanh(), filled(0.6).atanh()], 1)
    head = torch.cat([filled(0.25).atanh(), filled(-0.8).atanh()], 1)  # f = 0.25, m = 0.1
    terms = output.generator_terms(filled(-1.0), mix_head, filled(0.75), head, judged_by_brightness)
    expected = {
        "wasserstein": -(0.8 * 0.5 + 0.2 * -1.0),
        "wasserstein_normal": -(0.1 * 0.25 + 0.9 * 0.75),
        "identity": 0.75 - 0.25,  # on f itself: y would give 0.05
        "reconstruction": abs(-1.0 - (0.8 * -1.0 + 0.2 * 0.5)),
        "focus": 0.1 * 0.5 * (0.64 + 1 / 0.31 - 1 / 0.51 + 0.01 + 1 / 0.41 - 1 / 0.51),
    }
    assert terms.keys() == expected.keys()
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        expected, rel=1e-4
    )


def test_terms_of_the_additive_map_by_hand() -> None:
    terms = AdditiveMap(Config()).generator_terms(
        filled(-1.0), filled(1.5), filled(0.5), filled(-0.5), judged_by_brightness
    )
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {"wasserstein": -0.46212, "identity": 0.5}, rel=1e-4
    )


def test_a_coarse_map_is_the_mean_of_its_cells_and_knows_no_checkerboard() -> None:
    output, images = CoarseMap(Config(output="coarse", map_scale=4)), torch.zeros(1, 1, 32, 32)
    places = torch.arange(32)
    checkerboard = (places[:, None] + places[None]).remainder(2).float() * 2 - 1
    assert torch.equal(output.translated(images, checkerboard.expand(1, 1, 32, 32)), images)
    assert not torch.equal(AdditiveMap(Config()).translated(images, checkerboard), images)
    head = torch.zeros(1, 1, 32, 32)
    head[..., 8:12, 8:12] = 0.5  # one cell, with its center at 9.5
    head[..., 8, 8] += 1.6  # which moves the mean of its 16 pixels to 0.6
    found = output.translated(images, head)[0, 0]
    beside, between = (0.6 * share**2 for share in (7 / 8, 3 / 8))
    assert found[9, 9].item() == pytest.approx(beside)
    assert found[7, 7].item() == pytest.approx(between)
    assert found[5, 5] == 0


def test_an_empty_coarse_map_changes_nothing_and_a_full_one_stays_in_range() -> None:
    detector, images = model("coarse"), noise(2)
    detector.generator = Constant(0.0)  # type: ignore[assignment]
    assert torch.equal(detector(images), images)
    detector.generator = Constant(5.0)  # type: ignore[assignment]
    assert torch.equal(detector(images), torch.ones(2, 1, 32, 32))


def test_each_output_has_a_form_of_its_own() -> None:
    forms = [Config(output=output).form for output in OUTPUTS]  # type: ignore[arg-type]
    assert forms == ["HealthyGAN, mask", "Brainomaly", "Brainomaly, coarse map"]


def test_one_map_serves_three_channels() -> None:
    assert AdditiveMap(Config()).translated(filled(0.0, 3), filled(1.0)).shape == (2, 3, 4, 4)
    assert model("additive", 3).score(noise(2, 3), rng()).anomaly_maps.shape == (2, 1, 32, 32)
    assert model("coarse", 3).score(noise(2, 3), rng()).anomaly_maps.shape == (2, 1, 32, 32)
    assert model("mask", 3).score(noise(2, 3), rng()).anomaly_maps.shape == (2, 1, 32, 32)


@pytest.mark.parametrize("output", OUTPUTS)
def test_d_sees_the_translated_mix_and_never_a_translated_normal(output: str) -> None:
    detector, seen = model(output), []
    detector.discriminator.register_forward_hook(
        lambda module, inputs, logits: seen.append(inputs[0].detach())
    )
    normals, mix = noise(2), noise(2, seed=4)
    detector.discriminator_loss(batch(normals, mix))
    with torch.no_grad():
        translated = detector(mix)
    real, fake, between = seen
    assert torch.equal(real, normals)
    torch.testing.assert_close(fake, translated)
    share = ((between - translated) / (normals - translated)).flatten(1)
    torch.testing.assert_close(share, share[:, :1].expand_as(share), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_translated_normal_that_d_likes_pays_in_healthygan_alone(output: str) -> None:
    detector = model(output)
    terms = detector.generator_loss(batch(noise(2), noise(2, seed=4)))
    assert ("wasserstein_normal" in terms) == (output == "mask")


def test_d_loss_by_hand() -> None:
    class Sum(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.nn.functional.avg_pool2d(
                images, 8
            )  # 16 patches; the gradient of their sum is 1/64 at 1024 pixels: norm 1/2

    detector = model("additive")
    detector.discriminator, detector.generator = Sum(), Constant(0.0)  # type: ignore[assignment]
    terms = detector.discriminator_loss(
        batch(torch.full((2, 1, 32, 32), 0.5), torch.ones(2, 1, 32, 32))
    )
    expected: Mapping[str, Any] = {
        "wasserstein": 0.76159 - 0.5,
        "accuracy": 0.0,
        "gradient_penalty": 10 * 0.25,
    }
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        expected, rel=1e-4
    )


def test_an_empty_map_scores_the_floor_of_tanh_and_an_empty_mask_scores_nothing() -> None:
    images = torch.stack([torch.zeros(1, 32, 32), -torch.ones(1, 32, 32)])
    additive, mask = model("additive"), model("mask")
    additive.generator, mask.generator = Constant(0.0), Constant(0.3, -30.0)  # type: ignore[assignment]
    torch.testing.assert_close(
        additive.score(images, rng()).image_scores,
        torch.tensor([0.0, (1 - 0.76159) / 2]),
        rtol=1e-4,
        atol=1e-6,
    )
    torch.testing.assert_close(mask.score(images, rng()).image_scores, torch.zeros(2))


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_score_is_half_the_mean_of_the_map_and_knows_neither_batch_nor_mode(
    output: str,
) -> None:
    detector, images = model(output), noise(4)
    images[2:] *= 3  # statistics of a batch would mix these with the others
    whole = detector.train().score(images, rng())
    alone = detector.eval().score(images[:1], rng())
    torch.testing.assert_close(whole.image_scores[:1], alone.image_scores)
    change = (images - detector(images)).abs()
    torch.testing.assert_close(whole.image_scores, change.mean((1, 2, 3)) / 2)
    torch.testing.assert_close(whole.anomaly_maps, smoothed(change))


def test_each_player_has_its_own_learning_rate() -> None:
    players = healthygan.build(
        Config(width=4, residual_blocks=1, lr=1e-4, discriminator_lr=1e-3), SPEC
    ).stages()["adversarial"]
    assert {player.name: player.optimizer.lr for player in players} == {
        "discriminator": 1e-3,
        "generator": 1e-4,
    }


def test_a_batch_without_a_mix_is_refused() -> None:
    with pytest.raises(ValueError, match="unlabelled mix"):
        model("mask").generator_loss(batch(noise(2), None))
