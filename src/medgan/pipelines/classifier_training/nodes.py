"""The arms: one classifier each, with the same real images, steps, seed and initial weights; only
what is added to the images differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import TrainingSet
from medgan.evaluation.categories import ClassifiedImages
from medgan.evaluation.classifier import evaluate_classifier
from medgan.evaluation.compare_runs import COLUMNS
from medgan.evaluation.results import ClassifierResult, Section
from medgan.images.config import AugmentationConfig
from medgan.images.labels import class_labels, one_finding
from medgan.images.loading import (
    VERSION,
    BatchStream,
    Concatenated,
    DrawnImages,
    StoredImages,
)
from medgan.images.splits import TrainingRows, data_hash, training_rows
from medgan.images.store import ImageStore
from medgan.pipelines.classifier_training.config import ARMS, ClassifierConfig
from medgan.pipelines.outputs import Classification, Figures, Trained
from medgan.plots.detectors import confusion_matrix
from medgan.training.job import TrainingJob

Arrays = Mapping[str, NDArray[Any]]
AT_ONCE = 128


@dataclass(frozen=True)
class ArmSettings:
    """Settings that determine the training of an arm."""

    config: ClassifierConfig
    network: str
    augmentation: AugmentationConfig
    seed: int


def plan_arm(name: str, images: ImageStore, splits: pd.DataFrame, *inputs: Any) -> TrainingJob:
    """Plan the training of one arm.

    Args:
        name: of the arm.
        images: the store.
        splits: with the labels.
        inputs: the fields of `ArmSettings`, then, for an arm that takes them, the `Synthetic`
            images that are added to the real training images.
    """
    from medgan.models import classifier

    settings, added = ArmSettings(*inputs[:4]), inputs[4:]
    labelled = training_rows(one_finding(splits), TrainingSet.LABELLED, images.spec.classes)
    synthetic = None
    if added and labelled.labels is not None:
        synthetic = with_real_prior(added[0].synthetic, labelled.labels)
    augment = settings.augmentation.allowed if ARMS[name].augmented else ()
    hashes = synthetic and [
        hashlib.sha256(array.tobytes()).hexdigest() for array in synthetic.values()
    ]
    return TrainingJob(
        name=name,
        model="classifier",
        config=classifier.Config(
            settings.network, settings.config.lr, settings.config.weight_decay
        ),
        spec=images.spec,
        batches=_batches(images, labelled, settings.seed, augment, synthetic),
        training=settings.config.training.in_steps(len(labelled.rows)),
        seed=settings.seed,
        data=data_hash(images, splits, VERSION, augment, hashes),
        initial="classifier",
        card={
            "arm": name,
            **asdict(ARMS[name]),
            "synthetic_images": 0 if synthetic is None else len(synthetic["labels"]),
        },
    )


def with_real_prior(synthetic: Arrays, real: NDArray[np.int64]) -> Arrays:
    """Take the first synthetic images of each class, as many as there are in the proportions of
    the real labels (n,): with other proportions an arm would differ in its prior too.
    """
    drawn = np.asarray(synthetic["labels"])
    there, wanted = (
        np.bincount(of, minlength=1 + max(drawn.max(), real.max())) for of in (drawn, real)
    )
    factor = min(there[wanted > 0] / wanted[wanted > 0])
    places = [np.flatnonzero(drawn == label)[: int(factor * n)] for label, n in enumerate(wanted)]
    chosen = np.sort(np.concatenate(places))
    return {name: np.asarray(array)[chosen] for name, array in synthetic.items()}


def _batches(
    images: ImageStore,
    chosen: TrainingRows,
    seed: int,
    augment: tuple[str, ...],
    synthetic: Arrays | None,
) -> BatchStream:
    stored = StoredImages(images)
    if synthetic is None or chosen.labels is None:
        return BatchStream(stored, chosen.rows, seed, chosen.labels, augment=augment)
    rows = np.concatenate([chosen.rows, len(stored) + np.arange(len(synthetic["labels"]))])
    labels = np.concatenate([chosen.labels, synthetic["labels"]])
    drawn = DrawnImages(synthetic["images"], images.info.scaling, images.spec.size)
    return BatchStream(Concatenated([stored, drawn]), rows, seed, labels, augment=augment)


def evaluate_arm(
    trained: Trained, images: ImageStore, splits: pd.DataFrame, n_resamples: int, seed: int
) -> Classification:
    """Evaluate one arm on the test split.

    Its test scores have the form of a detector's: the score is 1 - p(normal), and `called` whether
    the most probable category is an anomalous one.
    """
    import torch

    published = trained.model
    test = one_finding(splits[splits["split"] == "test"])
    classes, read, model = images.spec.classes, StoredImages(images), published.build()
    parts = np.split(test["row"].to_numpy(), range(AT_ONCE, len(test), AT_ONCE))
    probabilities = torch.cat([model.probabilities(read(rows)) for rows in parts]).double().numpy()  # type: ignore[operator]
    groups, known = test["group_id"].to_numpy(), test["group_known"].to_numpy()
    classified = ClassifiedImages(
        probabilities, class_labels(test, classes), groups, known, classes
    )
    result = replace(
        evaluate_classifier(classified, n_resamples, seed),
        network=published.configuration["network"],
        synthetic_images=published.card["synthetic_images"],
    )
    title = f"Arm: {published.card['arm'].replace('_', ' + ')}"
    called = np.minimum(classified.decisions, 1)
    scored = test.assign(unit=test["image_id"], score=1 - probabilities[:, 0], called=called)[
        list(COLUMNS)
    ]
    matrix = confusion_matrix(np.array(result.confusion_matrix), classes, title)
    return Classification(result, matrix, scored.reset_index(drop=True))


def compare_arms(
    images: ImageStore,
    splits: pd.DataFrame,
    arms: Mapping[str, Classification],
    left_out: Mapping[str, str] | None = None,
) -> tuple[Section[ClassifierResult], Figures]:
    """Collect the section `classifiers` of the results, and the confusion matrices."""
    rows = {name: arm.evaluation for name, arm in arms.items()}
    matrices = Figures({name: arm.confusion for name, arm in arms.items()})
    return Section(data_hash(images, splits), rows, left_out or {}), matrices
