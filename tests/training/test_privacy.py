"""Differential privacy: what is clipped, sampled, hidden and spent."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import comb

from medgan.contracts import Batch, Player
from medgan.errors import UserError
from medgan.images.loading import BatchStream, TensorImages
from medgan.training.loop import train
from medgan.training.settings import DiscriminatorConfig, PrivacyConfig, TrainingConfig
from medgan.training.stages import stages_of
from tests.models.tiny import tiny

pytest.importorskip("opacus")
pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook", "ignore:Optimal order")
IMAGES = 200
CONFIG = TrainingConfig(
    {"adversarial": 3}, batch_size=20, privacy=PrivacyConfig(epsilon=5.0, delta=1e-3)
)


@pytest.fixture
def source() -> BatchStream:
    images = torch.rand(IMAGES, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return BatchStream(TensorImages(images), np.arange(IMAGES), 0, np.arange(IMAGES) % 3)


def private(name: str, source: BatchStream, config: TrainingConfig = CONFIG) -> Any:
    return stages_of(tiny(name, discriminator_norm="group"), source, config)[0]


def model_of(player: Player) -> Any:
    return player.loss.args[0].__self__  # type: ignore[attr-defined]


def test_epsilon_is_that_of_opacus_for_the_noise_that_was_added(source: BatchStream) -> None:
    """An engine that counts updates one by one, with the noise and rate of the optimizer."""
    from opacus.accountants import PRVAccountant, RDPAccountant

    report = list(train(tiny("acgan", discriminator_norm="group"), source, CONFIG))[-1]
    assert report.state is not None
    card = report.state.notes["privacy"]
    stage = private("acgan", source)
    counted, bound = PRVAccountant(), RDPAccountant()
    for _ in range(3):
        for accountant in (counted, bound):
            accountant.step(
                noise_multiplier=stage.optimizers[0].noise_multiplier, sample_rate=20 / IMAGES
            )
    assert card["epsilon"] == pytest.approx(counted.get_epsilon(delta=1e-3), rel=1e-6)
    assert 4.9 < card["epsilon"] <= 5.0
    assert card["epsilon"] <= bound.get_epsilon(delta=1e-3)
    assert (card["steps"], card["sample_rate"]) == (3, 0.1)


def test_epsilon_lies_below_the_bound_of_the_moments_computed_by_hand() -> None:
    """Mironov 2019 (arXiv 1908.10530), eq. 11, for integer orders; conversion of Mironov 2017."""
    from medgan.training.dp_sgd import epsilon_of

    noise, rate, steps, delta = 1.1, 0.01, 1000, 1e-5

    def moment(order: int) -> float:
        terms = (
            comb(order, k)
            * (1 - rate) ** (order - k)
            * rate**k
            * math.exp((k * k - k) / (2 * noise**2))
            for k in range(order + 1)
        )
        return math.log(sum(terms)) / (order - 1)

    bound = min(steps * moment(a) + math.log(1 / delta) / (a - 1) for a in range(2, 40))
    found = epsilon_of(noise, rate, steps, delta)
    assert 0.7 * bound < found < bound


def test_an_update_is_the_sum_of_clipped_gradients_of_single_images(source: BatchStream) -> None:
    """Without noise; each image with its own latent, computed one by one."""
    stage = private("acgan", source)
    player, optimizer = stage.players[0], stage.optimizers[0]
    optimizer.noise_multiplier = 0.0
    batch = source.draw("adversarial", 0, 5)
    model = model_of(player)
    model.train()
    model.discriminator.dropout.p = 0.0
    for index, parameter in enumerate(model.parameters()):
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(index))
    optimizer.zero_grad()
    sum(value for value in player.loss(batch).values() if value.requires_grad).backward()
    optimizer.original_optimizer.step = lambda *_: None
    optimizer.step()
    found = [parameter.grad for parameter in player.parameters()]

    latents = torch.randn(5, 8, generator=torch.Generator().manual_seed(batch.rng.initial_seed()))
    total = [torch.zeros_like(parameter) for parameter in player.parameters()]
    norms = []
    for index in range(5):
        one = replace(
            batch, images=batch.images[index : index + 1], labels=batch.labels[index : index + 1]
        )
        model.zero_grad()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("medgan.models.acgan.latents_for", lambda *_, i=index: latents[i : i + 1])
            terms = player.loss(one)
        sum(value for value in terms.values() if value.requires_grad).backward()
        gradients = [parameter.grad for parameter in player.parameters()]
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        norms.append(norm.item())
        for kept, gradient in zip(total, gradients, strict=True):
            kept += gradient * min(1.0, 1.0 / norm.item())
    assert max(norms) > 1, "something is clipped"
    for kept, gradient in zip(total, found, strict=True):
        torch.testing.assert_close(gradient, kept / 20, atol=1e-5, rtol=1e-3)


def test_what_an_image_contributes_does_not_depend_on_the_others(source: BatchStream) -> None:
    """Nor does anything of the generator, whose batch norm would mix their labels."""
    stage = private("acgan", source)
    player, optimizer = stage.players[0], stage.optimizers[0]
    model = model_of(player)
    model.train()
    model.discriminator.dropout.p = 0.0
    before = {name: value.clone() for name, value in model.generator.state_dict().items()}
    first = source.draw("adversarial", 0, 6)
    other = source.draw("adversarial", 1, 6)
    mixed = replace(
        first,
        images=torch.cat([first.images[:1], other.images[1:]]),
        labels=torch.cat([first.labels[:1], other.labels[1:]]),
    )
    found = []
    for batch in (first, mixed):
        batch.rng.manual_seed(1)
        optimizer.zero_grad()
        sum(value for value in player.loss(batch).values() if value.requires_grad).backward()
        found.append([parameter.grad_sample[0].clone() for parameter in player.parameters()])
        optimizer.hooks[0].cleanup()
    for one, same in zip(*found, strict=True):
        torch.testing.assert_close(one, same)
    assert model.generator.training
    assert all(torch.equal(value, before[k]) for k, value in model.generator.state_dict().items())


def test_the_noise_has_the_stated_spread(source: BatchStream) -> None:
    stage = private("dcgan", source)
    player, optimizer = stage.players[0], stage.optimizers[0]
    optimizer.zero_grad()
    batch = source.draw("adversarial", 0, 5)
    (0.0 * player.loss(batch)["adversarial"]).backward()
    optimizer.original_optimizer.step = lambda *_: None
    optimizer.step()
    noise = torch.cat([parameter.grad.flatten() for parameter in player.parameters()])
    expected = optimizer.noise_multiplier * 1.0 / 20
    assert noise.std().item() == pytest.approx(expected, rel=0.1)


def test_the_discriminator_gets_poisson_samples(source: BatchStream) -> None:
    stage = private("acgan", source)
    sizes, seen = [], torch.zeros(IMAGES)
    for number in range(300):
        batch = stage.batch(stage.players[0], source, number, 20)
        sizes.append(len(batch.images))
        seen += (source.images.images[:, 0, 0, 0] == batch.images[:, 0, 0, :1]).sum(0)
    assert np.mean(sizes) == pytest.approx(20, abs=1)
    assert np.var(sizes) == pytest.approx(IMAGES * 0.1 * 0.9, rel=0.35), "binomial"
    assert seen.min() > 10


def test_the_generator_sees_no_image_and_no_label(source: BatchStream) -> None:
    stage = private("acgan", source)
    drawn: list[Batch] = [stage.batch(stage.players[1], source, 7, 300) for _ in range(2)]
    assert all(batch.images.abs().sum() == 0 for batch in drawn)
    assert not torch.equal(drawn[0].labels, drawn[1].labels)
    assert np.bincount(drawn[0].labels, minlength=3).min() > 60


def test_the_hooks_are_gone_after_a_training(source: BatchStream) -> None:
    model = tiny("dcgan", discriminator_norm="group")
    list(train(model, source, CONFIG))
    assert not any(
        module._forward_hooks or module._backward_hooks for module in model.discriminator.modules()
    )


@pytest.mark.parametrize(
    ("name", "settings", "changes", "message"),
    [
        ("acgan", {}, {}, "mean over single images"),
        ("acgan", {"class_loss": "d2d_ce", "discriminator_norm": "group"}, {}, "single images"),
        ("dcgan", {"adversarial_loss": "wgan_gp"}, {}, "single images"),
        ("sngan", {}, {}, "single images"),
        ("dcgan", {"discriminator_norm": "group"}, {"accumulate": 2}, "accumulate"),
        (
            "dcgan",
            {"discriminator_norm": "group"},
            {"discriminator": DiscriminatorConfig(r1=1.0)},
            "r1",
        ),
        ("dcgan", {"discriminator_norm": "group"}, {"privacy": PrivacyConfig(delta=0.1)}, "delta"),
        ("autoencoder", {}, {"steps": {"reconstruction": 1}}, "with a discriminator"),
        (
            "dcgan",
            {"discriminator_norm": "group", "encoder": True},
            {"steps": {"adversarial": 1, "encoder": 1}},
            "other stages",
        ),
    ],
)
def test_what_is_not_private_is_refused(
    name: str, settings: Any, changes: Any, message: str, source: BatchStream
) -> None:
    with pytest.raises(UserError, match=message):
        stages_of(tiny(name, **settings), source, replace(CONFIG, **changes))


def test_a_private_training_resumes_with_the_same_guarantee(source: BatchStream) -> None:
    config = replace(CONFIG, checkpoint_every=2, ema_decay=0.9)
    build = lambda: tiny("dcgan", discriminator_norm="group")  # noqa: E731
    reports = list(train(build(), source, config))
    state = next(report.state for report in reports if report.state is not None)
    assert state.step == 2
    end = list(train(build(), source, config, state))[-1].state
    assert end is not None
    assert (end.step, end.notes["privacy"]) == (3, reports[-1].state.notes["privacy"])  # type: ignore[union-attr]
