"""The supervised classifier."""

import pytest
import torch

from medgan.contracts import Batch, ImageSpec
from medgan.errors import UserError
from medgan.models import classifier
from medgan.training.optimization import build_optimizer
from medgan.training.runtime import Runtime
from medgan.training.updates import update

SPEC = ImageSpec(32, 1, ("normal", "pneumonia"))


@pytest.mark.parametrize("network", ["small", "vgg16", "resnet18"])
def test_one_step_lowers_the_loss_on_its_batch(network: str) -> None:
    torch.manual_seed(0)
    model = classifier.build(classifier.Config(network, lr=1e-4), SPEC)
    (player,) = model.stages()["classification"]
    batch = Batch(torch.randn(4, *SPEC.shape), torch.Generator(), torch.tensor([0, 1, 0, 1]))
    optimizer = build_optimizer(player.parameters(), player.optimizer)
    before = {name: value.clone() for name, value in model.named_parameters()}
    update(player, optimizer, [batch], [player], Runtime(torch.device("cpu")))
    assert any(not torch.equal(value, before[name]) for name, value in model.named_parameters())
    model.eval()
    assert model.probabilities(batch.images).sum(1) == pytest.approx(torch.ones(4))
    assert model.features(batch.images).ndim == 2


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(UserError, match="vgg16"):
        classifier.build(classifier.Config("vgg17"), SPEC)
