"""Drawn images, and the archive that they leave the page in."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan.app.sampling import (
    CARD,
    MOST,
    NOTICE,
    Request,
    archive,
    data_card,
    draw,
    enlarged,
)
from medgan.errors import UserError
from medgan.models import PublishedModel
from medgan.project.artifacts import Project


def load(root: Path, name: str) -> PublishedModel:
    return Project(root).published("phantoms", name)


def test_a_generator_offers_the_classes_that_it_learned(trained: Path) -> None:
    assert load(trained, "acgan").drawable == ("normal", "bacterial", "viral")
    assert load(trained, "dcgan").drawable == ("normal",)


def test_images_follow_from_seed_and_class(trained: Path) -> None:
    model = load(trained, "acgan")
    images = draw(model, model.build(), Request("viral", 3, 7))
    assert images.shape == (3, 32, 32, 1)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, draw(model, model.build(), Request("viral", 3, 7)))
    assert (images != draw(model, model.build(), Request("viral", 3, 8))).any()
    assert (images != draw(model, model.build(), Request("normal", 3, 7))).any()


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (Request("viral", 1, 0), "dcgan cannot draw `viral`"),
        (Request("normal", MOST + 1, 0), "65 images"),
        (Request("normal", 0, 0), "0 images"),
    ],
)
def test_what_cannot_be_drawn_is_refused(trained: Path, request_: Request, sentence: str) -> None:
    model = load(trained, "dcgan")
    with pytest.raises(UserError, match=sentence):
        draw(model, model.build(), request_)


def test_the_archive_holds_the_images_and_where_they_come_from(trained: Path) -> None:
    model, request = load(trained, "acgan"), Request("bacterial", 2, 5)
    images = draw(model, model.build(), request)
    card = data_card(model, "phantoms", "v1", request)
    packed = archive(images, card)
    assert packed == archive(images, card)
    with zipfile.ZipFile(io.BytesIO(packed)) as files:
        assert sorted(files.namelist()) == ["bacterial-000.png", "bacterial-001.png", CARD]
        with Image.open(io.BytesIO(files.read("bacterial-001.png"))) as picture:
            np.testing.assert_array_equal(np.asarray(picture), images[1, :, :, 0])
            assert picture.text["Description"].startswith(NOTICE)
            assert model.key in picture.text["Description"]
        stored = json.loads(files.read(CARD))
    assert {
        name: stored[name] for name in ("model", "version", "key", "class", "seed", "notice")
    } == {
        "model": "acgan",
        "version": "v1",
        "key": model.key,
        "class": "bacterial",
        "seed": 5,
        "notice": NOTICE,
    }


def test_enlarging_repeats_pixels() -> None:
    image = np.array([[[0], [255]], [[128], [1]]], np.uint8)
    large = enlarged(image, 5)
    assert large.shape == (6, 6, 3)
    np.testing.assert_array_equal(large[::3, ::3, 0], image[:, :, 0])
    np.testing.assert_array_equal(large[0:3, 3:6], np.full((3, 3, 3), 255))
