"""What an arm learns: its task, and its images, real, synthetic or both, in given proportions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import NORMAL, PRETRAINING, BatchSource
from medgan.errors import UserError
from medgan.evaluation.categories import ClassifiedImages
from medgan.images.labels import class_labels, one_finding
from medgan.images.loading import (
    BatchStream,
    Concatenated,
    DrawnImages,
    StagedBatches,
    StoredImages,
)
from medgan.images.splits import TrainingRows
from medgan.images.store import ImageStore
from medgan.pipelines.arms import Arm
from medgan.pipelines.classifier_training.config import ClassifierConfig
from medgan.pipelines.outputs import Arrays

Labels = NDArray[np.int64]


def _of_each(labels: Labels, classes: int) -> Labels:
    """Count the images of each class, given labels (n,) or multi-hot ones (n, K)."""
    counts: Labels = (
        labels.sum(0).astype(np.int64)
        if labels.ndim == 2
        else np.bincount(labels, minlength=classes)
    )
    return counts


def _lacking(real: Labels) -> tuple[Labels, float]:
    return real.max() - real, 1.0


PRIORS: Mapping[str, Callable[[Labels], tuple[Labels, float]]] = {
    "real": lambda real: (real, np.inf),
    "balanced": _lacking,
}
"""`synthetic_prior` -> the wanted synthetic images of each class, given the real ones, and how many
times as many may be taken.
"""


def with_prior(
    synthetic: Arrays,
    real: Labels,
    prior: str = "real",
    share: float | None = None,
    *,
    one_class: bool = False,
) -> dict[str, NDArray[Any]]:
    """Take the first synthetic images of each class: with other proportions than wanted an arm
    would differ in its prior too.

    Args:
        synthetic: `images` and `labels` (N,).
        real: labels (n,) of the real images, or multi-hot (n, K).
        prior: a key of PRIORS.
        share: of all images that is to be synthetic; None takes as many as there are.
        one_class: whether the images may be of one class, which they then fill up.

    Raises:
        UserError: too few were drawn of a class, or none is lacking of the one.
    """
    drawn = np.asarray(synthetic["labels"])
    classes = real.shape[1] if real.ndim == 2 else 1 + max(drawn.max(), real.max())
    there, counts = (_of_each(labels, classes) for labels in (drawn, real))
    wanted, most = PRIORS[prior](counts)
    if one_class:
        wanted = np.where(there > 0, wanted, 0)
        if prior == "real" or not wanted.any():
            raise UserError(
                "The synthetic images are of one class, so they can fill it up where it is rarer "
                "than another, and nothing else: set classifier_training.synthetic_prior to "
                "balanced, or synthesis.source_class to a rarer class."
            )
    possible = min([most, *(there[wanted > 0] / wanted[wanted > 0])])
    factor = possible
    if share is not None:
        factor = len(real) * share / (1 - share) / max(1, wanted.sum())
    if factor > possible or factor == 0:
        label = int(np.argmax(wanted * factor - there))
        raise UserError(
            f"classifier_training wants {max(1, round(factor * wanted[label]))} synthetic "
            f"images of class {label}, and {there[label]} are there: set synthesis.images_per_class "
            "higher, or classifier_training.synthetic_share or synthetic_prior to others."
        )
    places = [
        np.flatnonzero(drawn == label)[: int(factor * n)] for label, n in enumerate(wanted.tolist())
    ]
    chosen = np.sort(np.concatenate(places))
    return {name: np.asarray(synthetic[name])[chosen] for name in ("images", "labels")}


@dataclass(frozen=True)
class Balance:
    """How classes of different sizes are made to count alike."""

    order: Labels
    """Places of the images that are drawn, some of them several times."""
    weights: tuple[float, ...] = ()
    """Of each class in the loss; empty: all alike."""


def _weights(labels: Labels, classes: int) -> Balance:
    counts = np.maximum(_of_each(labels, classes), 1)
    several = labels.ndim == 2
    weights = (len(labels) - counts) / counts if several else len(labels) / (classes * counts)
    return Balance(np.arange(len(labels)), tuple(weights.round(6).tolist()))


def _sampling(labels: Labels, classes: int) -> Balance:
    if labels.ndim == 2:
        raise UserError(
            "`classifier_training.balance: sampling` draws each class equally often, which images "
            "of several findings do not allow: set `weights`, or `none`."
        )
    each = [np.flatnonzero(labels == label) for label in range(classes)]
    most = max(map(len, each))
    return Balance(np.concatenate([np.resize(of, most) for of in each if len(of)]))


BALANCES: Mapping[str, Callable[[Labels, int], Balance]] = {
    "none": lambda labels, classes: Balance(np.arange(len(labels))),
    "weights": _weights,
    "sampling": _sampling,
}
"""`balance` -> what it does to labels (n,) of so many classes: `weights` are n / (K n_k), or for
multi-hot labels (n, K) the other images over those of the class; `sampling` repeats the images of
rare classes.
"""


@dataclass(frozen=True)
class Material:
    """The training images of an arm."""

    arm: Arm
    images: ImageStore
    real: TrainingRows
    synthetic: Arrays | None
    classes: int

    @property
    def streams(self) -> Sequence[tuple[Labels, Labels]]:
        """Rows and labels of the pretraining, if there is one, then of the classification."""
        own = (self.real.rows, np.asarray(self.real.labels))
        if self.synthetic is None:
            return [own]
        labels = self.synthetic["labels"]
        added = (len(self.images) + np.arange(len(labels)), labels)
        if self.arm.pretraining:
            return [added, own]
        if not self.arm.real:
            return [added]
        return [(np.concatenate([own[0], added[0]]), np.concatenate([own[1], added[1]]))]

    def batches(
        self, config: ClassifierConfig, seed: int, augment: tuple[str, ...]
    ) -> tuple[BatchSource, Balance]:
        """Make the batches; the balance is that of the classification."""
        stored: Any = StoredImages(self.images)
        if self.synthetic is not None:
            info, size = self.images.info, self.images.spec.size
            drawn = DrawnImages(self.synthetic["images"], info.scaling, size)
            stored = Concatenated([stored, drawn])
        streams = []
        for rows, labels in self.streams:
            balance = BALANCES[config.balance](labels, self.classes)
            chosen = balance.order
            streams.append(BatchStream(stored, rows[chosen], seed, labels[chosen], augment=augment))
        if len(streams) == 1:
            return streams[0], balance
        return StagedBatches({PRETRAINING: streams[0]}, streams[1]), balance


ANOMALOUS = "anomalous"


@dataclass(frozen=True)
class Task:
    """The classes of a classifier, and the images that it can learn them from."""

    classes: Callable[[tuple[str, ...]], tuple[str, ...]]
    """Its classes, given the categories of the data set; the first is `normal`."""
    several: bool = False
    """Whether an image may be of several classes."""

    def images(self, splits: pd.DataFrame) -> pd.DataFrame:
        """Return the images that have a label of this task."""
        return splits if self.several else one_finding(splits)

    def labels(self, categories: NDArray[Any], classes: int) -> NDArray[Any]:
        """Convert category labels (n,) or (n, K) to those of the task: (n,) int64, or (n, K) float32
        where an image may be of several classes.
        """
        if not self.several:
            return np.asarray(np.minimum(categories, classes - 1))
        return categories if categories.ndim == 2 else np.eye(classes, dtype=np.float32)[categories]

    def classified(
        self,
        table: pd.DataFrame,
        probabilities: Any,
        categories: tuple[str, ...],
        classes: tuple[str, ...],
    ) -> ClassifiedImages:
        """Join the rows of the splits (n) with class probabilities (n, K)."""
        labels = self.labels(class_labels(table, categories), len(classes))
        groups, known = table["group_id"].to_numpy(), table["group_known"].to_numpy()
        return ClassifiedImages(probabilities, labels, groups, known, classes)


TASKS: Mapping[str, Task] = {
    "categories": Task(lambda categories: categories),
    "anomaly": Task(lambda categories: (NORMAL, ANOMALOUS)),
    "findings": Task(lambda categories: categories, several=True),
}
"""`classifier_training.task` -> what it is."""
