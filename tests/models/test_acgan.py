"""ACGAN: what its class losses add up to, and images of several classes."""

import math

import pytest
import torch

from medgan.contracts import Batch
from medgan.errors import UserError
from medgan.losses import ADVERSARIAL
from medgan.networks.dcgan import ModulatedBatchNorm
from tests.models.tiny import SPEC, tiny

LOSSES = ("ce", "bce", "d2d_ce")
ONE_EACH, SEVERAL = (
    torch.tensor([0, 1, 2, 0]),
    torch.tensor([[1.0, 0, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0]]),
)


def batch(labels: torch.Tensor, seed: int = 0) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    return Batch(torch.rand(len(labels), *SPEC.shape, generator=rng) * 2 - 1, rng, labels)


@pytest.mark.parametrize("loss", LOSSES)
def test_who_learns_the_class_from_what(loss: str) -> None:
    model = tiny("acgan", class_loss=loss)
    assert set(model.generator_loss(batch(ONE_EACH))) == {"adversarial", "class_fake"}
    from_fakes = {"class_fake"} if loss != "d2d_ce" else set()
    assert (
        set(model.discriminator_loss(batch(ONE_EACH)))
        == {"adversarial", "accuracy", "class_real"} | from_fakes
    )


@pytest.mark.parametrize(("loss", "at_chance"), [("ce", math.log(3)), ("bce", math.log(2))])
def test_terms_against_the_closed_form_of_a_blind_discriminator(
    loss: str, at_chance: float
) -> None:
    model = tiny("acgan", class_loss=loss, class_weight=2.0)
    with torch.no_grad():
        for layer in (model.discriminator.to_classes, model.discriminator.trunk.to_logit):
            layer.weight.zero_()
            layer.bias.zero_()
    for_discriminator, for_generator = (
        model.discriminator_loss(batch(ONE_EACH)),
        model.generator_loss(batch(ONE_EACH)),
    )
    assert for_discriminator["adversarial"].item() == pytest.approx(2 * math.log(2))
    assert for_generator["adversarial"].item() == pytest.approx(math.log(2))
    for term in (
        for_discriminator["class_real"],
        for_discriminator["class_fake"],
        for_generator["class_fake"],
    ):
        assert term.item() == pytest.approx(2 * at_chance)


def test_d2d_terms_of_a_discriminator_to_which_all_images_are_alike() -> None:
    model = tiny("acgan", class_loss="d2d_ce", class_weight=0.5, adversarial_loss="hinge")
    head = model.discriminator.to_classes
    with torch.no_grad():
        head.project.weight.zero_()
        head.project.bias.copy_(torch.eye(512)[0])
        head.proxies.weight.copy_(torch.eye(512)[:3])
    # Labels 0, 1, 2, 0: f = v for the two of class 0 (p = e^0), and orthogonal otherwise; every
    # negative is at similarity 1.
    own, other, far = 1.0, math.exp(0.98 / 0.5), math.exp(-0.98 / 0.5)
    expected = (2 * math.log(1 + 2 * other / own) + 2 * math.log(1 + 3 * other / far)) / 4
    assert model.discriminator_loss(batch(ONE_EACH))["class_real"].item() == pytest.approx(
        0.5 * expected, rel=1e-5
    )
    assert model.generator_loss(batch(ONE_EACH))["class_fake"].item() == pytest.approx(
        0.5 * expected, rel=1e-5
    )
    assert model.adversarial is ADVERSARIAL["hinge"]


@pytest.mark.parametrize("loss", LOSSES[1:])
def test_images_of_several_classes(loss: str) -> None:
    model = tiny("acgan", class_loss=loss)
    for terms in (model.discriminator_loss(batch(SEVERAL)), model.generator_loss(batch(SEVERAL))):
        assert all(torch.isfinite(term) for term in terms.values())


def test_one_class_for_each_image_is_all_that_cross_entropy_takes() -> None:
    with pytest.raises(UserError, match="one class each"):
        tiny("acgan").discriminator_loss(batch(SEVERAL))


def test_one_hot_rows_draw_what_their_class_draws_and_sets_something_else() -> None:
    model = tiny("acgan", class_loss="bce").eval()

    def draw(labels: torch.Tensor) -> torch.Tensor:
        return model.sample(len(labels), labels, torch.Generator().manual_seed(1))

    plain = draw(ONE_EACH)
    torch.testing.assert_close(draw(torch.eye(3)[ONE_EACH]), plain)
    several = draw(SEVERAL)
    torch.testing.assert_close(several[[0, 2, 3]], plain[[0, 2, 3]])
    assert not torch.allclose(several[1], plain[1])
    weight = model.generator.embedding.weight
    latents = torch.randn(1, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        model.generator(latents, SEVERAL[1:2]),
        model.generator.generator(latents * (weight[1] + weight[2])),
    )


@pytest.mark.parametrize("conditioning", ["latent", "batch_norm", "self_modulated"])
def test_the_class_reaches_the_image_however_g_is_conditioned(conditioning: str) -> None:
    model = tiny("acgan", conditioning=conditioning).eval()
    torch.manual_seed(0)
    for parameter in model.generator.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    latents = torch.randn(1, 8).expand(3, -1)
    images = model.generator(latents, torch.arange(3))
    assert (images[0] - images[1]).abs().max() > 1e-3
    torch.testing.assert_close(images, model.generator(latents, torch.eye(3)))


@pytest.mark.parametrize(
    ("conditioning", "by_latent"), [("batch_norm", False), ("self_modulated", True)]
)
def test_what_the_norms_of_g_are_modulated_by(conditioning: str, by_latent: bool) -> None:
    generator = tiny("acgan", conditioning=conditioning).generator
    seen: list[torch.Tensor] = []
    for norm in generator.norms:
        norm.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1]))
    generator(torch.tensor([[1.0] * 8, [-1.0] * 8]), torch.tensor([1, 1]))
    assert len(seen) == len(generator.norms) == 3
    assert all(torch.equal(*condition) is not by_latent for condition in seen)


def test_modulated_batch_norm_is_batch_norm_times_scale_plus_shift() -> None:
    norm = ModulatedBatchNorm(3, 2)
    torch.nn.init.normal_(norm.modulation.weight)
    features, condition = torch.randn(4, 3, 5, 5), torch.randn(4, 2)
    scale, shift = (condition @ norm.modulation.weight.T).split(3, 1)
    plain = (features - features.mean((0, 2, 3), keepdim=True)) / torch.sqrt(
        features.var((0, 2, 3), keepdim=True, correction=0) + 1e-5
    )
    expected = (1 + scale)[:, :, None, None] * plain + shift[:, :, None, None]
    torch.testing.assert_close(norm(features, condition), expected, atol=1e-5, rtol=1e-4)
