"""The arms: one classifier each, with the same real images, steps, seed and initial weights; only
what is added to the images differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.contracts import TrainingSet
from medgan.evaluation.classifier import evaluate_classifier
from medgan.evaluation.compare_runs import COLUMNS
from medgan.images.config import AugmentationConfig
from medgan.images.labels import class_labels, one_finding
from medgan.images.loading import BatchStream, Concatenated, StoredImages, TensorImages
from medgan.images.splits import data_hash, training_rows
from medgan.images.store import ImageStore
from medgan.images.transforms import as_tensor, pad_square
from medgan.models import PublishedModel, classifier
from medgan.pipelines.classifier_training.config import ARMS, ClassifierConfig
from medgan.plots.detectors import confusion_matrix
from medgan.training.job import TrainingJob

Arrays = Mapping[str, NDArray[Any]]
AT_ONCE = 128


def plan_arm(
    name: str,
    images: ImageStore,
    splits: pd.DataFrame,
    config: ClassifierConfig,
    network: str,
    augmentation: AugmentationConfig,
    seed: int,
    synthetic: Arrays | None = None,
) -> TrainingJob:
    """The job of one arm. `synthetic` holds `images` (N, H, W, C) uint8 and `labels` (N,); it is
    added to the real training images.
    """
    augment = augmentation.allowed if ARMS[name].augmented else ()
    added = (
        None
        if synthetic is None
        else [hashlib.sha256(array.tobytes()).hexdigest() for array in synthetic.values()]
    )
    return TrainingJob(
        name=name,
        model="classifier",
        config=classifier.Config(network, config.lr, config.weight_decay),
        spec=images.spec,
        batches=_batches(images, splits, seed, augment, synthetic),
        training=config.training,
        seed=seed,
        data=data_hash(images, splits, augment, added),
        initial="classifier",
        card={
            "arm": name,
            **asdict(ARMS[name]),
            "synthetic_images": 0 if synthetic is None else len(synthetic["labels"]),
        },
    )


def _batches(
    images: ImageStore,
    splits: pd.DataFrame,
    seed: int,
    augment: tuple[str, ...],
    synthetic: Arrays | None,
) -> BatchStream:
    chosen = training_rows(one_finding(splits), TrainingSet.LABELLED, images.spec.classes)
    stored = StoredImages(images)
    if synthetic is None or chosen.labels is None:
        return BatchStream(stored, chosen.rows, seed, chosen.labels, augment=augment)
    rows = np.concatenate([chosen.rows, len(stored) + np.arange(len(synthetic["labels"]))])
    labels = np.concatenate([chosen.labels, synthetic["labels"]])
    drawn = TensorImages(pad_square(as_tensor(synthetic["images"]), images.spec.size))
    return BatchStream(Concatenated([stored, drawn]), rows, seed, labels, augment=augment)


def evaluate_arm(
    published: PublishedModel, images: ImageStore, splits: pd.DataFrame, n_resamples: int, seed: int
) -> tuple[dict[str, Any], Figure, pd.DataFrame]:
    """The figures of one arm on the test split, its confusion matrix, and its test images in the
    form of a detector's `test_scores`: the score is 1 - p(normal), and `called` whether the most
    probable category is an anomalous one.
    """
    test = one_finding(splits[splits["split"] == "test"])
    classes, read, model = images.spec.classes, StoredImages(images), published.build()
    parts = np.split(test["row"].to_numpy(), range(AT_ONCE, len(test), AT_ONCE))
    probabilities = torch.cat([model.probabilities(read(rows)) for rows in parts]).double().numpy()  # type: ignore[operator]
    groups, known = test["group_id"].to_numpy(), test["group_known"].to_numpy()
    row = evaluate_classifier(
        probabilities, class_labels(test, classes), groups, known, classes, n_resamples, seed
    )
    row |= {
        "network": published.configuration["network"],
        "synthetic_images": published.card["synthetic_images"],
    }
    title = f"Arm: {published.card['arm'].replace('_', ' + ')}"
    called = (probabilities.argmax(1) > 0).astype(np.int64)
    scored = test.assign(unit=test["image_id"], score=1 - probabilities[:, 0], called=called)[
        list(COLUMNS)
    ]
    return (
        row,
        confusion_matrix(np.array(row["confusion_matrix"]), classes, title),
        scored.reset_index(drop=True),
    )


def compare_arms(
    images: ImageStore, splits: pd.DataFrame, *evaluations: dict[str, Any]
) -> dict[str, Any]:
    """The section `classifiers` of the results."""
    return {"data": data_hash(images, splits), "rows": dict(zip(ARMS, evaluations, strict=True))}
