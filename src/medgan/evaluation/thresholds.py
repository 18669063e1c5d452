"""Where to cut a score in two: from validation, once, never from test (mean optimism at 100 images: 0.056).

An image is called anomalous when its score is at or above the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.contracts import Refusal

Scores = NDArray[Any]
FALLBACK_FPR = 0.05


@dataclass(frozen=True)
class Threshold:
    """A frozen threshold and the rule that gave it."""

    rule: str
    value: float
    uses_labels: bool
    """Whether labels of anomalous validation images were used."""

    def decide(self, scores: Scores) -> NDArray[np.int64]:
        """1 where a score is at or above the threshold."""
        return (np.asarray(scores, dtype=np.float64) >= self.value).astype(np.int64)


def youden(labels: Scores, scores: Scores) -> float:
    """The cut with the highest sensitivity + specificity - 1 (Youden 1950), halfway to the next lower score.

    Of equally good cuts the highest wins: the fewest false alarms. The result is finite.
    """
    values = np.unique(scores)[::-1]
    ranked_positive = np.sort(scores[labels == 1])
    ranked_normal = np.sort(scores[labels == 0])
    true_rate = 1 - np.searchsorted(ranked_positive, values) / len(ranked_positive)
    false_rate = 1 - np.searchsorted(ranked_normal, values) / len(ranked_normal)
    best = int(np.argmax(np.round(true_rate - false_rate, 12)))
    return float((values[best] + values[min(best + 1, len(values) - 1)]) / 2)


def normal_quantile(normal_scores: Scores, fpr: float) -> float:
    """The lowest cut that calls at most the share `fpr` of these normal images anomalous."""
    descending = np.sort(np.asarray(normal_scores, dtype=np.float64))[::-1]
    allowed = int(np.floor(fpr * len(descending) + 1e-9))
    return float(np.nextafter(descending[allowed], np.inf)) if allowed < len(descending) else float(descending[-1])


def _by_youden(labels: Scores, scores: Scores, argument: float) -> Threshold:
    if not (labels == 1).any():
        rule = f"fpr={FALLBACK_FPR:g} of the validation normals, since validation has no anomalous images for youden"
        return Threshold(rule, normal_quantile(scores[labels == 0], FALLBACK_FPR), uses_labels=False)
    return Threshold("youden", youden(labels, scores), uses_labels=True)


def _by_fpr(labels: Scores, scores: Scores, argument: float) -> Threshold:
    return Threshold(f"fpr={argument:g}", normal_quantile(scores[labels == 0], argument), uses_labels=False)


RULES: Mapping[str, Callable[[Scores, Scores, float], Threshold]] = {"youden": _by_youden, "fpr": _by_fpr}
"""Name of a rule to (labels, scores, argument) -> Threshold."""


def parse_rule(rule: str) -> tuple[str, float]:
    """`youden` or `fpr=<share>` as name and argument.

    Raises:
        Refusal: no such rule, or a share outside of 0 to 1.
    """
    name, equals, argument = str(rule).partition("=")
    wanted = "use 'youden', or 'fpr=0.05' for a false-positive rate of 5 % on the validation normals"
    if name not in RULES or bool(equals) != (name == "fpr"):
        raise Refusal(f"evaluation.threshold_rule is '{rule}': {wanted}.")
    try:
        share = float(argument or 0)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise Refusal(f"evaluation.threshold_rule is '{rule}', whose share is not a number from 0 to 1: {wanted}.")
    return name, share


def freeze(labels: Scores, scores: Scores, rule: str) -> Threshold:
    """The threshold that a rule takes from validation.

    Args:
        labels: of the validation images (n,), 0 normal, 1 anomalous.
        scores: of the validation images (n,).
        rule: `youden` or `fpr=<share>`; without anomalous images youden falls back to a false-positive rate of 5 %, and the rule says so.

    Raises:
        Refusal: validation has no normal image.
    """
    name, argument = parse_rule(rule)
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if not (labels == 0).any():
        raise Refusal("Validation has no normal image, so no threshold can be taken from it: give preprocessing.fractions a larger 'val'.")
    return RULES[name](labels, scores, argument)
