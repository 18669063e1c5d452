"""A published detector, its threshold and its scale."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from medgan.contracts import AnomalyScores
from medgan.errors import UserError
from medgan.files.integrity import MANIFEST
from medgan.images.loading import StoredImages
from medgan.images.resizing import Crop, fit_square
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.inference.published import check_trained_on
from medgan.inference.trained import Frozen, NotEvaluated, score_pixels, with_threshold
from medgan.inference.trained import trained as load
from medgan.plots.anomaly_maps import normal_scale
from medgan.project.artifacts import Project
from tests.app.conftest import film, split_table
from tests.inference.artifacts import folder

MODEL = "nearest_neighbour"


class MeanDetector:
    def score(self, images: torch.Tensor, rng: torch.Generator) -> AnomalyScores:
        return AnomalyScores(images.mean((1, 2, 3)), images)


@pytest.mark.parametrize("intensity", ["unit", "standardised", "local"])
def test_padding_intensity_and_crop_are_those_of_the_store(tmp_path: Path, intensity: str) -> None:
    crop, image = Crop(top=0.1, centre=True), film(4, 70)[:, :50]
    info = StoreInfo(1, 28, 28, 1, intensity, ("normal",), window=0.3)
    pixels = fit_square(image, info.height, info.channels, crop)
    write_store(tmp_path / "images", [pixels], info)
    seen = StoredImages(ImageStore.open(tmp_path / "images"))(np.array([0]))
    assert seen.shape[-1] == 32
    scores, maps = score_pixels(MeanDetector(), pixels[None], info, 0, ["a"])
    assert scores[0] == pytest.approx(float(seen.mean()), abs=1e-6)
    assert maps.shape == (1, 28, 28)
    np.testing.assert_allclose(maps[0], seen[0, 0, 2:30, 2:30], atol=1e-3)
    assert (pixels != fit_square(image, info.height, info.channels, None)).any()


def test_the_crop_is_read_from_the_configuration_of_the_data_set(trained: Path) -> None:
    project = Project(trained)
    info = project.store("phantoms").info

    def crop(dataset: str) -> Crop | None:
        return project.environment(dataset).preprocessing(info).crop

    assert crop("phantoms") is None
    path = trained / "conf/base/parameters/preprocessing.yml"
    path.write_text(path.read_text().replace("crop: null", "crop: {top: 0.08, centre: true}"))
    assert crop("phantoms") == Crop(0.08, True)
    path.write_text(path.read_text().replace("intensity: standardised", "intensity: unit"))
    with pytest.raises(UserError, match="has changed since its images were stored"):
        crop("phantoms")
    with pytest.raises(UserError, match="No folder of conf/ is about elsewhere"):
        crop("elsewhere")


def test_another_window_is_another_preparation(trained: Path) -> None:
    project = Project(trained)
    info = replace(project.store("phantoms").info, intensity="local", window=0.5)
    path = trained / "conf/base/parameters/preprocessing.yml"
    given = path.read_text().replace("intensity: standardised", "intensity: local")
    path.write_text(given)
    found = project.environment("phantoms").preprocessing(info)
    assert str(found.scaling) == str(info.scaling) == "local, window 0.5"
    path.write_text(given.replace("window: 0.5", "window: 0.25"))
    with pytest.raises(UserError, match="has changed since its images were stored"):
        project.environment("phantoms").preprocessing(info)


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


def frozen(root: Path) -> Frozen:
    project = Project(root)
    environment = project.environment("phantoms")
    found = with_threshold(project, environment, load(project, environment, MODEL)).frozen
    assert found is not None
    return found


def test_normal_scores_and_threshold_come_from_the_evaluation(evaluated: Path) -> None:
    known = frozen(evaluated)
    assert (len(known.normals), len(known.test_normals)) == (3, 3)
    path = folder(evaluated, "phantoms", f"{MODEL}.evaluation") / "evaluation.json"
    row = json.loads(path.read_text())
    assert known.value == row["threshold"]["value"]


def test_the_scale_comes_from_normal_validation_images_alone(evaluated: Path) -> None:
    path = folder(evaluated, "phantoms", f"{MODEL}.scores") / "maps.npz"
    arrays, splits = dict(np.load(path)), split_table()
    chosen = splits.loc[(splits["split"] == "val") & (splits["label"] == 0), "image_id"]
    normal = np.isin(arrays["image_id"], chosen)
    expected = normal_scale(arrays["maps"][normal])
    assert frozen(evaluated).scale == expected
    np.testing.assert_allclose(
        (expected.low, expected.high), np.quantile(arrays["maps"][normal], [0.75, 0.99]), rtol=1e-3
    )
    arrays["maps"] = np.where(normal[:, None, None], arrays["maps"], 1000).astype(np.float16)
    np.savez(path, **arrays)
    (path.parent / MANIFEST).unlink()  # the change is meant
    assert frozen(evaluated).scale == expected


def test_without_an_evaluation_it_says_which_command_makes_one(trained: Path) -> None:
    with pytest.raises(NotEvaluated, match="`kedro run --pipeline anomaly_evaluation`"):
        frozen(trained)


def test_scores_of_an_older_model_are_not_used(evaluated: Path, republish) -> None:
    republish(evaluated, MODEL)
    with pytest.raises(
        NotEvaluated, match="nearest_neighbour on phantoms is not that of its newest"
    ):
        frozen(evaluated)


def test_a_threshold_of_other_images_is_not_used(evaluated: Path) -> None:
    path = evaluated / "data/05_model_input/phantoms/splits.parquet"
    splits = pd.read_parquet(path)
    first = splits.index[(splits["split"] == "val") & (splits["label"] == 0)][:2]
    splits.loc[first, "label"] = 1
    splits.to_parquet(path)
    with pytest.raises(NotEvaluated, match="is not that of its newest version"):
        frozen(evaluated)
