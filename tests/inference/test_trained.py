"""The score of an uploaded image."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medgan.contracts import AnomalyScores
from medgan.errors import UserError
from medgan.evaluation.scores import score_images
from medgan.images.loading import StoredImages
from medgan.images.resizing import Crop
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.inference import trained as scoring
from medgan.inference.inputs import check_trained_on, prepared, seed_of
from medgan.project.artifacts import Project
from medgan.sources.raw import ImageRefused
from tests.app.conftest import film


def file_of(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0]).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_an_upload_is_read_by_its_content(kind: str) -> None:
    np.testing.assert_array_equal(scoring.read_upload(file_of(film(3), kind)), film(3))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GIF89a" + bytes(50), "FORMAT"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "UNREADABLE"),
        (b"", "UNREADABLE"),
        (file_of(np.full((8, 8, 1), 7, np.uint8)), "CONSTANT"),
        (b"\xff\xd8\xff" + bytes(scoring.SIZE_CAP), "TOO_LARGE"),
    ],
)
def test_a_file_that_is_no_image_is_refused_with_a_code(data: bytes, code: str) -> None:
    with pytest.raises(ImageRefused) as caught:
        scoring.read_upload(data)
    assert caught.value.code == code
    assert f"({code})" in scoring.refusal_sentence(caught.value)


@pytest.mark.parametrize("name", ["nearest_neighbour", "dcgan"])
def test_a_stored_image_that_is_uploaded_gets_the_score_of_the_pipeline(
    trained: Path, name: str
) -> None:
    project = Project(trained)
    store, model = project.store("phantoms"), project.published("phantoms", name)
    scores, maps, _ = score_images(model.build(), StoredImages(store), np.array([9]), seed=0)
    pixels = prepared(
        scoring.read_upload(file_of(film(9))), store.info, project.crop("phantoms", store.info)
    )
    found = scoring.verdict(model.build(), pixels, store.info, seed_of(model))
    assert found.score == pytest.approx(scores[0], rel=1e-5)
    np.testing.assert_allclose(found.anomaly_map, maps[0], rtol=1e-3)


class MeanDetector:
    def score(self, images: torch.Tensor, rng: torch.Generator) -> AnomalyScores:
        return AnomalyScores(images.mean((1, 2, 3)), images)


@pytest.mark.parametrize("intensity", ["unit", "standardised"])
def test_padding_intensity_and_crop_are_those_of_the_store(tmp_path: Path, intensity: str) -> None:
    crop, image = Crop(top=0.1, centre=True), film(4, 70)[:, :50]
    info = StoreInfo(1, 28, 28, 1, intensity, ("normal",))
    pixels = prepared(image, info, crop)
    write_store(tmp_path / "images", [pixels], info)
    seen = StoredImages(ImageStore.open(tmp_path / "images"))(np.array([0]))
    assert seen.shape[-1] == 32
    found = scoring.verdict(MeanDetector(), pixels, info, 0)
    assert found.score == pytest.approx(float(seen.mean()), abs=1e-6)
    assert found.anomaly_map.shape == (28, 28)
    np.testing.assert_allclose(found.anomaly_map, seen[0, 0, 2:30, 2:30], atol=1e-3)
    assert (pixels != prepared(image, info, None)).any()


def test_the_crop_is_read_from_the_configuration_of_the_data_set(trained: Path) -> None:
    project = Project(trained)
    info = project.store("phantoms").info
    assert project.crop("phantoms", info) is None
    path = trained / "conf/base/parameters/preprocessing.yml"
    path.write_text(path.read_text().replace("crop: null", "crop: {top: 0.08, centre: true}"))
    assert project.crop("phantoms", info) == Crop(0.08, True)
    path.write_text(path.read_text().replace("intensity: standardised", "intensity: unit"))
    with pytest.raises(UserError, match="has changed since its images were stored"):
        project.crop("phantoms", info)
    with pytest.raises(UserError, match="No folder of conf/ is about elsewhere"):
        project.crop("elsewhere", info)


def test_a_model_of_other_images_is_refused(trained: Path) -> None:
    project = Project(trained)
    model = project.published("phantoms", "dcgan")
    check_trained_on(model, project.store("phantoms"), "kedro run")
    write_store(
        trained / "data/05_model_input/phantoms/images",
        [film(99)],
        StoreInfo(1, 32, 32, 1, "standardised", ("normal",)),
    )
    with pytest.raises(UserError, match="have changed since dcgan was trained"):
        check_trained_on(model, project.store("phantoms"), "kedro run")


def reference(root: Path) -> scoring.Reference:
    project = Project(root)
    model = project.published("phantoms", "nearest_neighbour")
    return scoring.reference(project, "phantoms", model, model.build(), project.store("phantoms"))


def test_scores_of_normals_threshold_and_map_range_come_from_the_evaluation(
    evaluated: Path,
) -> None:
    known = reference(evaluated)
    assert not known.absent
    assert {part: len(scores) for part, scores in known.normals.items()} == {
        "validation": 3,
        "test": 3,
    }
    row = json.loads((evaluated / "data/08_reporting/phantoms/results.json").read_text())[
        "detectors"
    ]["nearest_neighbour"]
    assert known.threshold == row["threshold"]["value"]
    assert known.map_range is not None
    assert known.map_range[0] < known.map_range[1]


def test_without_an_evaluation_it_says_which_command_makes_one(trained: Path) -> None:
    assert "`kedro run --pipeline anomaly_evaluation`" in reference(trained).absent


def test_scores_of_an_older_model_are_not_used(evaluated: Path, republish) -> None:
    republish(evaluated, "nearest_neighbour")
    known = reference(evaluated)
    assert "not those of the newest nearest_neighbour" in known.absent
    assert known.threshold is None
    assert not known.normals


def test_a_threshold_of_other_images_is_not_used(evaluated: Path) -> None:
    path = evaluated / "data/08_reporting/phantoms/results.json"
    document = json.loads(path.read_text())
    document["provenance"]["data_hash"] = "other"
    path.write_text(json.dumps(document))
    known = reference(evaluated)
    assert known.threshold is None
    assert known.normals


def test_sentences() -> None:
    assert (
        scoring.standing(2.5, np.array([1.0, 2.0, 3.0, 2.5]), "test")
        == "It scores higher than 2 of the 4 normal test images (50%)."
    )
    assert "at or above the threshold 2.5" in scoring.decision(2.5, 2.5, "youden")
    assert "does not call it anomalous" in scoring.decision(2.4, 2.5, "youden")
