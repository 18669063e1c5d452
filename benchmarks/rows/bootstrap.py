"""The 95 % interval of an AUROC, from resamples of patients."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.paired import Case, NotCompared, Within, relative_difference
from benchmarks.plain import resampling
from benchmarks.scale import Scale
from medgan.stats.bootstrap import draws, weight_blocks
from medgan.stats.classification import Predictions, auroc_of

GOAL = 50.0
RESAMPLES = 1_000
IMAGES_OF_A_PATIENT = 3


@lru_cache(maxsize=1)
def _scores(n: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.str_]]:
    """Draw labels, scores and patients of n images; a fifth of the patients are ill."""
    rng = np.random.default_rng(0)
    patients = rng.integers(0, n // IMAGES_OF_A_PATIENT, n)
    labels = (patients % 5 == 0).astype(np.int64)
    return labels, rng.normal(labels * 1.2), patients.astype(str)


def against_sklearn(scale: Scale) -> Case:
    """A loop over the resamples that calls scikit-learn."""
    labels, scores, patients = _scores(scale.of(10_000, 1_000))
    resamples = scale.of(RESAMPLES, 50)
    blocks = weight_blocks(patients, resamples, 0)
    # Both sides resample the same patients, or their draws could not be compared.
    weights = np.concatenate([block.astype(np.int64) for block in blocks])
    return Case(
        f"AUROC of {resamples:,} patient resamples of {len(labels):,} scores",
        "a loop over scikit-learn",
        GOAL,
        lambda: _ours(labels, scores, patients, resamples),
        lambda: resampling.aurocs(labels, scores, weights),
        Within(1e-9, relative_difference, "relative difference of an AUROC"),
    )


def against_confidenceinterval(scale: Scale) -> Case:
    """confidenceinterval, whose bootstrap resamples images."""
    from confidenceinterval import roc_auc_score

    labels, scores, patients = _scores(scale.of(10_000, 1_000))
    resamples = scale.of(RESAMPLES, 50)
    return Case(
        f"AUROC of {resamples:,} patient resamples of {len(labels):,} scores",
        "confidenceinterval",
        GOAL,
        lambda: _ours(labels, scores, patients, resamples),
        lambda: roc_auc_score(labels, scores, method="bootstrap_percentile", n_resamples=resamples),
        NotCompared("it resamples images, with its own random numbers"),
    )


def _ours(
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    patients: NDArray[np.str_],
    resamples: int,
) -> NDArray[np.float64]:
    found = {"auroc": auroc_of(Predictions(labels, scores, labels))}
    return draws(found, patients, resamples, 0)["auroc"]


CASES = (against_sklearn, against_confidenceinterval)
