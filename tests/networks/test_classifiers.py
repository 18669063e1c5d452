"""The classifiers of torchvision: small images, gray images, and weights from a file."""

from __future__ import annotations

import re

import pytest
import torch
from torchvision.models import get_model

from medgan.errors import UserError
from medgan.networks.classifier import CLASSIFIERS, DIVIDED
from medgan.networks.layouts import FILES

LIGHT = ("resnet18", "densenet121", "efficientnet_b0")


@pytest.mark.parametrize("name", LIGHT)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_small_images_keep_their_resolution(name: str, size: int) -> None:
    network = CLASSIFIERS[name](size, 1, 3).eval()
    images = torch.rand(1, 1, size, size) * 2 - 1
    with torch.inference_mode():
        side = network.trunk(images).shape[-1]
        assert side == (2 if (name, size) == ("efficientnet_b0", 32) else 4)
        assert network(images).shape == (1, 3)
        gray, colored = network(images), network(images.expand(-1, 3, -1, -1))
    torch.testing.assert_close(gray, colored)


@pytest.mark.parametrize("size", [32, 64])
def test_vgg_gives_the_logits_of_torchvisions_with_fewer_weights(size: int) -> None:
    torch.manual_seed(0)
    ours = CLASSIFIERS["vgg16"](size, 1, 2).eval()
    torch.manual_seed(0)
    whole = get_model("vgg16", weights=None, num_classes=2).eval()
    images = torch.rand(1, 1, size, size) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), whole(ours.trunk[0](images)))  # type: ignore[index]
    assert (
        sum(p.numel() for p in ours.parameters()) < sum(p.numel() for p in whole.parameters()) / 3
    )


@pytest.mark.parametrize("name", LIGHT)
def test_pretrained_weights_are_taken_and_the_last_layer_is_not(name: str) -> None:
    network, whole = CLASSIFIERS[name](256, 3, 2).eval(), get_model(name, weights=None).eval()
    tensors = whole.state_dict()
    if name == "densenet121":  # as its file has them
        pattern = re.compile(r"(denselayer\d+\.(?:norm|conv))([12])")
        tensors = {pattern.sub(r"\1.\2", key): value for key, value in tensors.items()}
    last = list(network.head.children())[-1].weight.clone()  # type: ignore[union-attr]
    network.load(tensors)
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    named = {"resnet18": "fc", "densenet121": "classifier", "efficientnet_b0": "classifier"}
    setattr(whole, named[name], torch.nn.Identity())
    with torch.inference_mode():
        colored = network.trunk[0](images)  # type: ignore[index]
        torch.testing.assert_close(network.features(images), whole(colored))
    assert torch.equal(list(network.head.children())[-1].weight, last)  # type: ignore[union-attr]


def test_weights_of_another_network_are_refused_and_the_small_one_has_none() -> None:
    with pytest.raises(UserError, match=r"does not fit resnet18: 40 of 122|does not fit resnet18"):
        CLASSIFIERS["resnet18"](32, 1, 2).load(get_model("densenet121").state_dict())
    with pytest.raises(
        UserError, match=r"no pretrained weights.*or leave `classifier_training\.weights` out"
    ):
        CLASSIFIERS["small"](32, 1, 2).load({})


def test_every_network_of_torchvision_has_a_file() -> None:
    assert set(DIVIDED) <= set(FILES)
    assert set(CLASSIFIERS) == {"small", *DIVIDED}
