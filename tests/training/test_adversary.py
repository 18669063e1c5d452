"""What a discriminator sees, and how it is held back."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from medgan.contracts import Batch, BatchSource, ImageSpec, Player
from medgan.errors import UserError
from medgan.training.adversary import Adversary
from medgan.training.loop import train
from medgan.training.settings import DiscriminatorConfig, TrainingConfig
from tests.models.tiny import tiny

GANS = ["dcgan", "acgan", "sngan", "fanogan", "bigan", "healthygan", "critic_neighbours"]
ALL = ("rotation", "translation", "brightness", "contrast")


class Linear(nn.Module):
    """D(x) = <w, x>, whose gradient is w."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0, 3.0, 0.5]))
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return images.flatten(1) @ self.weight


def game(config: DiscriminatorConfig) -> tuple[Linear, Player, Player, Adversary]:
    judge = Linear()
    real = lambda batch: {"real": judge(batch.images).mean(), "accuracy": torch.tensor(0.9)}  # noqa: E731
    fake = lambda batch: {"fake": judge(batch.images).mean()}  # noqa: E731
    players = (
        Player("discriminator", [judge], real, critic=judge),
        Player("generator", [nn.Linear(1, 1)], fake),
    )
    adversary = Adversary.of(config, players, 1, 100)
    return judge, *(adversary.applied(player) for player in players), adversary  # type: ignore[return-value]


def batch(images: Tensor, step: int = 0) -> Batch:
    return Batch(images, torch.Generator().manual_seed(0), step=step)


def test_r1_of_a_linear_critic_is_the_square_of_its_weights() -> None:
    _, discriminator, generator, _ = game(DiscriminatorConfig(r1=0.5, r1_every=4))
    images = torch.rand(3, 1, 2, 2)
    expected = 0.5 / 2 * 4 * (1 + 4 + 9 + 0.25)
    assert discriminator.loss(batch(images))["r1"].item() == pytest.approx(expected)
    assert "r1" not in discriminator.loss(batch(images, step=2)), "step 1 of 2 batches each"
    assert "r1" in discriminator.loss(batch(images, step=8))
    assert "r1" not in generator.loss(batch(images))


def test_top_k_takes_the_gradient_from_the_images_that_d_rejects() -> None:
    _, _, generator, adversary = game(DiscriminatorConfig(top_k=0.5))
    images = torch.zeros(4, 1, 2, 2)
    images[:, 0, 0, 0] = torch.tensor([4.0, 1.0, 3.0, 2.0])
    images.requires_grad_(True)
    generator.loss(batch(images, step=adversary.draws * 50))["fake"].backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    assert images.grad[[1, 3]].abs().sum() == 0
    torch.testing.assert_close(images.grad[0].flatten(), torch.tensor([0.5, -1.0, 1.5, 0.25]))
    images.grad = None
    generator.loss(batch(images, step=0))["fake"].backward()  # type: ignore[no-untyped-call]
    assert (images.grad.flatten(1).abs().sum(1) > 0).all(), "it begins with all images"


def test_top_k_leaves_the_discriminator_alone() -> None:
    judge, discriminator, _, adversary = game(DiscriminatorConfig(top_k=0.25))
    images = torch.rand(4, 1, 2, 2)
    discriminator.loss(batch(images, step=adversary.draws * 100))["real"].backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(judge.weight.grad, images.flatten(1).mean(0))


def test_both_players_see_changed_images_and_nobody_else_does() -> None:
    judge, discriminator, generator, _ = game(DiscriminatorConfig(("brightness",)))
    images = torch.rand(4, 1, 2, 2)
    discriminator.loss(batch(images))
    generator.loss(batch(images))
    judge(images)
    assert [torch.equal(seen, images) for seen in judge.seen] == [False, False, True]


def test_the_probability_follows_the_accuracy() -> None:
    _, discriminator, _, adversary = game(DiscriminatorConfig(("contrast",), augment_target=0.8))
    assert adversary.share == 0
    for _ in range(5):
        discriminator.loss(batch(torch.rand(2, 1, 2, 2)))
    assert adversary.share == pytest.approx(5 * 4 / 100)
    adversary.config = replace(adversary.config, augment_target=0.95)
    for _ in range(9):
        terms = discriminator.loss(batch(torch.rand(2, 1, 2, 2)))
    assert adversary.share == 0
    assert terms["augment_share"].item() == 0


def test_images_of_a_pair_are_changed_alike_and_latents_are_not() -> None:
    *_, adversary = game(DiscriminatorConfig(ALL))
    images, latents = torch.rand(4, 1, 8, 8), torch.rand(4, 3)
    first, second = adversary._augment(nn.Identity(), (images, images))
    torch.testing.assert_close(first, second)
    assert not torch.equal(first, images)
    _, same = adversary._augment(nn.Identity(), (images, latents))
    assert same is latents
    assert adversary._augment(nn.Identity(), (latents, latents)) == (latents, latents)


@pytest.mark.parametrize("name", GANS)
def test_every_gan_takes_the_options_and_resumes_bit_exact(
    name: str, spec: ImageSpec, batches: BatchSource
) -> None:
    top_k = 1.0 if name == "bigan" else 0.5
    options = DiscriminatorConfig(ALL, augment_target=0.5, r1=1.0, r1_every=2, top_k=top_k)
    stages = dict.fromkeys(tiny(name, spec).stages(), 3)
    config = TrainingConfig(stages, batch_size=4, discriminator=options, checkpoint_every=2)
    unbroken = list(train(tiny(name, spec), batches, config))
    state = next(report.state for report in unbroken if report.state is not None)
    resumed = list(train(tiny(name, spec), batches, config, state))
    end, again = unbroken[-1].state, resumed[-1].state
    assert end is not None
    assert again is not None
    assert end.notes.get("augment_share") == again.notes.get("augment_share")
    assert all(torch.equal(value, again.tensors[key]) for key, value in end.tensors.items())
    plain = list(train(tiny(name, spec), batches, replace(config, discriminator=None)))[-1].state
    assert plain is not None
    assert any(not torch.equal(value, end.tensors[key]) for key, value in plain.tensors.items())


def test_what_the_options_cannot_do_is_refused(spec: ImageSpec, batches: BatchSource) -> None:
    config = TrainingConfig({"adversarial": 1}, discriminator=DiscriminatorConfig(top_k=0.5))
    with pytest.raises(UserError, match="trained with an encoder"):
        list(train(tiny("bigan", spec), batches, config))
    config = replace(config, steps={"reconstruction": 1})
    with pytest.raises(UserError, match="for a model with a discriminator"):
        list(train(tiny("autoencoder", spec), batches, config))
    with pytest.raises(UserError, match=r"discriminator\.augment"):
        DiscriminatorConfig(("cutout",))
