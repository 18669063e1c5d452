"""The 95 % interval of an AUROC, from resamples of patients."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.paired import Case, NotCompared, Within, relative_difference
from benchmarks.plain import resampling
from benchmarks.scale import Scale
from medgan.stats.bootstrap import draws, weight_blocks
from medgan.stats.classification import Predictions, auroc_of

GOAL = 50.0
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
    few = scale.of(200, 50)
    labels, scores, patients = _scores(_images(scale))
    # Both sides resample the same patients, or their draws could not be compared.
    blocks = [block.astype(np.int64) for block in weight_blocks(patients, _resamples(scale), 0)]
    weights = np.concatenate(blocks)[:few]

    def results() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return _ours(scale)[:few], resampling.aurocs(labels, scores, weights)

    same = Within(1e-9, relative_difference, "relative difference of an AUROC", results)
    other = lambda: resampling.aurocs(labels, scores, weights)  # noqa: E731
    return _case(scale, "a loop over scikit-learn", other, few, same)


def against_confidenceinterval(scale: Scale) -> Case:
    """confidenceinterval, whose bootstrap resamples images."""
    from confidenceinterval import roc_auc_score

    few = scale.of(100, 50)
    labels, scores, _ = _scores(_images(scale))
    method = "bootstrap_percentile"
    other = lambda: roc_auc_score(labels, scores, method=method, n_resamples=few)  # noqa: E731
    random = NotCompared("it resamples images, with its own random numbers")
    return _case(scale, "confidenceinterval", other, few, random)


def _images(scale: Scale) -> int:
    return scale.of(10_000, 1_000)


def _resamples(scale: Scale) -> int:
    return scale.of(1_000, 100)


def _case(
    scale: Scale,
    against: str,
    other: Callable[[], Any],
    few: int,
    outputs: Within | NotCompared,
) -> Case:
    resamples = _resamples(scale)
    return Case(
        f"AUROC of {resamples:,} patient resamples of {_images(scale):,} scores",
        against,
        GOAL,
        lambda: _ours(scale),
        other,
        outputs,
        scale=resamples / few,
        note=f"Its time is that of {few} resamples times {resamples / few:g}.",
    )


def _ours(scale: Scale) -> NDArray[np.float64]:
    labels, scores, patients = _scores(_images(scale))
    found = {"auroc": auroc_of(Predictions(labels, scores, labels))}
    return draws(found, patients, _resamples(scale), 0)["auroc"]


CASES = (against_sklearn, against_confidenceinterval)
