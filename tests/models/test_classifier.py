"""The supervised classifier."""

from dataclasses import replace

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


def batch() -> Batch:
    torch.manual_seed(3)
    labels = torch.tensor([0, 1, 1, 1])
    return Batch(torch.randn(4, *SPEC.shape), torch.Generator().manual_seed(5), labels)


def test_class_weights_and_label_smoothing_are_those_of_their_definitions() -> None:
    weights, smoothing, given = torch.tensor([2.0, 2 / 3]), 0.2, batch()
    model = classifier.build(
        classifier.Config(label_smoothing=smoothing, class_weights=(2.0, 2 / 3)), SPEC
    ).eval()
    log_p = model.network(given.images).log_softmax(1)
    spread = (1 - smoothing) * torch.eye(2)[given.labels] + smoothing / 2
    expected = -(spread * weights * log_p).sum() / weights[given.labels].sum()
    torch.testing.assert_close(model.loss(given)["cross_entropy"], expected)


def test_each_finding_of_several_has_a_probability_and_a_loss_of_its_own() -> None:
    config = classifier.Config(several=True, label_smoothing=0.1, class_weights=(1.0, 3.0))
    model, given = classifier.build(config, SPEC).eval(), batch()
    shown = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    p, soft = model.network(given.images).sigmoid(), 0.9 * shown + 0.05
    each = -(torch.tensor([1.0, 3.0]) * soft * p.log() + (1 - soft) * (1 - p).log())
    loss = model.loss(replace(given, labels=shown))["cross_entropy"]
    torch.testing.assert_close(loss, each.mean())
    torch.testing.assert_close(model.probabilities(given.images), p)


def test_mixup_blends_images_and_labels_by_the_same_share() -> None:
    model = classifier.build(classifier.Config(mixup=0.4), SPEC).eval()
    seen: list[torch.Tensor] = []
    model.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    found = model.loss(batch())["cross_entropy"]
    given = batch()
    again = model.loss(batch())["cross_entropy"]
    torch.testing.assert_close(found, again)  # the noise is that of the batch
    # Every blended image is a share of itself and the rest of another one.
    flat, blended = given.images.flatten(1), seen[0].flatten(1)
    shares = torch.linalg.lstsq(flat.T, blended.T).solution.T
    torch.testing.assert_close(shares.sum(1), torch.ones(4), atol=1e-4, rtol=0)
    own = shares.max(1).values.unique()
    soft = shares @ torch.eye(2)[given.labels]
    expected = -(soft * model.network(seen[0]).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert (own < 1 - 1e-3).any()


def test_pretraining_is_a_stage_of_the_same_player_before_the_classification() -> None:
    stages = classifier.build(classifier.Config(pretraining=True), SPEC).stages()
    assert list(stages) == ["pretraining", "classification"]
    assert stages["pretraining"] == stages["classification"]
