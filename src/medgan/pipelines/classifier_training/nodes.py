"""The arms: one classifier each, on the same real images, steps and seed; they differ in what is added to the real images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.contracts import BatchSource, TrainingSet
from medgan.evaluation.classification import evaluate_classifier
from medgan.images.config import AugmentationConfig
from medgan.images.loading import BatchStream, Concatenated, StoredImages, TensorImages
from medgan.images.splits import class_labels, training_rows
from medgan.images.store import ImageStore
from medgan.images.transforms import as_tensor
from medgan.models import PublishedModel, classifier
from medgan.pipelines.classifier_training.config import ARMS, Arm, ClassifierConfig
from medgan.plots.confusion import confusion_matrix
from medgan.tracking.progress import ProgressBar
from medgan.training.checkpoints import CheckpointFolder
from medgan.training.seeding import digest, seeded
from medgan.training.streaming import Chunk, finished, resumed

Arrays = Mapping[str, NDArray[Any]]


def train_arm(
    name: str,
    images: ImageStore,
    splits: pd.DataFrame,
    config: ClassifierConfig,
    network: str,
    augmentation: AugmentationConfig,
    seed: int,
    checkpoints: CheckpointFolder,
    synthetic: Arrays | None = None,
) -> Iterator[Chunk]:
    """Trains the classifier of one arm; resumable like every training. `synthetic` holds `images` (N, H, W, C) uint8 and `labels` (N,)."""
    arm = ARMS[name]
    key = _arm_key(arm, images, splits, config, network, augmentation, seed, synthetic)
    with seeded(seed, "classifier"):  # every arm starts from the same weights
        model = classifier.build(_model_config(config, network), images.spec)
    batches = _batches(arm, images, splits, augmentation, seed, synthetic)
    yield from resumed(model, batches, config.training, key, checkpoints, ProgressBar(name))


def publish_arm(
    name: str,
    images: ImageStore,
    splits: pd.DataFrame,
    config: ClassifierConfig,
    network: str,
    augmentation: AugmentationConfig,
    seed: int,
    checkpoints: CheckpointFolder,
    synthetic: Arrays | None = None,
) -> PublishedModel:
    """The classifier of one arm after its last step; no step is chosen, so no label of validation or test is used."""
    key = _arm_key(ARMS[name], images, splits, config, network, augmentation, seed, synthetic)
    state = finished(checkpoints, key, f"The arm {name}")
    card = {"arm": name, **asdict(ARMS[name]), "training": key, "images": images.key, "steps": dict(config.training.steps), "seed": seed}
    return PublishedModel("classifier", asdict(_model_config(config, network)), images.spec, state.weights(), card)


def evaluate_arm(
    name: str, published: PublishedModel, images: ImageStore, splits: pd.DataFrame, n_boot: int, seed: int
) -> tuple[dict[str, Any], Figure]:
    """The figures of one arm on the test split, and its confusion matrix."""
    test = splits[splits["split"] == "test"]
    classes = images.spec.classes
    read, model = StoredImages(images), published.build()
    rows = test["row"].to_numpy()
    parts = [model.probabilities(read(part)) for part in np.array_split(rows, max(1, len(rows) // 128))]  # type: ignore[operator]
    probabilities = torch.cat(parts).double().numpy()
    labels = class_labels(test, classes)
    known = bool(test["group_known"].all())
    row = evaluate_classifier(probabilities, labels, test["group_id"].to_numpy(), known, classes, n_boot, seed)
    row |= {"network": published.configuration["network"], "training": published.card}
    return row, confusion_matrix(np.array(row["confusion_matrix"]), classes, f"Arm: {name.replace('_', ' + ')}")


def compare_arms(images: ImageStore, *evaluations: dict[str, Any]) -> dict[str, Any]:
    """The section `classifiers` of the results."""
    return {"data": images.key, "rows": dict(zip(ARMS, evaluations, strict=True))}


def _batches(
    arm: Arm, images: ImageStore, splits: pd.DataFrame, augmentation: AugmentationConfig, seed: int, synthetic: Arrays | None
) -> BatchSource:
    chosen = training_rows(splits, TrainingSet.LABELLED, images.spec.classes)
    augment = augmentation.allowed if arm.augmented else ()
    if not arm.synthetic or synthetic is None:
        return BatchStream(StoredImages(images), chosen.rows, seed, chosen.labels, augment=augment)
    drawn = TensorImages(as_tensor(synthetic["images"]))
    stored = StoredImages(images)
    rows = np.concatenate([chosen.rows, len(stored) + np.arange(len(drawn))])
    labels = np.concatenate([chosen.labels, synthetic["labels"]]) if chosen.labels is not None else None
    return BatchStream(Concatenated([stored, drawn]), rows, seed, labels, augment=augment)


def _model_config(config: ClassifierConfig, network: str) -> classifier.Config:
    return classifier.Config(network, config.lr, config.weight_decay)


def _arm_key(
    arm: Arm,
    images: ImageStore,
    splits: pd.DataFrame,
    config: ClassifierConfig,
    network: str,
    augmentation: AugmentationConfig,
    seed: int,
    synthetic: Arrays | None,
) -> str:
    added = digest([hashlib.sha256(array.tobytes()).hexdigest() for array in synthetic.values()]) if synthetic is not None else None
    parts = splits[["row", "split", "category"]].astype(str).to_numpy().tolist()
    augment = list(augmentation.allowed) if arm.augmented else []
    return digest([asdict(arm), images.key, digest(parts), asdict(config), network, augment, seed, added])
