"""What a decision is worth where anomalous images are rarer, or more frequent, than in the test set.

With prevalence p, PPV = p sens / (p sens + (1 - p)(1 - spec)) and NPV = (1 - p) spec / ((1 - p) spec + p (1 - sens)) (Altman & Bland 1994).
Sensitivity and specificity are taken from the test images and resampled together; that they hold at another prevalence is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.figures import Labels, sensitivity, specificity
from medgan.evaluation.intervals import Floats, Metric

NEEDS = "not estimable: it takes normal and anomalous images, some of which are called"


def predictive_values(labels: Labels, decisions: NDArray[Any], prevalences: Sequence[float]) -> dict[str, dict[str, Metric]]:
    """`ppv` and `npv` of decisions (n,) at each prevalence, by its number as text: {"0.01": {"ppv", "npv"}}."""
    return {f"{share:g}": {"ppv": _ppv(labels, decisions, share), "npv": _npv(labels, decisions, share)} for share in prevalences}


def ppv(prevalence: float, sens: Floats, spec: Floats) -> Floats:
    """The share of anomalous images among those that are called anomalous; NaN where none is called so."""
    return _shared(prevalence * sens, (1 - prevalence) * (1 - spec))


def npv(prevalence: float, sens: Floats, spec: Floats) -> Floats:
    """The share of normal images among those that are called normal; NaN where none is called so."""
    return _shared((1 - prevalence) * spec, prevalence * (1 - sens))


def _shared(right: Floats, wrong: Floats) -> Floats:
    total = right + wrong
    share: Floats = np.divide(right, total, out=np.full(total.shape, np.nan), where=total > 0)
    return share


def _ppv(labels: Labels, decisions: NDArray[Any], prevalence: float) -> Metric:
    return _value(labels, decisions, partial(ppv, prevalence), "anomalous", by_specificity=_all(labels, decisions, 0))


def _npv(labels: Labels, decisions: NDArray[Any], prevalence: float) -> Metric:
    return _value(labels, decisions, partial(npv, prevalence), "normal", by_specificity=not _all(labels, decisions, 1))


def _all(labels: Labels, decisions: NDArray[Any], kind: int) -> bool:
    """Whether all images of a class are decided rightly."""
    return bool(np.equal(decisions, kind)[np.equal(labels, kind)].all())


def _value(labels: Labels, decisions: NDArray[Any], value: Any, called: str, *, by_specificity: bool) -> Metric:
    """A predictive value; where it is exactly 0 or 1 its bound follows from that of the specificity, or of the sensitivity."""
    positive = np.equal(labels, 1)

    def statistic(weights: Floats) -> Floats:
        return value(sensitivity(labels, decisions, weights), specificity(labels, decisions, weights))  # type: ignore[no-any-return]

    def limit(bound: float) -> float:
        once = np.ones((1, len(labels)))
        sens, spec = sensitivity(labels, decisions, once), specificity(labels, decisions, once)
        exact = np.array([bound])
        return float((value(sens, exact) if by_specificity else value(exact, spec))[0])

    return Metric(statistic, (positive, ~positive), f"{NEEDS} {called}", limit=limit)
