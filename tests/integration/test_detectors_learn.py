"""Real films: a few hundred steps on 500 images of PneumoniaMNIST, and every detector is better
than chance on validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
import torch

from medgan import models
from medgan.contracts import ImageSpec, Pretrained, TrainingSet
from medgan.images.loading import BatchStream, TensorImages
from medgan.images.transforms import Intensity, prepare
from medgan.stats.bootstrap import Estimate, interval
from medgan.stats.classification import Predictions, auroc_of
from medgan.training.loop import train
from medgan.training.runtime import Runtime, generator, seeded
from medgan.training.settings import TrainingConfig
from tests.conftest import DATA
from tests.integration.chosen import trained_in_suite

FILE = DATA / "pneumoniamnist" / "pneumoniamnist.npz"
WEIGHTS = DATA / "weights" / "squeezenet1_1_caffe_features.pt"
SMALL = {
    "latent_dim": 16,
    "width": 8,
    "search_steps": 20,
    "warm_start": 128,
    "n_critic": 1,
    "encoder_lr": 5e-4,
    "side": 48,
    "score": "mean",
}
"""Fields that configurations share; each model takes those that it knows."""
IMAGES, STEPS = 500, 200


@dataclass(frozen=True)
class Overrides:
    """What a model needs beside SMALL and STEPS."""

    config: Mapping[str, Any]
    steps: Mapping[str, int]


OVERRIDES = {
    "fanogan": Overrides({"lr": 5e-4}, {"adversarial": 60, "encoder": 100}),
}


def learned(name: str, data: Mapping[str, np.ndarray]) -> Estimate:
    """Validation AUROC with its interval, of a model trained on the first 500 training images that
    its training set may hold.
    """
    module, own = models.load(name), OVERRIDES.get(name, Overrides({}, {}))
    known = {field.name for field in fields(module.Config)}
    with seeded(0, name):
        model = module.build(
            module.Config(
                **{key: value for key, value in (SMALL | dict(own.config)).items() if key in known}
            ),
            ImageSpec(32, 1),
        )
    if isinstance(model, Pretrained):
        model.load_pretrained(torch.load(WEIGHTS, weights_only=True))
    normal, anomalous = (np.flatnonzero(data["train_labels"][:, 0] == label) for label in (0, 1))
    if module.TRAINING_SET is TrainingSet.MIX:
        quarter = IMAGES // 4
        rows, mix = (
            normal[: 2 * quarter],
            np.concatenate([normal[2 * quarter : 3 * quarter], anomalous[:quarter]]),
        )
    else:
        rows, mix = normal[:IMAGES], None
    batches = BatchStream(TensorImages(films(data, "train")), rows, 0, unlabelled_rows=mix)
    steps = {stage: own.steps.get(stage, STEPS) for stage in model.stages()}
    list(
        train(
            model,
            batches,
            TrainingConfig(steps, batch_size=16),
            None,
            Runtime(torch.device("cpu")),
        )
    )
    scores = torch.cat(
        [model.score(part, generator(0)).image_scores for part in films(data, "val").split(128)]
    ).numpy()
    return interval(
        auroc_of(Predictions(data["val_labels"][:, 0], scores, scores)),
        np.arange(len(scores)),
        n_resamples=500,
        seed=0,
    )


def films(data: Mapping[str, np.ndarray], part: str) -> torch.Tensor:
    return prepare(
        torch.from_numpy(data[f"{part}_images"][..., None]), Intensity("standardised"), 32
    )


@pytest.mark.skipif(
    not FILE.exists(), reason="PneumoniaMNIST is not on this machine (../shared/data)"
)
@pytest.mark.parametrize("name", trained_in_suite(models.detectors()))
def test_a_few_hundred_steps_lift_the_interval_above_chance(name: str) -> None:
    with np.load(FILE) as file:
        auroc = learned(name, dict(file))
    assert auroc.low is not None
    assert auroc.low > 0.5, auroc
