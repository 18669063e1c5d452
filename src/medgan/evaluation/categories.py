"""Which kind of anomaly an image shows, read from what a detector makes of it: S0's "anomaly
categorisation" (bacterial or viral).

A logistic regression on the detector's features, on its residual map averaged over an 8x8 grid, or
on both. It learns from anomalous images of the training split alone, its strength C is chosen there
by cross-validation over patients, and it is judged once, on the anomalous test images. A detector
trained without labels that tells the kinds apart has learned something of them; labels of the
training split are used by the regression all the same, and the row says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from medgan.evaluation.scores import require_finite
from medgan.stats.bootstrap import Estimate, Floats, Metric, estimates
from medgan.stats.classification import accuracy, auroc, confusion

GRID = 8
"""Cells on each side of a pooled residual map."""
STRENGTHS = tuple(float(strength) for strength in 10.0 ** np.arange(-4, 2))
"""Values of C, the inverse of the penalty."""
FOLDS = 5
FEWEST_GROUPS = 3
"""Patients with each kind that the training split has to have."""
LABELS_USED = "training"


def pooled(maps: NDArray[Any]) -> NDArray[np.float32]:
    """(n, H, W) maps to (n, 64): the means over an 8x8 grid, row by row."""
    values = torch.from_numpy(np.asarray(maps, dtype=np.float32))[:, None]
    means: NDArray[np.float32] = F.adaptive_avg_pool2d(values, GRID).flatten(1).numpy()
    return means


def missing_reason(labels: NDArray[np.int64], groups: NDArray[Any], classes: Sequence[str]) -> str:
    """Why kinds of anomalies cannot be told apart from these training images; empty where they can.

    Args:
        labels: (n,) indices into `classes`, of anomalous training images.
        groups: (n,) patient of each.
        classes: names of the kinds.
    """
    if len(classes) < 2:
        return "not estimable: there are fewer than two kinds of anomalies"
    patients = {name: len(np.unique(groups[labels == index])) for index, name in enumerate(classes)}
    rare = [f"{name} {count}" for name, count in patients.items() if count < FEWEST_GROUPS]
    if rare:
        return f"not estimable: the training split has too few patients of a kind ({', '.join(rare)}; {FEWEST_GROUPS} are needed)"
    return ""


def fitted_probabilities(
    train: NDArray[Any],
    labels: NDArray[np.int64],
    groups: NDArray[Any],
    test: NDArray[Any],
    seed: int = 0,
) -> tuple[Floats, dict[str, Any]]:
    """The probabilities that a regression learned on `train` gives `test`.

    C is the one with the lowest cross-entropy over folds of patients inside `train`; kinds weigh
    the same however many images they have.

    Args:
        train: (n, D) of anomalous training images.
        labels: (n,) their kinds, 0 to K - 1, each with three patients or more.
        groups: (n,) their patients.
        test: (m, D).
        seed: of the folds.

    Returns:
        (m, K), and {"c": chosen C, "folds": their number, "n_train": n}.
    """
    from sklearn.linear_model import (
        LogisticRegression,
    )  # 1.5 s that other commands need not wait for
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fewest = min(len(np.unique(groups[labels == kind])) for kind in np.unique(labels))
    folds = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    model = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)
    )
    search = GridSearchCV(
        model,
        {"logisticregression__C": list(STRENGTHS)},
        scoring="neg_log_loss",
        cv=folds,
        error_score="raise",
    )
    search.fit(train, labels, groups=groups)
    about = {
        "c": float(search.best_params_["logisticregression__C"]),
        "folds": folds.n_splits,
        "n_train": len(labels),
    }
    return np.asarray(search.predict_proba(test), dtype=np.float64), about


def evaluate_categories(
    probabilities: NDArray[Any],
    labels: NDArray[Any],
    groups: NDArray[Any],
    group_known: NDArray[Any],
    classes: Sequence[str],
    n_resamples: int = 1000,
    seed: int = 0,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """How well kinds of anomalies are told apart on anomalous test images.

    AUROC is that of the second kind against the first; of three kinds or more, the mean of each
    against the others. Balanced accuracy is the mean over the kinds of the share called right: 1 /
    K for a guess, whatever their mix.

    Args:
        probabilities: (n, K) of the kinds, rows sum to 1.
        labels: (n,) indices into `classes`.
        groups: (n,) patient of each image.
        group_known: (n,) whether it is known.
        classes: the K kinds, without `normal`.
        n_resamples: resamples of patients.
        seed: of the resamples.
        details: what else the row should say.

    Raises:
        UserError: a probability is not finite.
    """
    probabilities, labels = (
        np.asarray(probabilities, dtype=np.float64),
        np.asarray(labels, dtype=np.int64),
    )
    require_finite(
        np.isfinite(probabilities).all(1), [f"image {index}" for index in range(len(labels))]
    )
    decisions, known = probabilities.argmax(1), bool(np.all(group_known))
    found = (
        estimates(
            _metrics(probabilities, labels, decisions, len(classes)), groups, n_resamples, seed
        )
        if len(labels)
        else {}
    )
    counts = np.bincount(labels, minlength=len(classes))
    majority = int(counts.argmax())
    return {
        **{
            name: found.get(
                name, Estimate(None, reason="not estimable: no anomalous test image")
            ).as_dict()
            for name in FIGURES
        },
        "n_images": len(labels),
        "n_patients": len(np.unique(groups)) if known else None,
        "interval_unit": "patient" if known else "image",
        "classes": list(classes),
        "n_of_each": {name: int(count) for name, count in zip(classes, counts, strict=True)},
        "chance": {"auroc": 0.5, "balanced_accuracy": 1 / len(classes)},
        "majority": {
            "category": classes[majority],
            "share": float(counts[majority] / max(1, len(labels))),
        },
        "confusion_matrix": confusion(labels, decisions, len(classes)),
        **(details or {}),
    }


FIGURES = ("auroc", "accuracy", "balanced_accuracy")


def _metrics(
    probabilities: Floats, labels: NDArray[np.int64], decisions: NDArray[np.int64], kinds: int
) -> dict[str, Metric]:
    each = tuple(labels == kind for kind in range(kinds))
    everything = np.ones(len(labels), dtype=bool)
    missing = "not estimable: a kind of anomaly has no test image"
    return {
        "auroc": Metric(partial(_auroc, probabilities, labels), each, missing),
        "accuracy": Metric(partial(accuracy, labels, decisions), (everything,)),
        "balanced_accuracy": Metric(partial(_balanced, labels, decisions, kinds), each, missing),
    }


def _auroc(probabilities: Floats, labels: NDArray[np.int64], weights: Floats) -> Floats:
    """Of the second kind where there are two; else the mean of each kind against the others."""
    kinds = range(probabilities.shape[1]) if probabilities.shape[1] > 2 else (1,)
    areas = [
        auroc((labels == kind).astype(np.int64), probabilities[:, kind], weights) for kind in kinds
    ]
    return np.asarray(np.mean(areas, axis=0), dtype=np.float64)


def _balanced(
    labels: NDArray[np.int64], decisions: NDArray[np.int64], kinds: int, weights: Floats
) -> Floats:
    shares = []
    for kind in range(kinds):
        chosen = labels == kind
        total = weights[:, chosen].sum(1)
        right = weights[:, chosen & (decisions == kind)].sum(1)
        shares.append(np.divide(right, total, out=np.full(len(weights), np.nan), where=total > 0))
    return np.asarray(np.mean(shares, axis=0), dtype=np.float64)
