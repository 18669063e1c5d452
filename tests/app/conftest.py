"""A tiny project: a store of 32 px images, three published models with random weights, and what an
evaluation leaves behind.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from medgan import models
from medgan.contracts import Batch, ImageSpec
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.protocol import Protocol
from medgan.evaluation.scores import score_images
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.models import PublishedModel
from medgan.project.artifacts import Project
from medgan.training.runtime import seeded
from tests.inference.artifacts import leave_evaluation, leave_scores, leave_trained

ROOT = Path(__file__).parents[2]
CLASSES = ("normal", "bacterial", "viral")
SMALL = {
    "acgan": {"latent_dim": 8, "width": 4},
    "dcgan": {"latent_dim": 8, "width": 4, "search_steps": 2, "warm_start": 4},
    "nearest_neighbour": {},
}
IMAGES = 12


def film(seed: int, side: int = 32) -> np.ndarray:
    """A smooth grey image (side, side, 1)."""
    coarse = torch.rand(1, 1, 5, 5, generator=torch.Generator().manual_seed(seed))
    fine = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    return (fine[0, 0] * 255).to(torch.uint8).numpy()[:, :, None]


def publish(root: Path, name: str, store: ImageStore, seed: int = 1) -> PublishedModel:
    module = models.load(name)
    config = module.Config(**SMALL[name])
    with seeded(seed, name):
        model = module.build(config, ImageSpec(32, 1, CLASSES))
    if name == "nearest_neighbour":
        normals = StoredImages(store)(np.arange(IMAGES // 2 - seed))
        model.fit(iter([Batch(normals, torch.Generator())]))
    weights = {
        key: value * 4 if key.startswith("generator") and value.ndim > 1 else value
        for key, value in model.state_dict().items()
    }
    published = PublishedModel(
        name, asdict(config), model_spec(), weights, {"images": store.key, "seed": 0}
    )
    leave_trained(root, "phantoms", published)
    return published


def model_spec() -> ImageSpec:
    return ImageSpec(32, 1, CLASSES)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A project after preprocessing and training, before any evaluation."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    folder = tmp_path / "data/05_model_input/phantoms"
    info = StoreInfo(IMAGES, 32, 32, 1, "standardised", CLASSES)
    write_store(folder / "images", (film(index) for index in range(IMAGES)), info)
    store = ImageStore.open(folder / "images")
    for name in SMALL:
        publish(tmp_path, name, store)
    return tmp_path


def split_table() -> pd.DataFrame:
    rows = range(IMAGES)
    return pd.DataFrame(
        {
            "image_id": [f"image-{row}" for row in rows],
            "split": ["train"] * 4 + ["val"] * 4 + ["test"] * 4,
            "label": [0] * 4 + [0, 0, 0, 1] * 2,
            "row": list(rows),
            "role": None,
            "group_id": [f"patient-{row}" for row in rows],
            "group_known": True,
            "category": [*["normal"] * 7, "viral", *["normal"] * 3, "viral"],
        }
    )


def evaluate(root: Path, name: str) -> None:
    """Leaves the scores, maps and results of a detector as anomaly_evaluation does."""
    project = Project(root)
    store, model = project.store("phantoms"), project.published("phantoms", name)
    splits = split_table()
    splits.to_parquet(root / "data/05_model_input/phantoms/splits.parquet")
    chosen = splits[splits["split"] != "train"]
    scores, maps, _ = score_images(model.build(), StoredImages(store), chosen["row"].to_numpy())
    table = chosen[["image_id", "split"]].assign(score=scores, key="key")
    arrays = {
        "image_id": np.array(chosen["image_id"].tolist()),
        "score": scores,
        "maps": maps,
        "key": np.array("key"),
    }
    leave_scores(root, "phantoms", name, table, arrays)
    row = evaluate_detector(table, splits, Protocol(n_resamples=20))
    leave_evaluation(root, "phantoms", name, table, row)


@pytest.fixture
def evaluated(trained: Path) -> Path:
    """The same after the evaluation of nearest_neighbour."""
    evaluate(trained, "nearest_neighbour")
    return trained


@pytest.fixture
def republish() -> Callable[[Path, str], PublishedModel]:
    """Publishes a model with other weights."""

    def run(root: Path, name: str) -> PublishedModel:
        return publish(root, name, Project(root).store("phantoms"), seed=2)

    return run
