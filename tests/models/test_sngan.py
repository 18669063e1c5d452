"""SNGAN: what spectral normalisation promises, and both variants."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from medgan.contracts import Batch
from medgan.losses import ADVERSARIAL
from medgan.models import sngan
from medgan.networks.resnet import ResNetDiscriminator
from medgan.training.optimization import build_optimizer
from medgan.training.runtime import Runtime
from medgan.training.updates import update
from tests.models.tiny import SPEC, tiny

CPU = Runtime(torch.device("cpu"))


def batch(seed: int = 0, n: int = 4) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    return Batch(torch.rand(n, *SPEC.shape, generator=rng) * 2 - 1, rng)


def layers(network: nn.Module) -> list[nn.Module]:
    return [
        layer
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]


def largest_singular_values(network: nn.Module) -> Tensor:
    return torch.stack(
        [torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2) for layer in layers(network)]
    )


def iterates(network: nn.Module) -> list[Tensor]:
    return [value.clone() for name, value in network.named_buffers() if name.endswith(("_u", "_v"))]


def play(model: sngan.SNGAN, updates: int) -> None:
    players = model.stages()["adversarial"]
    optimizers = [build_optimizer(player.parameters(), player.optimizer) for player in players]
    for index in range(updates):
        for player, optimizer in zip(players, optimizers, strict=True):
            update(player, optimizer, [batch(index)], players, CPU)


@pytest.mark.parametrize("variant", sngan.VARIANTS)
def test_every_layer_of_the_discriminator_has_norm_one_before_and_after_training(
    variant: str,
) -> None:
    model = tiny("sngan", variant=variant)
    with torch.no_grad():
        for _ in range(60):
            model.discriminator.train()(batch().images)
    first = largest_singular_values(model.discriminator.eval())
    assert first == pytest.approx(torch.ones(len(first)), abs=0.02)
    model.train()
    play(model, 10)
    trained = largest_singular_values(model.discriminator.eval())
    assert trained == pytest.approx(torch.ones(len(trained)), abs=0.1)
    assert len(trained) == sum(
        "original" in name for name, _ in model.discriminator.named_parameters()
    )
    assert not any("original" in name for name, _ in model.generator.named_parameters())


def test_power_iteration_runs_in_training_mode_only() -> None:
    model, images = tiny("sngan"), batch().images
    model.eval()
    before = iterates(model)
    first = model.discriminator(images)
    torch.testing.assert_close(model.discriminator(images), first, rtol=0, atol=0)
    assert all(torch.equal(*pair) for pair in zip(before, iterates(model), strict=True))
    model.train()
    model.discriminator(images)
    assert not all(torch.equal(*pair) for pair in zip(before, iterates(model), strict=True))


@pytest.mark.parametrize("variant", sngan.VARIANTS)
def test_copies_and_saved_states_judge_alike(variant: str) -> None:
    model, images = tiny("sngan", variant=variant), batch().images
    play(model.train(), 2)
    model.eval()
    again = tiny("sngan", variant=variant).eval()
    again.load_state_dict(model.state_dict())
    for copy in (deepcopy(model), again):
        torch.testing.assert_close(
            copy.discriminator(images), model.discriminator(images), rtol=0, atol=0
        )


def test_the_scale_of_the_weights_does_not_matter_to_the_discriminator() -> None:
    model, images = tiny("sngan").eval(), batch().images
    logits = model.discriminator(images)
    with torch.no_grad():
        for layer in layers(model.discriminator):
            layer.parametrizations.weight.original *= 3
    torch.testing.assert_close(model.discriminator(images), logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("variant", "loss"), [("resnet", "hinge"), ("medgan", "bce")])
def test_losses_are_the_variants_own(variant: str, loss: str) -> None:
    model = tiny("sngan", variant=variant)
    images = batch().images
    model.eval()  # nothing moves between the two ways to the same number
    fake = model.generator(torch.randn(4, 8, generator=batch().rng))
    real_logits, fake_logits = model.discriminator(images), model.discriminator(fake)
    terms = model.discriminator_loss(Batch(images, batch().rng))
    torch.testing.assert_close(
        terms["adversarial"], ADVERSARIAL[loss].discriminator(real_logits, fake_logits)
    )
    generator_terms = model.generator_loss(Batch(images, batch().rng))
    torch.testing.assert_close(
        generator_terms["adversarial"], ADVERSARIAL[loss].generator(fake_logits)
    )


def test_the_residual_discriminator_judges_each_image_for_itself_and_sums_over_positions() -> None:
    discriminator = ResNetDiscriminator(4, 32, 1).train()
    images = batch().images
    torch.testing.assert_close(discriminator(images)[:2], discriminator(images[:2]))
    features = discriminator.blocks(images)
    assert features.shape == (4, 16, 4, 4)
    assert (features >= 0).all()
    torch.testing.assert_close(
        discriminator(images), features.sum((2, 3)) @ discriminator.to_logit.weight[0]
    )
