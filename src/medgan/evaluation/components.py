"""Evaluate each component of a detector's score as a detector of its own.

Every component gets the result that `evaluate_detector` gives the whole, with a threshold of its
own that is frozen on validation. The test images never choose a component: the weights of the sum
are configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import COMPONENTS
from medgan.errors import UserError
from medgan.evaluation.details import ComponentsResult
from medgan.evaluation.detector import DEFAULT, evaluate_detector
from medgan.evaluation.protocol import Protocol
from medgan.evaluation.results import DetectorResult

COMBINED, MAHALANOBIS = "combined", "mahalanobis"


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
            "A Mahalanobis distance needs two normal training images or more: "
            "give preprocessing.fractions a larger 'train'."
        )
    from sklearn.covariance import LedoitWolf  # 1 s that other commands need not wait for

    squared: NDArray[np.float64] = LedoitWolf().fit(normals).mahalanobis(others)
    return np.sqrt(np.maximum(squared, 0.0))


def own_score(weights: Mapping[str, float]) -> str:
    """The name of the detector's own score: its only component, or `combined`."""
    return next(iter(weights)) if len(weights) == 1 else COMBINED


def evaluate_components(
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    own: DetectorResult,
    weights: Mapping[str, float],
    protocol: Protocol = DEFAULT,
) -> ComponentsResult:
    """Evaluate each component of a score, beside the whole.

    Args:
        scores: image_id, split (val and test), and score_<name> for each component.
        splits: as `evaluate_detector` takes them.
        own: the result of the detector's own score.
        weights: of the components in that score.
        protocol: as `evaluate_detector` takes it; with `auto`, validation chooses the aggregate of
            slices for each component.
    """
    name_of_own = own_score(weights)
    rows = {name_of_own: replace(own, score=name_of_own)}
    for name in (*COMPONENTS, MAHALANOBIS):
        if f"score_{name}" in scores and name not in rows:
            part = scores[["image_id", "split"]].assign(score=scores[f"score_{name}"])
            found = evaluate_detector(part, splits, protocol, own.sees_mix)
            rows[name] = replace(
                found,
                score=name,
                published_step=own.published_step,
                search_steps=own.search_steps,
                # labels that chose the weights of the networks were used by every component
                labels_used="checkpoint" if own.labels_used == "checkpoint" else found.labels_used,
            )
    return ComponentsResult(name_of_own, dict(weights), rows)
