"""The score of an uploaded image."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan.evaluation.scores import score_images
from medgan.images.loading import StoredImages
from medgan.inference import Options, score_path
from medgan.inference.trained import Trained, with_threshold
from medgan.inference.trained import trained as load
from medgan.inference.upload import (
    SIZE_CAP,
    decision,
    read_upload,
    refusal_sentence,
    score_upload,
    standing,
)
from medgan.project.artifacts import Project
from medgan.project.environment import Environment
from medgan.sources.raw import ImageRefused
from tests.app.conftest import film
from tests.inference.conftest import MODEL


def file_of(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0]).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_an_upload_is_read_by_its_content(kind: str) -> None:
    np.testing.assert_array_equal(read_upload(file_of(film(3), kind)), film(3))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GIF89a" + bytes(50), "FORMAT"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "UNREADABLE"),
        (b"", "UNREADABLE"),
        (file_of(np.full((8, 8, 1), 7, np.uint8)), "CONSTANT"),
        (b"\xff\xd8\xff" + bytes(SIZE_CAP), "TOO_LARGE"),
    ],
)
def test_a_file_that_is_no_image_is_refused_with_a_code(data: bytes, code: str) -> None:
    with pytest.raises(ImageRefused) as caught:
        read_upload(data)
    assert caught.value.code == code
    assert f"({code})" in refusal_sentence(caught.value)


@pytest.mark.parametrize("name", ["nearest_neighbour", "dcgan"])
def test_a_stored_image_that_is_uploaded_gets_the_score_of_the_pipeline(
    trained: Path,
    name: str,
) -> None:
    project = Project(trained)
    store, model = project.store("phantoms"), project.published("phantoms", name)
    scores, maps, _ = score_images(model.build(), StoredImages(store), np.array([9]))
    using = load(project, project.environment("phantoms"), name)
    pixels = using.prepared(read_upload(file_of(film(9))))
    found = using.score(pixels[None], ["a"])
    assert found[0][0] == pytest.approx(scores[0], rel=1e-5)
    np.testing.assert_allclose(found[1][0], maps[0], rtol=1e-3)
    assert score_upload(using, file_of(film(9)), "a").score == found[0][0]


def films(project: Path) -> Trained:
    environment = Environment(project / "conf", "films")
    found = Project(project)
    return with_threshold(found, environment, load(found, environment, MODEL))


def test_the_app_and_the_command_give_the_same_picture(project: Path) -> None:
    path = project / "films/sick/p3.png"
    table = score_path(path, MODEL, "out", env="films", options=Options("all"))
    found = score_upload(films(project), path.read_bytes(), "p3.png")
    assert found.score == pytest.approx(table["score"][0], abs=1e-6)
    assert found.picture == (project / "out" / table["heat_map"][0]).read_bytes()


def test_sentences() -> None:
    assert (
        standing(2.5, np.array([1.0, 2.0, 3.0, 2.5]), "test images")
        == "The score is higher than that of 2 of the 4 normal test images (50%)."
    )
    assert "at or above the threshold 2.5" in decision(2.5, 2.5, "youden")
    assert "calls the image normal" in decision(2.4, 2.5, "youden")
