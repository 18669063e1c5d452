"""The denoising autoencoder and foreign patch interpolation: noise, patches, losses by hand."""

import pytest
import torch
from torch import Tensor, nn

from medgan.contracts import Batch
from medgan.models.denoising_autoencoder import coarse_noise
from tests.models.tiny import tiny


class Constant(nn.Module):
    """A network that says the same of every pixel, and keeps what it was shown."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value, self.shown = value, torch.empty(0)

    def forward(self, images: Tensor) -> Tensor:
        self.shown = images
        return torch.full_like(images[:, :1], self.value)


def batch(count: int = 4) -> Batch:
    """Images of one brightness each: 0, 0.1, 0.2, ..."""
    images = (torch.arange(count) / 10)[:, None, None, None].expand(-1, 1, 32, 32)
    return Batch(images, torch.Generator().manual_seed(2))


def test_the_noise_is_coarse_seeded_and_different_for_each_image() -> None:
    images = torch.zeros(200, 1, 32, 32)
    noise = coarse_noise(images, 8, torch.Generator().manual_seed(0))
    assert noise.shape == images.shape
    assert torch.equal(noise, coarse_noise(images, 8, torch.Generator().manual_seed(0)))
    neighbours = torch.corrcoef(torch.stack([noise[..., :-1].flatten(), noise[..., 1:].flatten()]))[
        0, 1
    ]
    far = torch.corrcoef(torch.stack([noise[..., :16].flatten(), noise[..., 16:].flatten()]))[0, 1]
    assert neighbours > 0.8
    assert abs(far) < 0.2
    assert len({float(one.sum()) for one in noise}) == 200


def test_the_noise_is_no_stronger_at_one_place() -> None:
    noise = coarse_noise(torch.zeros(4000, 1, 32, 32), 8, torch.Generator().manual_seed(0))
    spread = noise.std(0)
    assert spread.max() / spread.min() < 1.15


def test_the_loss_compares_with_the_image_before_the_noise() -> None:
    model = tiny("denoising_autoencoder", noise=0.5)
    model.network = Constant(0.0)
    loss = model.loss(batch())["reconstruction"]
    assert loss.item() == pytest.approx((0 + 0.01 + 0.04 + 0.09) / 4, rel=1e-5)
    assert model.network.shown.std((1, 2, 3)).min() > 0.1


def test_the_score_is_the_mean_of_the_residual() -> None:
    model = tiny("denoising_autoencoder")
    model.network = Constant(0.2)
    found = model.score(batch().images, torch.Generator())
    torch.testing.assert_close(found.image_scores, torch.tensor([0.2, 0.1, 0.0, 0.1]))
    assert torch.equal(model.network.shown, batch().images)


def test_a_patch_is_blended_from_another_image_by_the_factor_that_is_asked_for() -> None:
    model = tiny("fpi")
    model.network = Constant(0.0)
    given = batch(400)
    model.loss(given)
    factors = model._factors(Batch(given.images, torch.Generator().manual_seed(2)))
    expected = torch.lerp(given.images, given.images.roll(1, 0), factors)
    torch.testing.assert_close(model.network.shown, expected)
    inside = factors > 0
    values = [one[where].unique() for one, where in zip(factors, inside, strict=True)]
    assert all(len(one) <= 1 for one in values), "one factor for each image"
    assert all(0.05 <= value <= 0.95 for one in values for value in one)
    heights, widths = inside.any(3).sum((1, 2)), inside.any(2).sum((1, 2))
    assert torch.equal(inside.sum((1, 2, 3)), heights * widths), "a rectangle"
    assert max(int(heights.max()), int(widths.max())) <= 14
    assert inside.any(0).all(), "anywhere"


def test_the_loss_is_the_cross_entropy_of_the_factors() -> None:
    model = tiny("fpi")
    model.network = Constant(1.0)
    factors = model._factors(batch())
    says = torch.tensor(1.0).sigmoid()
    expected = -(factors * says.log() + (1 - factors) * (1 - says).log()).mean()
    assert model.loss(batch())["factor"].item() == pytest.approx(expected.item(), rel=1e-5)
    found = model.score(batch().images, torch.Generator())
    torch.testing.assert_close(found.image_scores, says.expand(4))
