"""The phantoms keep detectors honest: nothing to find gives 0.5, more to find gives more, and only
pixels count.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from medgan import models
from medgan.contracts import ImageSpec, Pretrained, TrainingSet
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.protocol import Protocol
from medgan.images.config import IngestionConfig, PreprocessingConfig
from medgan.images.loading import BatchStream, TensorImages
from medgan.images.resizing import fit_square
from medgan.images.splits import assign_roles, split_by_patient, training_rows
from medgan.images.transforms import prepare
from medgan.sources.phantoms import PhantomSource
from medgan.training.loop import train
from medgan.training.runtime import Runtime, generator, seeded
from medgan.training.settings import TrainingConfig
from tests.conftest import DATA
from tests.images.known import tables
from tests.integration.chosen import trained_in_suite

WEIGHTS = DATA / "weights" / "squeezenet1_1_caffe_features.pt"

CLASSES = ("normal", "bacterial", "viral")
SPEC = ImageSpec(32, 1, CLASSES)
SMALL = {
    "latent_dim": 16,
    "width": 8,
    "search_steps": 20,
    "warm_start": 128,
    "n_critic": 1,
    "encoder_lr": 5e-4,
    "residual_blocks": 1,
    "side": 64,
}
STEPS = {"dcgan": 250, "fanogan": 30}
"""Enough to be above chance on phantoms of a large effect; 50 for the others."""


@cache
def phantoms(effect: float, seed: int = 0) -> tuple[torch.Tensor, pd.DataFrame]:
    """(n, 1, 32, 32) images and their splits with roles: 400 images of 200 patients."""
    source = PhantomSource(images=400, patients=200, effect=effect, seed=seed).open()
    manifest, _, _ = tables(source, IngestionConfig())
    splits = assign_roles(
        split_by_patient(manifest, {"train": 0.5, "val": 0.15, "test": 0.35}, seed=0)
    )
    pixels = np.stack([fit_square(source.read(path).pixels, 32, 1) for path in manifest["path"]])
    return prepare(torch.from_numpy(pixels), PreprocessingConfig().scaling, 32), splits


def auroc_of(name: str, effect: float, seed: int = 0) -> Any:
    """The AUROC of a detector trained for a few seconds on phantoms of one effect."""
    images, splits = phantoms(effect, seed)
    module = models.load(name)
    known = {field.name for field in fields(module.Config)}
    with seeded(0, name):
        model = module.build(
            module.Config(**{key: value for key, value in SMALL.items() if key in known}), SPEC
        )
    if isinstance(model, Pretrained):
        model.load_pretrained(torch.load(WEIGHTS, weights_only=True))
    chosen = training_rows(splits, module.TRAINING_SET, CLASSES)
    batches = BatchStream(
        TensorImages(images), chosen.rows, 0, chosen.labels, chosen.unlabelled_rows
    )
    config = TrainingConfig(dict.fromkeys(model.stages(), STEPS.get(name, 50)), batch_size=16)
    list(train(model, batches, config, None, Runtime(torch.device("cpu"))))
    judged = splits[splits["split"] != "train"]
    scores = model.score(images[judged["row"].to_list()], generator(0)).image_scores.numpy()
    table = pd.DataFrame(
        {"image_id": judged["image_id"], "split": judged["split"], "score": scores}
    )
    sees_mix = module.TRAINING_SET is TrainingSet.MIX
    return evaluate_detector(table, splits, Protocol(n_resamples=500), sees_mix).auroc


@pytest.mark.parametrize(
    "name", trained_in_suite(models.detectors(), also_long=["dcgan", "fanogan", "healthygan"])
)
def test_without_an_effect_the_interval_covers_chance_and_auroc_rises_with_the_effect(
    name: str,
) -> None:
    if name in models.pretrained() and not WEIGHTS.exists():
        pytest.skip("the weights of SqueezeNet are not on this machine (../shared/data)")
    nothing = [auroc_of(name, 0.0, seed) for seed in range(3)]
    covered = sum(auroc.low <= 0.5 <= auroc.high for auroc in nothing)
    # A 95 % interval may miss once in 20; two misses in three would be a bias.
    assert covered >= 2, nothing
    clear = auroc_of(name, 2.5)
    assert clear.value > nothing[0].value + 0.1
    assert clear.low > 0.5


@pytest.mark.parametrize("training_set", [TrainingSet.NORMAL, TrainingSet.MIX])
def test_no_detector_sees_labels_age_or_site(training_set: TrainingSet) -> None:
    images, splits = phantoms(1.0)
    rng = np.random.default_rng(0)
    blind_to = ("sex", "age", "site", "view", "image_id")
    poisoned = splits.assign(
        **{column: rng.permutation(splits[column].to_numpy()) for column in blind_to}
    )
    anomalous = poisoned["label"] == 1
    poisoned.loc[anomalous, "category"] = rng.permutation(
        poisoned.loc[anomalous, "category"].to_numpy()
    )

    def batch(table: pd.DataFrame) -> Any:
        chosen = training_rows(table, training_set, CLASSES)
        return BatchStream(
            TensorImages(images), chosen.rows, 0, chosen.labels, chosen.unlabelled_rows
        ).draw("any", 3, 16)

    seen, clean = batch(poisoned), batch(splits)
    assert seen.labels is None
    assert torch.equal(seen.images, clean.images)
    assert (seen.unlabelled is None) == (training_set is TrainingSet.NORMAL)
    if seen.unlabelled is not None:
        assert torch.equal(seen.unlabelled, clean.unlabelled)


@pytest.mark.parametrize("name", models.detectors())
def test_every_detector_trains_without_labels(name: str) -> None:
    assert models.load(name).TRAINING_SET is not TrainingSet.LABELLED


def test_file_order_carries_nothing() -> None:
    images, splits = phantoms(1.0)
    module = models.load("nearest_neighbour")
    model = module.build(module.Config(), SPEC)
    rows = training_rows(splits, TrainingSet.NORMAL, CLASSES).rows
    judged = splits.loc[splits["split"] == "test", "row"].to_numpy()
    scores = []
    for order in (np.arange(len(rows)), np.random.default_rng(0).permutation(len(rows))):
        model.fit(BatchStream(TensorImages(images), rows[order], 0).epoch(64))
        turned = (
            np.random.default_rng(1).permutation(len(judged))
            if len(scores)
            else np.arange(len(judged))
        )
        found = torch.empty(len(judged))
        found[torch.from_numpy(turned)] = model.score(
            images[judged[turned]], generator(0)
        ).image_scores
        scores.append(found)
    torch.testing.assert_close(scores[0], scores[1])
