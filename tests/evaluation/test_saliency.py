"""Saliency maps of a network that looks where it is told to."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from medgan.contracts import ImageSpec
from medgan.evaluation.saliency import METHODS, NO_CAPTUM, check_saliency, saliency
from medgan.models import classifier
from medgan.training.fit import fit

SPOT = (slice(4, 12), slice(20, 28))


class Corner(nn.Module):
    """Logits from the mean of a corner: weights only where the disease is."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = nn.Conv2d(1, 1, 1), nn.Linear(32 * 32, 2)
        with torch.no_grad():
            self.trunk.weight.fill_(1.0)
            self.trunk.bias.zero_()
            looks = torch.zeros(2, 32, 32)
            looks[(1, *SPOT)] = 1.0
            self.head.weight.copy_(looks.flatten(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(images).flatten(1))


def images(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise, with a bright spot in every second image."""
    drawn = 0.1 * torch.randn(count, 1, 32, 32, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(count) % 2
    drawn[(labels == 1, 0, *SPOT)] += 0.9
    return drawn, labels


def test_integrated_gradients_of_a_linear_network_are_weights_times_pixels() -> None:
    drawn, labels = images(4)
    found = saliency(Corner(), drawn, labels, "integrated_gradients")
    expected = np.zeros((4, 32, 32))
    expected[:, SPOT[0], SPOT[1]] = drawn[:, 0, SPOT[0], SPOT[1]].abs()
    np.testing.assert_allclose(found[1], expected[1], atol=1e-5)
    np.testing.assert_allclose(found[0], 0, atol=1e-6)  # the weights of normal are zero


def test_maps_of_a_trained_network_lie_in_the_mask_and_change_with_its_weights() -> None:
    spec = ImageSpec(32, 1, ("normal", "opacity"))
    torch.manual_seed(0)
    model = classifier.build(classifier.Config(), spec)
    drawn, labels = images(64)
    fit(model, drawn, 60, labels, batch_size=16)
    torch.manual_seed(9)
    untrained = classifier.build(classifier.Config(), spec).eval()
    test, found = images(12, 1)
    masks = np.zeros((12, 32, 32), dtype=bool)
    masks[np.ix_(found.numpy() == 1, range(4, 12), range(20, 28))] = True
    result, maps = check_saliency(model, untrained, test, np.arange(12), masks, 100)
    assert set(maps) == set(result.methods) == set(METHODS)
    assert (result.n_images, result.n_masks) == (12, 6)
    assert result.mask_area.value == pytest.approx(64 / 1024)
    checks = result.methods["integrated_gradients"]
    assert checks.inside_mask.value > 4 * result.mask_area.value
    assert checks.all_random.value < 0.9
    same, _ = check_saliency(model, model, test, np.arange(12), masks, 100)
    assert same.methods["integrated_gradients"].all_random.value == pytest.approx(1.0)


def test_without_captum_the_reason_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    model = classifier.build(classifier.Config(), ImageSpec(32, 1, ("normal", "opacity"))).eval()
    drawn, _ = images(2)
    none = np.zeros((2, 32, 32), dtype=bool)
    result, maps = check_saliency(model, model, drawn, np.arange(2), none, 10)
    assert result.reason == NO_CAPTUM
    assert not maps
