"""A tiny store whose anomalies are bright squares, its splits, and a detector that is fitted to
it.
"""

import numpy as np
import pandas as pd
import pytest

from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Trained
from medgan.pipelines.shared import EvaluationData

SIDE, COUNT = 28, 90
SQUARE = (slice(5, 15), slice(8, 18))
"""Where the anomaly lies in every anomalous image."""
CARD = {
    "published_step": 40,
    "planned_steps": 80,
    "choice": "weights of the highest AUCp",
    "labels_used": "none",
    "figures": {"aucp": 0.7, "diversity": 0.123},
}


@pytest.fixture
def splits():
    patient = np.random.default_rng(0).integers(0, 40, COUNT)
    category = np.where(patient % 2, "viral", "normal")
    return pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(COUNT)],
            "group_id": [f"p{number}" for number in patient],
            "group_known": True,
            "label": (category == "viral").astype(int),
            "category": category,
            "split": np.array(["train", "val", "test"])[(patient // 2) % 3],
            "row": np.random.default_rng(1).permutation(COUNT),
            "provenance": "real",
            "role": None,
            "pixel_hash": [f"h{number}" for number in range(COUNT)],
        }
    )


@pytest.fixture
def images(tmp_path, splits):
    rng = np.random.default_rng(2)
    pixels = np.linspace(20, 120, SIDE, dtype=np.uint8)[None, :, None, None] + rng.integers(
        0, 30, (COUNT, SIDE, SIDE, 1), dtype=np.uint8
    )
    for row in splits.loc[splits["label"] == 1, "row"]:
        pixels[(row, *SQUARE)] += 90
    write_store(
        tmp_path / "images",
        iter(pixels),
        StoreInfo(COUNT, SIDE, SIDE, 1, "standardised", ("normal", "viral")),
    )
    return ImageStore.open(tmp_path / "images")


@pytest.fixture
def published(images, splits):
    normals = splits.loc[(splits["split"] == "train") & (splits["label"] == 0), "row"].to_numpy()
    memory = StoredImages(images)(normals)
    return PublishedModel("nearest_neighbour", {}, images.spec, {"memory": memory}, CARD)


def nothing(kind, model=""):
    """No earlier run."""


def earlier(**outputs):
    """What the last run has left, by kind."""
    return lambda kind, model="": outputs.get(kind)


def trained(model):
    """A published model as the catalog hands it on."""
    return Trained(model, pd.DataFrame({"step": []}), b"")


def data_of(images, splits, config, seed=0):
    """What every evaluation needs."""
    return EvaluationData(images, splits, config, seed)
