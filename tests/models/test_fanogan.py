"""f-AnoGAN: the encoder's terms, and what is only watched."""

import pytest
import torch

from medgan.contracts import Batch, ImageSpec
from medgan.models import fanogan
from medgan.training.runtime import seeded

SPEC = ImageSpec(32, 1)


def trained_mode() -> fanogan.FAnoGAN:
    """As in the encoder's stage: E trains, G and D do not."""
    with seeded(4):
        model = fanogan.build(fanogan.Config(latent_dim=8, width=4), SPEC)
    model.eval().encoder.train()
    return model


def batch() -> Batch:
    rng = torch.Generator().manual_seed(1)
    return Batch(torch.rand(6, *SPEC.shape, generator=rng) * 2 - 1, rng)


def test_kappa_weighs_the_features_alone() -> None:
    one, three = trained_mode(), trained_mode()
    object.__setattr__(three, "config", fanogan.Config(latent_dim=8, width=4, kappa=3.0))
    first, second = one.encoder_loss(batch()), three.encoder_loss(batch())
    assert second["features"].item() == pytest.approx(3 * first["features"].item(), rel=1e-5)
    assert second["reconstruction"].item() == pytest.approx(
        first["reconstruction"].item(), rel=1e-5
    )


def test_the_latent_distance_is_watched_and_touches_nothing() -> None:
    model, images = trained_mode(), batch().images
    plain = [value.clone() for value in model.encoder.buffers()]
    distance = model._latent_distance(images)
    assert all(
        torch.equal(value, before)
        for value, before in zip(model.encoder.buffers(), plain, strict=True)
    )
    assert model.encoder.training
    assert not distance.requires_grad
    model.encoder.eval()
    latents = model.encoder(images)
    again = model.encoder(model.generator(latents))
    assert distance.item() == pytest.approx(torch.square(latents - again).mean().item(), rel=1e-5)
    assert not model.encoder_loss(batch())["latent_distance"].requires_grad
