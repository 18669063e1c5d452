"""PatchCore and PaDiM: formulas by hand, and never a score from random weights."""

from typing import Any

import pytest
import torch

from medgan import models
from medgan.contracts import Batch, ImageSpec
from medgan.errors import MissingWeights, UserError
from medgan.models import padim, patch_knn
from medgan.networks.backbone import IMAGENET, Backbone
from medgan.networks.memory import k_center_greedy
from medgan.training.fit import fit
from medgan.training.pretrained import PretrainedWeights
from tests.models.tiny import random_weights, tiny, weights_file

SPEC = ImageSpec(32, 1)
NAMES = ("padim", "patch_knn")


def noise(count: int, channels: int = 1) -> torch.Tensor:
    rng = torch.Generator().manual_seed(count)
    return torch.rand(count, channels, 32, 32, generator=rng) * 2 - 1


def fitted(name: str, **changes: Any) -> Any:
    model = tiny(name, SPEC, **changes).eval()
    model.fit(iter([Batch(noise(12), torch.Generator().manual_seed(0))]))
    return model


@pytest.mark.parametrize("name", NAMES)
def test_without_weights_it_refuses_and_says_what_to_give(name: str) -> None:
    module = models.load(name)
    model = module.build(module.Config(side=32), SPEC)
    assert not model.patches.backbone.loaded
    assert model.patches(noise(2)).isnan().all()
    with pytest.raises(UserError, match=rf"^{name} needs .* backbone_weights=PATH"):
        fit(model, noise(6))


def test_a_file_of_another_network_is_refused() -> None:
    model = patch_knn.build(patch_knn.Config(side=32), SPEC)
    with pytest.raises(UserError, match=r"does not fit the backbone: \d+ of \d+ tensors"):
        model.load_pretrained(random_weights("resnet18"))
    assert not model.patches.backbone.loaded


def test_a_layer_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="resnet18 has no layers layer9"):
        Backbone("resnet18", ["layer9"], 32)


@pytest.mark.parametrize("network", ["squeezenet1_1", "resnet18"])
def test_features_are_those_of_torchvision(network: str) -> None:
    from torchvision.models import get_model

    layers = {"squeezenet1_1": "features.4", "resnet18": "layer2"}
    backbone = Backbone(network, [layers[network]], 64).eval()
    weights = random_weights(network)
    backbone.load(weights)
    reference = get_model(network, weights=None).eval()
    reference.load_state_dict(weights)
    seen: list[torch.Tensor] = []
    reference.get_submodule(layers[network]).register_forward_hook(
        lambda module, inputs, outputs: seen.append(outputs)
    )
    images = torch.rand(2, 1, 64, 64) * 2 - 1
    scaled = ((images + 1) / 2 - torch.tensor(IMAGENET.mean)[:, None, None]) / torch.tensor(
        IMAGENET.spread
    )[:, None, None]
    with torch.no_grad():
        reference(scaled)
        (found,) = backbone(images)
    torch.testing.assert_close(found, seen[0])


def test_k_centers_are_the_farthest_in_turn() -> None:
    points = torch.tensor([[0.0], [1.0], [10.0], [4.0]])
    chosen = k_center_greedy(points, 3, 8, torch.Generator().manual_seed(0))
    first = int(chosen[0])
    expected = {0: [0, 2, 3], 1: [1, 2, 3], 2: [2, 0, 3], 3: [3, 2, 0]}[first]
    assert chosen.tolist() == expected
    assert len(k_center_greedy(points, 9, 8, torch.Generator())) == 4


def test_a_coreset_covers_better_than_a_random_subset() -> None:
    rng = torch.Generator().manual_seed(0)
    points = torch.randn(500, 40, generator=rng) ** 3

    def reach(chosen: torch.Tensor) -> float:
        return float(torch.cdist(points, points[chosen]).min(1).values.max())

    assert reach(k_center_greedy(points, 25, 16, rng)) < reach(torch.arange(25))


def test_candidates_are_a_random_sample_of_the_patches_of_all_batches() -> None:
    model = tiny("patch_knn", SPEC, candidates=40, coreset=1.0).eval()
    parts = [
        Batch(noise(12)[start : start + 4], torch.Generator().manual_seed(start))
        for start in (0, 4, 8)
    ]
    model.fit(iter(parts))
    assert len(model.memory.vectors) == 40
    patches = model.patches(noise(12)).movedim(1, 3).flatten(1, 2)
    stored, exact = model.memory.vectors, "donot_use_mm_for_euclid_dist"
    apart = torch.stack([torch.cdist(stored, one, compute_mode=exact).amin(1) for one in patches])
    assert apart.amin(0).max() < 1e-3
    owners = apart.argmin(0) // 4
    assert torch.bincount(owners, minlength=3).min() > 4


def test_patchcore_by_hand() -> None:
    model = fitted("patch_knn", neighbours=3)
    memory = model.memory.vectors
    images = noise(2)
    patches = model.patches(images).movedim(1, 3).flatten(1, 2)
    found = model.score(images, torch.Generator())
    for one, score in zip(patches, found.image_scores, strict=True):
        apart = torch.cdist(one, memory, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = apart.min(1)
        worst = nearest.values.argmax()
        m = nearest.indices[worst]
        support = (memory - memory[m]).norm(dim=1).argsort()[:3]
        exponents = apart[worst, support].exp()
        weight = 1 - apart[worst, m].exp() / exponents.sum()
        torch.testing.assert_close(score, weight * nearest.values[worst], rtol=1e-4, atol=1e-5)


def test_without_neighbours_the_score_is_the_largest_distance_and_mean_is_the_mean() -> None:
    plain, mean = fitted("patch_knn", neighbours=1), fitted("patch_knn", score="mean")
    grid = plain.patches.grid
    for model in (plain, mean):
        patches = model.patches(noise(1)).movedim(1, 3).flatten(0, 2)
        distances = torch.cdist(patches, model.memory.vectors).min(1).values
        assert len(distances) == grid**2
        expected = distances.max() if model is plain else distances.mean()
        found = model.score(noise(1), torch.Generator()).image_scores[0]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("over", ["max", "mean"])
def test_padim_by_hand(over: str) -> None:
    model = fitted("padim", score=over)
    assert len(set(model.chosen.tolist())) == 8
    train, new = (
        model.patches(images)[:, model.chosen].flatten(2).double()
        for images in (noise(12), noise(3))
    )
    distances = torch.empty(3, new.shape[2], dtype=torch.float64)
    for position in range(new.shape[2]):
        here = train[..., position]
        covariance = torch.cov(here.T) + 0.01 * torch.eye(8)
        apart = new[..., position] - here.mean(0)
        distances[:, position] = (apart @ covariance.inverse() * apart).sum(1).sqrt()
    expected = distances.amax(1) if over == "max" else distances.mean(1)
    found = model.score(noise(3), torch.Generator()).image_scores
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_published_model_needs_no_file(name: str) -> None:
    from dataclasses import asdict

    model = fitted(name)
    published = models.PublishedModel(name, asdict(model.config), SPEC, model.state_dict()).build()
    again = published.score(noise(3), torch.Generator())  # type: ignore[operator]
    expected = model.score(noise(3), torch.Generator())
    assert torch.equal(again.image_scores, expected.image_scores)


def test_weights_that_are_nowhere_leave_the_model_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: "/nowhere")
    with pytest.raises(MissingWeights, match=r"weights of squeezenet1_1: give .*=PATH"):
        PretrainedWeights.find("squeezenet1_1", None)
    with pytest.raises(UserError, match="There are no weights at /nowhere/else") as refused:
        PretrainedWeights.find("squeezenet1_1", "/nowhere/else")
    assert not isinstance(refused.value, MissingWeights)


def test_a_file_is_known_by_its_content(tmp_path: Any) -> None:
    found = PretrainedWeights.find("squeezenet1_1", weights_file())
    assert len(found.sha256) == 64
    model = padim.build(padim.Config(side=32), SPEC)
    model.load_pretrained(found.read())
    assert model.patches.backbone.loaded
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(UserError, match="is no file of weights"):
        PretrainedWeights.find("squeezenet1_1", str(tmp_path / "text.pth")).read()
