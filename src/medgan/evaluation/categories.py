"""Tell anomaly types apart by what a detector makes of an image.

A logistic regression on the detector's features, on its residual map averaged over an 8x8 grid, or
on both. It is trained on anomalous images of the training split alone, its strength C is chosen
there by cross-validation over patients, and it is evaluated once, on the anomalous test images.
Labels of the training split are used by the regression even where the detector was trained without
labels, and the result says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.evaluation.metrics import ANOMALY_TYPES, measured, missing
from medgan.evaluation.results import AnomalyTypeResult, Majority
from medgan.evaluation.scores import require_finite
from medgan.stats.bootstrap import Floats
from medgan.stats.classification import Predictions, confusion

GRID = 8
"""Cells on each side of a pooled residual map."""
STRENGTHS = tuple(float(strength) for strength in 10.0 ** np.arange(-4, 2))
"""Values of C, the inverse of the penalty."""
FOLDS = 5
FEWEST_GROUPS = 3
"""Patients of each type that the training split has to have."""
LABELS_USED = "training"


def pooled(maps: NDArray[Any]) -> NDArray[np.float32]:
    """(n, H, W) maps to (n, 64): the means over an 8x8 grid, row by row."""
    import torch
    import torch.nn.functional as F

    values = torch.from_numpy(np.asarray(maps, dtype=np.float32))[:, None]
    return F.adaptive_avg_pool2d(values, GRID).flatten(1).numpy()


def missing_reason(labels: NDArray[np.int64], groups: NDArray[Any], classes: Sequence[str]) -> str:
    """Say why anomaly types cannot be learned from anomalous training images, by their types (n,),
    indices into `classes`, and patients (n,); empty where they can.
    """
    if len(classes) < 2:
        return "not estimable: there are fewer than two anomaly types"
    patients = {name: len(np.unique(groups[labels == index])) for index, name in enumerate(classes)}
    rare = [f"{name} {count}" for name, count in patients.items() if count < FEWEST_GROUPS]
    if rare:
        return (
            "not estimable: the training split has too few patients of an anomaly type "
            f"({', '.join(rare)}; {FEWEST_GROUPS} are needed)"
        )
    return ""


def balanced_regression() -> Any:
    """A logistic regression on standardized features, in which all classes weigh the same."""
    from sklearn.linear_model import LogisticRegression  # 1.5 s, not for other commands
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)
    )


@dataclass(frozen=True)
class Fit:
    """How a regression was fitted."""

    c: float
    """The inverse of its penalty."""
    folds: int
    n_train: int


def fitted_probabilities(
    train: NDArray[Any],
    labels: NDArray[np.int64],
    groups: NDArray[Any],
    test: NDArray[Any],
    seed: int = 0,
) -> tuple[Floats, Fit]:
    """Fit a regression on `train`, in which all types weigh the same, and predict the probabilities
    of `test`. C has the lowest cross-entropy over folds of patients inside `train`.

    Args:
        train: (n, D) of anomalous training images.
        labels: (n,) their types, 0 to K - 1, each with three patients or more.
        groups: (n,) their patients.
        test: (m, D).
        seed: of the folds.

    Returns:
        (m, K), and how it was fitted.
    """
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    fewest = min(len(np.unique(groups[labels == kind])) for kind in np.unique(labels))
    folds = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    search = GridSearchCV(
        balanced_regression(),
        {"logisticregression__C": list(STRENGTHS)},
        scoring="neg_log_loss",
        cv=folds,
        error_score="raise",
    )
    search.fit(train, labels, groups=groups)
    fit = Fit(float(search.best_params_["logisticregression__C"]), folds.n_splits, len(labels))
    return np.asarray(search.predict_proba(test), dtype=np.float64), fit


@dataclass(frozen=True)
class ClassifiedImages:
    """Probabilities of n test images, and what is known of the images."""

    probabilities: NDArray[Any]
    """(n, K); rows sum to 1 where an image is of one class."""
    labels: NDArray[Any]
    """(n,) indices into `classes`, or multi-hot (n, K) where an image may be of several."""
    groups: NDArray[Any]
    """(n,) patient of each image."""
    group_known: NDArray[Any]
    """(n,) whether it is known."""
    classes: Sequence[str]
    """The K names."""

    def __post_init__(self) -> None:
        shape = np.shape(self.probabilities)
        if shape != (len(self.labels), len(self.classes)):
            raise UserError(
                f"Probabilities have the shape {shape}, but there are {len(self.labels)} images "
                f"and {len(self.classes)} classes."
            )
        names = [f"image {index}" for index in range(len(self.labels))]
        require_finite(np.isfinite(self.probabilities).all(1), names)

    @property
    def several(self) -> bool:
        """Whether an image may be of several classes."""
        return np.ndim(self.labels) == 2

    @property
    def decisions(self) -> NDArray[np.int64]:
        """The most probable class of each image (n,), or which classes have a probability of 0.5 or
        more (n, K).
        """
        values = np.asarray(self.probabilities)
        return (values >= 0.5).astype(np.int64) if self.several else values.argmax(1)

    @property
    def anomalous(self) -> NDArray[np.int64]:
        """1 for the images that are not of class 0, which is `normal` (n,)."""
        return self._not_normal(np.asarray(self.labels, dtype=np.int64))

    @property
    def called(self) -> NDArray[np.int64]:
        """1 for the images that are called anomalous (n,)."""
        return self._not_normal(self.decisions)

    def _not_normal(self, classes: NDArray[np.int64]) -> NDArray[np.int64]:
        return 1 - classes[:, 0] if self.several else np.minimum(classes, 1)

    def of_class(self, place: int) -> Predictions:
        """One class against all others."""
        labels, decisions = np.asarray(self.labels), self.decisions
        own = self.probabilities[:, place]
        if self.several:
            return Predictions(labels[:, place] > 0, own, decisions[:, place] > 0)
        return Predictions(labels == place, own, decisions == place)

    @property
    def predictions(self) -> Predictions:
        """Anomalous against normal by 1 - p(normal), with the classes where an image is of one."""
        anomaly = 1 - np.asarray(self.probabilities, dtype=np.float64)[:, 0]
        if self.several:
            return Predictions(self.anomalous, anomaly, self.called, self.anomalous, self.called)
        labels = np.asarray(self.labels, dtype=np.int64)
        return Predictions(self.anomalous, anomaly, self.called, labels, self.decisions)

    @property
    def matrix(self) -> tuple[tuple[int, ...], ...]:
        """The confusion matrix of the classes, or of `anomalous` where an image may be of several."""
        if self.several:
            return confusion(self.anomalous, self.called)
        return confusion(self.labels, self.decisions, len(self.classes))

    @property
    def n_patients(self) -> int | None:
        """None where a patient is not known."""
        return len(np.unique(self.groups)) if np.all(self.group_known) else None

    @property
    def interval_unit(self) -> str:
        """What intervals resample."""
        return "image" if self.n_patients is None else "patient"


def evaluate_categories(
    images: ClassifiedImages, n_resamples: int = 1000, seed: int = 0
) -> AnomalyTypeResult:
    """Evaluate how well anomaly types are told apart on anomalous test images; the classes are the
    types, without `normal`.
    """
    labels, decisions, classes = images.labels, images.decisions, images.classes
    probabilities = np.asarray(images.probabilities, dtype=np.float64)
    predictions = Predictions(labels, probabilities, decisions)
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=len(classes))
    majority = int(counts.argmax())
    return AnomalyTypeResult(
        metrics=measured(ANOMALY_TYPES, predictions, images.groups, n_resamples, seed)
        if len(labels)
        else missing(ANOMALY_TYPES, "not estimable: no anomalous test image"),
        n_images=len(labels),
        n_patients=images.n_patients,
        interval_unit=images.interval_unit,
        classes=tuple(classes),
        n_of_each={name: int(count) for name, count in zip(classes, counts, strict=True)},
        chance={"auroc": 0.5, "balanced_accuracy": 1 / len(classes)},
        majority=Majority(classes[majority], float(counts[majority] / max(1, len(labels)))),
        confusion_matrix=images.matrix,
    )
