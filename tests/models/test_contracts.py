"""What every model promises, whichever it is."""

from dataclasses import asdict, is_dataclass
from typing import Any

import pytest
import torch

from medgan import models
from medgan.contracts import (
    COMPONENTS,
    AnomalyDetector,
    Batch,
    Composed,
    FeatureExtractor,
    Fitted,
    ImageSpec,
    ImageSynthesizer,
    Model,
    Reconstructs,
    TrainingSet,
)
from medgan.losses import residual_map
from medgan.models import PublishedModel
from tests.models.tiny import SPEC, tiny


def build(name: str, spec: ImageSpec = SPEC) -> Any:
    model = tiny(name, spec)
    if isinstance(model, Fitted):
        model.fit(iter([Batch(noise(6, spec, seed=4), torch.Generator())]))
    return model.eval()


def noise(n: int, spec: ImageSpec = SPEC, seed: int = 3) -> torch.Tensor:
    return torch.rand(n, *spec.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def rng(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_registry_finds_the_models() -> None:
    assert set(models.names()) >= {
        "acgan",
        "autoencoder",
        "dcgan",
        "fanogan",
        "mix_vs_normal",
        "nearest_neighbour",
        "sngan",
    }
    assert set(models.names()) == set(models.detectors()) | set(models.synthesizers())
    assert not {"acgan", "sngan"} & set(models.detectors())
    assert "classifier" not in models.names()
    assert set(models.encoders()) >= {"autoencoder", "bigan", "fanogan", "healthygan"}
    assert not {"dcgan", "mix_vs_normal", "nearest_neighbour", "classifier"} & set(
        models.encoders()
    )


def test_the_registry_reads_from_the_source_what_the_classes_are() -> None:
    contracts = {
        models.detectors: AnomalyDetector,
        models.synthesizers: ImageSynthesizer,
        models.encoders: FeatureExtractor,
        models.composed: Composed,
    }
    for name in models.names():
        model = tiny(name)
        for registered, contract in contracts.items():
            expected = isinstance(model, contract) and (
                contract is ImageSynthesizer or isinstance(model, AnomalyDetector)
            )
            assert (name in registered()) == expected, (name, contract)
        assert models.display_name(name) == getattr(
            models.load(name), "NAME", name.replace("_", " ")
        )


@pytest.mark.parametrize("name", models.names())
def test_module_exports(name: str) -> None:
    module = models.load(name)
    assert isinstance(module.TRAINING_SET, TrainingSet)
    assert is_dataclass(module.Config)
    assert module.Config.__dataclass_params__.frozen
    assert isinstance(build(name), Model)


@pytest.mark.parametrize("name", models.detectors())
@pytest.mark.parametrize("channels", [1, 3])
def test_scores_and_maps(name: str, channels: int) -> None:
    spec = ImageSpec(32, channels, SPEC.classes)
    model = build(name, spec)
    assert isinstance(model, AnomalyDetector)
    scores = model.score(noise(3, spec), rng())
    assert scores.image_scores.shape == (3,)
    assert scores.anomaly_maps.shape == (3, 1, 32, 32)
    assert torch.isfinite(scores.image_scores).all()
    assert torch.isfinite(scores.anomaly_maps).all()


@pytest.mark.parametrize("name", models.detectors())
def test_the_score_of_an_image_does_not_depend_on_its_batch(name: str) -> None:
    model, images = build(name), noise(5)
    whole = model.score(images, rng())
    first, second = model.score(images[:2], rng()), model.score(images[2:], rng())
    torch.testing.assert_close(
        whole.image_scores,
        torch.cat([first.image_scores, second.image_scores]),
        rtol=1e-4,
        atol=1e-5,
    )
    torch.testing.assert_close(
        whole.anomaly_maps,
        torch.cat([first.anomaly_maps, second.anomaly_maps]),
        rtol=1e-3,
        atol=1e-4,
    )
    assert whole.components.keys() == first.components.keys()
    for component, values in whole.components.items():
        torch.testing.assert_close(
            values,
            torch.cat([first.components[component], second.components[component]]),
            rtol=1e-4,
            atol=1e-5,
        )


@pytest.mark.parametrize("name", models.detectors())
def test_the_score_is_the_weighted_sum_of_its_components(name: str) -> None:
    model = build(name)
    found = model.score(noise(5), rng())
    assert set(found.components) <= set(COMPONENTS)
    assert isinstance(model, Composed) == bool(found.components) == (name in models.composed())
    for values in found.components.values():
        assert values.shape == (5,)
        assert torch.isfinite(values).all()
        assert (values >= 0).all()
    if found.components:
        composed = sum(
            weight * found.components[part] for part, weight in model.score_weights().items()
        )
        torch.testing.assert_close(found.image_scores, composed)


def test_which_detectors_have_which_components() -> None:
    parts = {
        name: set(build(name).score(noise(2), rng()).components) for name in models.detectors()
    }
    assert parts["bigan"] == parts["fanogan"] == {"reconstruction", "feature", "latent"}
    assert parts["autoencoder"] == {"reconstruction", "latent"}
    assert parts["dcgan"] == parts["healthygan"] == {"reconstruction", "feature"}
    assert parts["nearest_neighbour"] == parts["mix_vs_normal"] == set()


@pytest.mark.parametrize("name", models.encoders())
def test_features_describe_an_image_whatever_its_batch(name: str) -> None:
    model, images = build(name), noise(5)
    whole = model.features(images)
    assert whole.shape[0] == 5
    assert whole.ndim == 2
    torch.testing.assert_close(
        whole,
        torch.cat([model.features(images[:2]), model.features(images[2:])]),
        rtol=1e-4,
        atol=1e-5,
    )
    assert not torch.allclose(whole[0], whole[1])


@pytest.mark.parametrize("name", models.detectors())
def test_different_images_get_different_scores(name: str) -> None:
    assert len(set(build(name).score(noise(5), rng()).image_scores.tolist())) == 5


def reconstructing(name: str, spec: ImageSpec = SPEC) -> Any:
    model = build(name, spec)
    if not isinstance(model, Reconstructs):
        pytest.skip(f"{name} compares with no image")
    return model


def test_what_shows_its_counterpart() -> None:
    found = {name for name in models.detectors() if isinstance(build(name), Reconstructs)}
    assert found >= {"autoencoder", "bigan", "dcgan", "fanogan", "healthygan", "nearest_neighbour"}
    assert "mix_vs_normal" not in found


@pytest.mark.parametrize("name", models.detectors())
@pytest.mark.parametrize("channels", [1, 3])
def test_counterparts_are_images(name: str, channels: int) -> None:
    spec = ImageSpec(32, channels, SPEC.classes)
    model = reconstructing(name, spec)
    found = model.counterpart(noise(3, spec), rng())
    assert found.shape == (3, *spec.shape)
    assert found.abs().max() <= 1
    assert not found.requires_grad
    assert model.COUNTERPART


@pytest.mark.parametrize("name", models.detectors())
def test_a_counterpart_does_not_depend_on_its_batch(name: str) -> None:
    model, images = reconstructing(name), noise(5)
    parts = torch.cat([model.counterpart(images[:2], rng()), model.counterpart(images[2:], rng())])
    torch.testing.assert_close(model.counterpart(images, rng()), parts, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", models.detectors())
def test_what_is_shown_is_what_is_scored(name: str) -> None:
    """The map is the residual against the counterpart."""
    model, images = reconstructing(name), 0.3 * noise(4)
    maps, residuals = (
        model.score(images, rng()).anomaly_maps,
        residual_map(images, model.counterpart(images, rng())),
    )
    torch.testing.assert_close(residuals, maps, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", models.detectors())
def test_no_detector_standardises_images_by_itself(name: str) -> None:
    """Every row of a table sees the same intensity: that of `preprocessing.intensity`. Norms inside
    a network may remove contrast; brightness and contrast together only standardising removes.
    """
    model, images = build(name), noise(5)
    given = model.score(images, rng()).image_scores
    moved = (model.score(0.4 * images + 0.3, rng()).image_scores - given).abs()
    assert (moved > 1e-3 * given.abs()).all()


@pytest.mark.parametrize("name", models.synthesizers())
def test_samples(name: str) -> None:
    model = build(name)
    assert isinstance(model, ImageSynthesizer)
    labels = torch.tensor([0, 1, 2, 0])
    images = model.sample(4, labels, rng())
    assert images.shape == (4, *SPEC.shape)
    assert images.abs().max() <= 1
    assert torch.equal(images, model.sample(4, labels, rng()))
    assert not torch.equal(images, model.sample(4, labels, rng(6)))


def test_acgan_draws_the_class_that_is_asked_for() -> None:
    model = build("acgan")
    same_noise = [model.sample(2, torch.full((2,), label), rng()) for label in (0, 1)]
    assert not torch.allclose(*same_noise)


@pytest.mark.parametrize("name", models.names())
def test_publishing_keeps_the_scores(name: str) -> None:
    model = build(name)
    configuration = asdict(model.config) if hasattr(model, "config") else {}
    published = PublishedModel(name, configuration, SPEC, model.state_dict())
    again = published.build()
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
    changed = {
        key: value + 1 if value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    assert published.key != PublishedModel(name, configuration, SPEC, changed).key
