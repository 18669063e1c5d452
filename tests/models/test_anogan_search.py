"""The latent search of AnoGAN."""

import torch

from medgan.contracts import ImageSpec
from medgan.models import dcgan
from medgan.training.seeding import seeded

SPEC = ImageSpec(32, 1)


def model(**changes: int) -> dcgan.DCGAN:
    with seeded(2):
        return dcgan.build(dcgan.Config(latent_dim=8, width=8, **changes), SPEC).eval()


def score(detector: dcgan.DCGAN, images: torch.Tensor) -> torch.Tensor:
    return detector.score(images, torch.Generator().manual_seed(0)).image_scores


def test_searching_longer_fits_better() -> None:
    images = torch.rand(4, 1, 32, 32) * 2 - 1
    assert (score(model(search_steps=40), images) < score(model(search_steps=0), images)).all()


def test_a_warm_start_fits_better_than_one_random_latent() -> None:
    images = torch.rand(4, 1, 32, 32) * 2 - 1
    assert score(model(search_steps=0, warm_start=256), images).sum() < score(model(search_steps=0, warm_start=1), images).sum()


def test_what_the_generator_draws_scores_lower_than_noise() -> None:
    detector = model(search_steps=60)
    drawn = detector.sample(4, None, torch.Generator().manual_seed(9))
    noise = drawn + 0.3 * torch.randn(drawn.shape, generator=torch.Generator().manual_seed(1))
    assert (score(detector, drawn.clone()) < score(detector, noise)).all()


def test_scoring_leaves_the_weights_alone() -> None:
    detector = model(search_steps=3)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    score(detector, torch.zeros(2, 1, 32, 32))
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())
