"""Real films: the reference figure of the nearest neighbour on PneumoniaMNIST's official splits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from medgan.contracts import ImageSpec
from medgan.images.loading import BatchStream, TensorImages
from medgan.images.transforms import Intensity, prepare
from medgan.models import nearest_neighbour
from tests.conftest import ROOT

FILE = ROOT.parent / "shared" / "data" / "pneumoniamnist" / "pneumoniamnist.npz"


@pytest.mark.skipif(
    not FILE.exists(), reason="PneumoniaMNIST is not on this machine (../shared/data)"
)
def test_nearest_neighbour_reaches_its_reference() -> None:
    data = np.load(FILE)

    def images(part: str) -> torch.Tensor:
        return prepare(
            torch.from_numpy(data[f"{part}_images"][..., None]), Intensity("standardised"), 32
        )

    model = nearest_neighbour.build(nearest_neighbour.Config(), ImageSpec(32, 1))
    model.fit(
        BatchStream(
            TensorImages(images("train")), np.flatnonzero(data["train_labels"][:, 0] == 0), 0
        ).epoch(256)
    )
    scores = torch.cat(
        [
            model.score(part, torch.Generator()).image_scores
            for part in torch.split(images("test"), 128)
        ]
    )
    assert roc_auc_score(data["test_labels"][:, 0], scores) == pytest.approx(0.85, abs=0.01)
