"""The latent search of AnoGAN, and the encoder that it may start from."""

from typing import Any

import torch

from medgan.contracts import Batch, ImageSpec
from medgan.models import dcgan
from medgan.training.optimization import build_optimizer
from medgan.training.runtime import Runtime, seeded
from medgan.training.updates import update

SPEC = ImageSpec(32, 1)


def model(**changes: Any) -> dcgan.DCGAN:
    with seeded(2):
        return dcgan.build(dcgan.Config(latent_dim=8, width=8, **changes), SPEC).eval()


def score(detector: dcgan.DCGAN, images: torch.Tensor) -> torch.Tensor:
    return detector.score(images, torch.Generator().manual_seed(0)).image_scores


def test_searching_longer_fits_better() -> None:
    images = torch.rand(4, 1, 32, 32) * 2 - 1
    assert (score(model(search_steps=40), images) < score(model(search_steps=0), images)).all()


def test_a_warm_start_fits_better_than_one_random_latent() -> None:
    images = torch.rand(4, 1, 32, 32) * 2 - 1
    assert (
        score(model(search_steps=0, warm_start=256), images).sum()
        < score(model(search_steps=0, warm_start=1), images).sum()
    )


def test_what_the_generator_draws_scores_lower_than_noise() -> None:
    detector = model(search_steps=60)
    drawn = detector.sample(4, None, torch.Generator().manual_seed(9))
    noise = drawn + 0.3 * torch.randn(drawn.shape, generator=torch.Generator().manual_seed(1))
    assert (score(detector, drawn.clone()) < score(detector, noise)).all()


def test_scoring_leaves_the_weights_alone() -> None:
    detector = model(search_steps=3)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    score(detector, torch.zeros(2, 1, 32, 32))
    assert all(
        parameter.grad is None for parameter in detector.parameters()
    )  # the search moves latents: no weight's gradient is computed
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())


def test_without_an_encoder_there_is_neither_its_stage_nor_its_weights() -> None:
    assert list(model().stages()) == ["adversarial"]
    assert list(model(encoder=True).stages()) == ["adversarial", "encoder"]
    assert not any(name.startswith("encoder") for name in model().state_dict())


def test_the_encoder_finds_latents_and_is_only_taken_where_it_is_the_better_start() -> None:
    detector, plain = (
        model(encoder=True, search_steps=0, warm_start=4),
        model(search_steps=0, warm_start=4),
    )
    for generator in (detector.generator, plain.generator):
        for block in generator.modules():
            if isinstance(block, torch.nn.ConvTranspose2d):
                block.weight.data *= 5  # an untrained generator hardly varies
    images = detector.sample(4, None, torch.Generator().manual_seed(9)).clone()
    candidates = score(plain, images)
    (player,) = detector.stages()["encoder"]
    optimizer = build_optimizer(player.parameters(), player.optimizer)
    detector.encoder.train()
    losses = []
    for number in range(60):
        batch = Batch(torch.zeros(16, 1, 32, 32), torch.Generator().manual_seed(number))
        losses.append(
            update(player, optimizer, [batch], [player], Runtime(torch.device("cpu")))[
                "latents"
            ].item()
        )
    detector.eval()
    assert losses[-1] < 0.8 * losses[0]
    assert (score(detector, images) <= candidates + 1e-4).all()
    assert score(detector, images).sum() < 0.9 * candidates.sum()
