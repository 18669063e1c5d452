"""Images as functions of generator, seed, class, index and truncation."""

from dataclasses import asdict
from itertools import islice

import numpy as np
import pytest
import torch

from medgan import models
from medgan.contracts import LatentSynthesizer
from medgan.errors import UserError
from medgan.images.transforms import as_uint8, crop_padding
from medgan.models import PublishedModel
from medgan.pipelines.drawing import BLOCK, Drawing
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.pipelines.synthesis.nodes import draw
from medgan.training.runtime import generator
from tests.models.tiny import SPEC, tiny

DECODERS = [name for name in models.synthesizers() if isinstance(tiny(name), LatentSynthesizer)]


def published(name: str, strength: float = 6.0) -> PublishedModel:
    """A generator with random weights, large enough that its images differ."""
    model = tiny(name)
    weights = {
        key: value * strength if key.startswith("generator") and value.ndim > 1 else value
        for key, value in model.state_dict().items()
    }
    return PublishedModel(name, asdict(model.config), SPEC, weights, {"image_size": [28, 30]})


def first(drawing: Drawing, number: int, label: str = "normal") -> np.ndarray:
    return np.stack(list(islice(drawing.images(label), number)))


@pytest.mark.parametrize("name", models.synthesizers())
def test_images_are_those_of_the_model(name: str) -> None:
    model = published(name)
    images = first(Drawing(model, 3), BLOCK)
    rng, labels = generator(3, "drawing", name, "normal", 0), torch.zeros(BLOCK, dtype=torch.int64)
    expected = as_uint8(crop_padding(model.build().sample(BLOCK, labels, rng), 28, 30))  # type: ignore[operator]
    np.testing.assert_array_equal(images, expected)
    assert images.std() > 1
    assert (images != first(Drawing(model, 4), BLOCK)).any()


@pytest.mark.parametrize("name", DECODERS)
def test_truncation_changes_the_images_with_a_component_beyond_it_alone(name: str) -> None:
    model, limit = published(name), 1.9
    dimension = model.configuration["latent_dim"]
    rng = generator(0, "drawing", name, "normal", 0)
    latents = torch.randn(BLOCK, dimension, generator=rng)
    within = (latents.abs() <= limit).all(1).numpy()
    assert 0 < within.sum() < BLOCK
    plain, limited = (first(Drawing(model, 0, one), BLOCK) for one in (None, limit))
    same = (plain == limited).reshape(BLOCK, -1).all(1)
    assert same[within].all()
    assert not same[~within].any()


def test_truncated_latents_have_the_variance_of_a_truncated_normal() -> None:
    drawing = Drawing(published("dcgan"), 0, 1.0)
    latents = torch.cat([drawing._latents("normal", number) for number in range(400)])
    assert latents.abs().max() <= 1
    # 1 - 2 phi(1) / (2 Phi(1) - 1) = 0.2911 (Johnson, Kotz, Balakrishnan 1994, 10.1)
    assert float(latents.var()) == pytest.approx(0.2911, abs=0.005)


def test_a_row_leads_from_the_first_image_of_a_seed_to_that_of_another() -> None:
    one, other = (Drawing(published("acgan"), seed) for seed in (1, 2))
    row = one.between("viral", other, 5)
    for found, drawing in ((row[0], one), (row[-1], other)):
        np.testing.assert_allclose(found, first(drawing, 1, "viral")[0], atol=1)
    assert (row[0] != row[-1]).any()
    start, end = (drawing._latents("viral", 0)[0] for drawing in (one, other))
    middle = (start + end) / torch.sqrt(2 + 2 * torch.cosine_similarity(start, end, dim=0))
    image = one._model.decode(middle[None], torch.tensor([2]))
    np.testing.assert_allclose(row[2], as_uint8(crop_padding(image, 28, 30))[0], atol=1)


def test_a_generator_without_latents_is_not_truncated(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = next(one for one in type(tiny("dcgan")).__mro__ if "decode" in vars(one))
    monkeypatch.delattr(owner, "decode")
    monkeypatch.setattr(
        owner,
        "sample",
        lambda model, n, labels, rng: model.generator(
            torch.randn(n, model.config.latent_dim, generator=rng)
        ),
    )
    assert first(Drawing(published("dcgan"), 0), 3).shape == (3, 28, 30, 1)
    with pytest.raises(UserError, match="does not decode latents"):
        Drawing(published("dcgan"), 0, 1.0)
    with pytest.raises(UserError, match="nothing between two images"):
        Drawing(published("dcgan"), 0).between("normal", Drawing(published("dcgan"), 1), 3)


def test_a_generator_of_normal_images_draws_no_other_class() -> None:
    with pytest.raises(UserError, match="no class that dcgan draws 'viral': use one of normal"):
        Drawing(published("dcgan"), 0).images("viral")


def test_the_pipeline_judges_the_first_images_of_each_class() -> None:
    model = published("acgan")
    drawn = draw(model, SynthesisConfig(images_per_class=5), 7)
    np.testing.assert_array_equal(drawn["labels"], np.repeat([0, 1, 2], 5))
    for place, label in enumerate(SPEC.classes):
        expected = first(Drawing(model, 7), 5, label)
        np.testing.assert_array_equal(drawn["images"][5 * place : 5 * place + 5], expected)
