"""Every network at every supported size, gray and color."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from medgan.networks.autoencoder import ConvolutionalDecoder, ConvolutionalEncoder
from medgan.networks.blocks import channel_widths, halvings, spectrally_normalized
from medgan.networks.classifier import CLASSIFIERS
from medgan.networks.dcgan import (
    AuxiliaryDiscriminator,
    ConditionalGenerator,
    Discriminator,
    Generator,
)
from medgan.networks.pairs import LatentPairDiscriminator, PairDiscriminator
from medgan.networks.resnet import (
    DoublingConv,
    HalvingConv,
    ResNetDiscriminator,
    ResNetEncoder,
    ResNetGenerator,
    layer_norm,
)
from medgan.networks.translator import PatchDiscriminator, Translator

SIZES = [32, 64, 128, 256]


def test_depth_follows_the_size() -> None:
    assert [halvings(size) for size in SIZES] == [3, 4, 5, 6]
    assert channel_widths(256, 4) == [4, 8, 16, 32, 32, 32]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_generators_and_discriminators(size: int, channels: int) -> None:
    latents, shape = torch.randn(2, 8), (2, channels, size, size)
    images = Generator(8, 2, size, channels)(latents)
    assert images.shape == shape
    assert images.abs().max() <= 1
    assert (
        ConditionalGenerator(8, 3, 2, size, channels)(latents, torch.tensor([0, 2])).shape == shape
    )
    assert ResNetGenerator(8, 2, size, channels)(latents).shape == shape
    assert Discriminator(2, size, channels)(images).shape == (2,)
    assert ResNetDiscriminator(2, size, channels)(images).shape == (2,)
    assert [tuple(out.shape) for out in AuxiliaryDiscriminator(2, size, channels, 3)(images)] == [
        (2,),
        (2, 3),
    ]
    assert PairDiscriminator(8, 2, size, channels, batch_norm=True, dropout=0.0)(
        images, latents
    ).shape == (2,)
    assert LatentPairDiscriminator(8, 0.0)(latents, latents).shape == (2,)
    assert ResNetEncoder(5, 2, size, channels, layer_norm)(images).shape == (2, 5)


@pytest.mark.parametrize("size", SIZES)
def test_autoencoder_and_small_classifier(size: int) -> None:
    images = torch.randn(2, 1, size, size)
    assert (
        ConvolutionalDecoder(4, 2, size, 1)(ConvolutionalEncoder(4, 2, size, 1)(images)).shape
        == images.shape
    )
    assert CLASSIFIERS["small"](size, 1, 3)(images).shape == (2, 3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_translator_and_patches(size: int, channels: int) -> None:
    images = torch.randn(2, channels, size, size)
    assert Translator(channels, channels + 1, 2, 1)(images).shape == (2, channels + 1, size, size)
    assert PatchDiscriminator(2, size, channels)(images).shape == (2, 1, 4, 4)


def test_a_critic_with_layer_norm_scores_each_image_independently() -> None:
    critic = ResNetEncoder(1, 4, 32, 1, layer_norm).train()
    images = torch.randn(4, 1, 32, 32)
    torch.testing.assert_close(critic(images)[:2], critic(images[:2]))
    mixed = ResNetEncoder(1, 4, 32, 1, nn.BatchNorm2d).train()
    assert not torch.allclose(mixed(images)[:2], mixed(images[:2]), atol=1e-4)


@pytest.mark.parametrize(
    ("fused", "plain"),
    [
        (HalvingConv, lambda conv, x: F.avg_pool2d(conv(x), 2)),
        (DoublingConv, lambda conv, x: conv(F.interpolate(x, scale_factor=2.0))),
    ],
    ids=["down", "up"],
)
def test_a_fused_convolution_and_its_gradients_are_those_of_the_plain_pair(
    fused: Any, plain: Any
) -> None:
    torch.manual_seed(0)
    one = fused(3, 5).double()
    pair = nn.Conv2d(3, 5, 3, padding=1).double()
    pair.load_state_dict(one.state_dict())
    images = torch.randn(2, 3, 8, 8, dtype=torch.double, requires_grad=True)
    found, expected = one(images), plain(pair, images)
    torch.testing.assert_close(found, expected)
    direction = torch.randn_like(found)
    inputs = ((images, one.weight, one.bias), (images, pair.weight, pair.bias))
    first, second = (
        torch.autograd.grad((out * direction).sum(), into)
        for out, into in zip((found, expected), inputs, strict=True)
    )
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize(
    "module", [nn.Linear(3, 5), nn.Conv2d(3, 5, 3), nn.ConvTranspose2d(3, 5, 3)]
)
def test_a_spectral_norm_on_the_meta_device_has_the_state_of_a_real_one(module: nn.Module) -> None:
    def shapes(normalized: nn.Module) -> dict[str, torch.Size]:
        return {name: value.shape for name, value in normalized.state_dict().items()}

    planned = spectrally_normalized(copy.deepcopy(module).to("meta"))
    assert shapes(planned) == shapes(spectrally_normalized(module))
