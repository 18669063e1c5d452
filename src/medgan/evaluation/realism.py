"""Real and synthetic images in one space of features: projected, and told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.categories import balanced_regression
from medgan.evaluation.metrics import AUROC, measured
from medgan.stats.bootstrap import Estimate
from medgan.stats.classification import Predictions

FEWEST = 10
"""Images of each kind that a regression needs."""


@dataclass(frozen=True, kw_only=True)
class RealismResult:
    """How well synthetic images are told from real ones by their features."""

    auroc: Estimate
    """Of the held-out half: 0.5 where they cannot be told apart, 1 where all are."""
    n_real: int
    n_synthetic: int
    generator: str
    features: str
    """What the features are of."""


def told_apart(
    features: NDArray[Any],
    synthetic: NDArray[np.bool_],
    groups: NDArray[Any],
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Tell synthetic from real images by a logistic regression on their features (a classifier
    two-sample test, Lopez-Paz & Oquab 2017). Half of the patients and of the synthetic images train
    it, the others are scored: scores of several folds together would be below chance where nothing
    can be told apart.

    Args:
        features: (n, D).
        synthetic: (n,).
        groups: the patient of each real image (n,); each synthetic image is one of its own.
        n_resamples: resamples of patients.
        seed: of the halves and resamples.

    Returns:
        The AUROC with its interval, or why there is none.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # 1.5 s, not for other commands

    patients = [len(np.unique(groups[synthetic == kind])) for kind in (False, True)]
    if min(patients) < FEWEST:
        return Estimate(None, reason=f"not estimable: under {FEWEST} patients or synthetic images")
    halves = StratifiedGroupKFold(2, shuffle=True, random_state=seed)
    trains, scored = next(halves.split(features, synthetic, groups))
    model = balanced_regression().fit(features[trains], synthetic[trains])
    scores = model.predict_proba(features[scored])[:, 1]
    found = Predictions(synthetic[scored].astype(int), scores, scores > 0.5)
    return measured([AUROC], found, groups[scored], n_resamples, seed)["auroc"]
