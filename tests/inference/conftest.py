"""Tiny projects with a detector that was trained, scored and evaluated by the pipelines' own nodes:
films in files, scans in volumes.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan import models
from medgan.contracts import Batch
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.protocol import Protocol
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore, write_store
from medgan.models import PublishedModel
from medgan.pipelines.anomaly_evaluation.scoring.arrays import anomaly_maps
from medgan.pipelines.preprocessing.nodes import build_images, split_images
from medgan.pipelines.shared import EvaluationData
from medgan.project.environment import Environment
from medgan.sources.folder import FolderSource
from tests.app.conftest import evaluated, film, republish, trained  # noqa: F401  # fixtures
from tests.conftest import ROOT
from tests.faults.making import nifti
from tests.images.known import tables
from tests.inference.artifacts import (
    leave,
    leave_evaluation,
    leave_scores,
    leave_trained,
)

MODEL = "nearest_neighbour"
FIELDS = {"category": ["^([^/]+)/"], "group_id": ["/([a-z]+[0-9]+)"]}
PARAMETERS = """
preprocessing: {crop: {top: 0.1, centre: true}, split: by_patient, fractions: {train: 0.4, val: 0.3, test: 0.3}}
evaluation: {batch_size: 7}
"""
CATALOG = """
source:
  type: medgan.datasets.images.ImageSourceDataset
  kind: folder
  location: "${runtime_params:source, null}"
  reading: %s
"""
SLICES = "{slices: {start: 0.2, stop: 0.8}}"


def drawn(seed: int, sick: bool, height: int = 52, width: int = 44) -> np.ndarray:
    """An oblong film (h, w), with a bright square where it is sick."""
    image = film(seed, 60)[:height, :width, 0].copy()
    if sick:
        image[18:30, 14:28] = 255
    return image


def add_environment(root: Path, name: str, reading: str) -> None:
    folder = root / "conf" / name
    folder.mkdir(parents=True)
    (folder / "globals.yml").write_text(f"dataset: {name}\n")
    (folder / "catalog.yml").write_text(CATALOG % reading)
    (folder / "parameters.yml").write_text(PARAMETERS)


def train_and_evaluate(root: Path, name: str) -> None:
    """What `kedro run --env NAME` leaves of one detector, by the same functions."""
    environment = Environment(root / "conf", name)
    parameters = environment.parameters()
    source = FolderSource(str(root / name), FIELDS, reading=environment.reading()).open()
    manifest = tables(source, parameters["ingestion"])[0]
    plan = build_images(source, manifest, parameters["preprocessing"], parameters["ingestion"])
    model_input = root / "data/05_model_input" / name
    write_store(model_input / "images", plan.images(), plan.info)
    store = ImageStore.open(model_input / "images")
    splits = split_images(manifest, parameters["preprocessing"], 0)[0]
    leave(root, name, "manifest", manifest)
    leave(root, name, "splits", splits)
    normals = splits.loc[(splits["split"] == "train") & (splits["label"] == 0), "row"]
    published = publish(root, name, store, normals.to_numpy())
    config = parameters["evaluation"]
    data = EvaluationData(store, splits, config, 0)
    arrays = anomaly_maps(published, data, None)
    table = data.rows("val", "test")[["image_id", "split"]].assign(score=arrays["score"])
    leave_scores(root, name, MODEL, table.reset_index(drop=True), arrays)
    row = evaluate_detector(table, splits, Protocol(n_resamples=100))
    leave_evaluation(root, name, MODEL, table, row)


def publish(root: Path, name: str, store: ImageStore, rows: np.ndarray) -> PublishedModel:
    module = models.load(MODEL)
    config = module.Config()
    model = module.build(config, store.spec)
    model.fit(iter([Batch(StoredImages(store)(rows), None)]))
    published = PublishedModel(
        MODEL, asdict(config), store.spec, model.state_dict(), {"images": store.key, "seed": 0}
    )
    leave_trained(root, name, published)
    return published


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it was made; tests get copies of it."""
    root = tmp_path_factory.mktemp("scoring")
    shutil.copytree(ROOT / "conf" / "base", root / "conf" / "base")
    shutil.copy(ROOT / "pyproject.toml", root)
    add_environment(root, "films", "{}")
    add_environment(root, "scans", SLICES)
    for number in range(30):
        kind = "sick" if number % 3 == 0 else "normal"
        for folder in (root / "films" / kind, root / "scans" / kind):
            folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn(number, kind == "sick")).save(
            root / "films" / kind / f"p{number}.png"
        )
        voxels = np.stack(
            [drawn(100 * number + place, kind == "sick") for place in range(5)], axis=2
        )
        nifti(root / "scans" / kind / f"s{number}.nii.gz", voxels.astype(np.int16))
    for name in ("films", "scans"):
        train_and_evaluate(root, name)
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, and the working directory."""
    root = tmp_path / "project"
    shutil.copytree(made, root)
    monkeypatch.chdir(root)
    return root
