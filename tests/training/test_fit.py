"""Training without Kedro."""

import pytest
import torch

from medgan import models
from medgan.errors import UserError
from medgan.training.fit import fit
from medgan.training.runtime import seeded
from tests.models.tiny import tiny


def test_every_model_is_fitted_in_one_call() -> None:
    images = torch.rand(12, 1, 32, 32) * 2 - 1
    for name in models.names():
        model = fit(
            tiny(name), images, 2, torch.arange(12) % 3, images, batch_size=4, ema_decay=0.9
        )
        assert not model.training


def test_the_averaged_weights_are_left_in_the_model() -> None:
    def trained(ema_decay: float) -> torch.Tensor:
        with seeded(0):
            model = models.create("autoencoder", 32, width=4, latent_dim=4)
        images = torch.rand(12, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return torch.cat(
            [
                value.flatten().float()
                for value in fit(model, images, 5, batch_size=4, ema_decay=ema_decay)
                .state_dict()
                .values()
            ]
        )

    assert torch.equal(trained(0.0), trained(0.0))
    assert not torch.equal(trained(0.0), trained(0.9))


def test_images_of_several_classes_are_trained_on_and_drawn() -> None:
    images = torch.rand(12, 1, 32, 32) * 2 - 1
    labels = torch.rand(12, 3, generator=torch.Generator().manual_seed(0)).round()
    model = fit(
        tiny("acgan", class_loss="bce", adversarial_loss="lsgan"),
        images,
        2,
        labels,
        batch_size=4,
        inspect_every=1,
    )
    assert model.sample(
        2, torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), torch.Generator()
    ).shape == (2, 1, 32, 32)


def test_a_wrong_name_or_setting_is_named() -> None:
    with pytest.raises(UserError, match="no model 'dcgna'"):
        models.create("dcgna", 32)
    with pytest.raises(UserError, match=r"no setting 'widht'.*width"):
        models.create("dcgan", 32, widht=3)
