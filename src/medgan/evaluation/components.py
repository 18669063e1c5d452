"""What a detector's score is made of, each part judged as a detector of its own.

S0 names reconstruction losses and latent distances, its papers weigh them. Every part gets the row
that `evaluate_detector` gives the whole, with a threshold of its own that is frozen on validation.
Which part is the best on test is read off, never acted on: the weights of the sum are
configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import COMPONENTS
from medgan.errors import UserError
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.volumes import AUTO

COMBINED, MAHALANOBIS = "combined", "mahalanobis"
CARRIED = ("published_step", "search_steps")
"""What the row of the whole says of the detector, and the rows of its parts too."""


def mahalanobis(normals: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Distance of features from those of normal training images, in the metric of their covariance
    (Lee 2018; for latents, Denouden 2018).

    The covariance is shrunk (Ledoit & Wolf 2004), so that it can be inverted where there are more
    features than images.

    Args:
        normals: (n, D), the features of normal training images, n >= 2.
        others: (m, D).

    Returns:
        (m,), 0 at the mean of the normals.

    Raises:
        UserError: there are fewer than two normal images.
    """
    if len(normals) < 2:
        raise UserError(
            "A Mahalanobis distance needs two normal training images or more: give preprocessing.fractions a larger 'train'."
        )
    from sklearn.covariance import LedoitWolf  # 1 s that other commands need not wait for

    fitted = LedoitWolf().fit(np.asarray(normals, dtype=np.float64))
    squared: NDArray[np.float64] = fitted.mahalanobis(np.asarray(others, dtype=np.float64))
    return np.sqrt(np.maximum(squared, 0.0))


def own_score(weights: Mapping[str, float]) -> str:
    """The name of the detector's own score: its only component, or `combined`."""
    return next(iter(weights)) if len(weights) == 1 else COMBINED


def evaluate_components(
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    own: Mapping[str, Any],
    weights: Mapping[str, float],
    *,
    threshold_rule: str = "youden",
    n_resamples: int = 1000,
    seed: int = 0,
    volume_score: str = AUTO,
) -> dict[str, Any]:
    """A row for each part of a score, and for the whole.

    Args:
        scores: image_id, split (val and test), and score_<name> for each part.
        splits: as `evaluate_detector` takes them.
        own: the row of the detector's own score.
        weights: of the parts in that score.
        threshold_rule: as `evaluate_detector` takes it.
        n_resamples: resamples of patients.
        seed: of the resamples and of the training.
        volume_score: as `evaluate_detector` takes it; `auto` lets validation choose for each part.

    Returns:
        {"own": name of the detector's own score, "weights": {part: weight}, "rows": {name: row}}.
    """
    name_of_own = own_score(weights)
    carried = {name: own[name] for name in CARRIED if name in own} | _labels(own)
    rows = {name_of_own: dict(own)}
    for name in (*COMPONENTS, MAHALANOBIS):
        if f"score_{name}" in scores and name not in rows:
            part = scores[["image_id", "split"]].assign(score=scores[f"score_{name}"])
            rows[name] = evaluate_detector(
                part,
                splits,
                threshold_rule=threshold_rule,
                n_resamples=n_resamples,
                seed=seed,
                sees_mix=own["sees_mix"],
                volume_score=volume_score,
                details={**carried, "score": name},
            )
    rows[name_of_own]["score"] = name_of_own
    return {"own": name_of_own, "weights": dict(weights), "rows": rows}


def _labels(own: Mapping[str, Any]) -> dict[str, str]:
    """Labels that chose the weights of the networks were used by every part."""
    return {"labels_used": "checkpoint"} if own["labels_used"] == "checkpoint" else {}
