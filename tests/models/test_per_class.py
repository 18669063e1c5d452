"""One generator for each class."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medgan import models
from medgan.contracts import ImageSpec
from medgan.errors import UserError
from medgan.images.loading import BatchStream, TensorImages
from medgan.models import per_class
from medgan.training.fit import fit
from tests.models.tiny import tiny

SPEC = ImageSpec(32, 1, ("normal", "bacterial", "viral"))


def test_every_class_has_its_own_stages_and_is_drawn_by_its_own_generator() -> None:
    model = tiny("per_class")
    assert list(model.stages()) == ["adversarial/0", "adversarial/1", "adversarial/2"]
    labels = torch.tensor([2, 0, 2, 1])
    drawn = model.sample(4, labels, torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(0)
    expected = torch.cat(
        [model.generators[k].sample(n, None, rng) for k, n in enumerate([1, 1, 2])]
    )
    assert torch.equal(drawn, expected[[2, 0, 3, 1]])


def test_each_generator_learns_from_its_class_alone() -> None:
    """A stage of a label draws images of that label, and changes no other generator."""
    levels = torch.tensor([-0.8, 0.0, 0.8])
    labels = np.repeat([0, 1, 2], [30, 6, 12])
    images = levels[labels].view(-1, 1, 1, 1).expand(-1, 1, 32, 32).contiguous()
    stream = BatchStream(TensorImages(images), np.arange(48), 0, labels)
    for label in range(3):
        batch = stream.draw(f"adversarial/{label}", 7, 16)
        assert batch.images.unique().tolist() == pytest.approx([levels[label].item()])
    assert len(stream.draw("adversarial", 0, 48).images.unique()) == 3
    model = tiny("per_class")
    before = [[p.clone() for p in generator.parameters()] for generator in model.generators]
    steps = {"adversarial/0": 2, "adversarial/1": 60, "adversarial/2": 2}
    fitted = fit(model, images, steps, torch.from_numpy(labels), batch_size=8)
    means = [
        fitted.sample(8, torch.full((8,), label), torch.Generator().manual_seed(1)).mean().item()
        for label in range(3)
    ]
    assert abs(means[1]) < 0.35
    assert all(
        any(not torch.equal(a, b) for a, b in zip(old, new.parameters(), strict=True))
        for old, new in zip(before, fitted.generators, strict=True)
    )


def test_only_generators_without_labels_are_taken() -> None:
    assert "per_class" in models.conditional()
    assert set(models.unconditional()) >= {"dcgan", "sngan"}
    with pytest.raises(UserError, match=r"per_class\.model\.generator is 'acgan'"):
        per_class.build(per_class.Config("acgan"), SPEC)
    with pytest.raises(UserError, match="no setting 'widht'"):
        per_class.build(per_class.Config("dcgan", {"widht": 4}), SPEC)
