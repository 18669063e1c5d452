"""Decisions at cuts that are frozen on validation: by several rules, at a specificity, at a
sensitivity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.stats.bootstrap import Estimate, Metric
from medgan.stats.classification import (
    decision_metrics,
    false_alarms,
    ranking_metrics,
    sensitivity_at_specificity,
)

Scores = NDArray[Any]
ROUNDING = 1e-9
FALLBACK_FPR = 0.05
WANTED_RULES = (
    "use 'youden', 'fpr=0.05' for a false-positive rate of 5 % on the validation normals, 'conformal=0.05' for one of at most 5 % "
    "expected on new normals, or 'sensitivity=0.95' for a sensitivity of 95 % on the anomalous validation images"
)


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


@dataclass(frozen=True)
class Validation:
    """What a rule may see: labels, scores and patients of the validation images, each (n,)."""

    labels: Scores
    scores: Scores
    groups: Scores

    @property
    def normal(self) -> Scores:
        """Scores of the normal images."""
        chosen: Scores = self.scores[self.labels == 0]
        return chosen

    @property
    def normal_groups(self) -> Scores:
        """Patients of the normal images."""
        chosen: Scores = self.groups[self.labels == 0]
        return chosen

    @property
    def anomalous(self) -> Scores:
        """Scores of the anomalous images."""
        chosen: Scores = self.scores[self.labels == 1]
        return chosen


class NoAnomalies(UserError):
    """A rule needs anomalous validation images, and there are none."""


def youden(labels: Scores, scores: Scores) -> float:
    """The cut with the highest sensitivity + specificity - 1 (Youden 1950), halfway to the next
    lower score.

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
    allowed = int(np.floor(fpr * len(descending) + ROUNDING))
    return (
        float(np.nextafter(descending[allowed], np.inf))
        if allowed < len(descending)
        else float(descending[-1])
    )


def conformal_quantile(normal_scores: Scores, alpha: float, groups: Scores | None = None) -> float:
    """The lowest cut that calls a new normal image anomalous with probability `alpha` at most, over
    new and validation patients.

    With fewer than 1 / alpha - 1 patients no finite cut can promise that: the cut is just above
    every normal score then, which is expected to call 1 / (patients + 1) of new normals anomalous.

    Args:
        normal_scores: of the validation normals (n,).
        alpha: the false-positive rate.
        groups: patient of each (n,); left out, every image is its own.
    """
    scores = np.asarray(normal_scores, dtype=np.float64)
    _, patient, images = np.unique(
        np.arange(len(scores)) if groups is None else groups,
        return_inverse=True,
        return_counts=True,
    )
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    as_high = np.cumsum(1 / images[patient.reshape(-1)[order]])
    last_of_equals = np.searchsorted(-descending, -descending, side="right") - 1
    p_values = (1 + as_high[last_of_equals]) / (len(images) + 1)
    refused = np.flatnonzero(p_values > alpha + ROUNDING)
    return (
        float(np.nextafter(descending[refused[0]], np.inf))
        if len(refused)
        else float(descending[-1])
    )


def lowest_of_share(anomalous_scores: Scores, share: float) -> float:
    """The highest cut that calls at least this share of these anomalous images anomalous."""
    descending = np.sort(np.asarray(anomalous_scores, dtype=np.float64))[::-1]
    return float(descending[max(int(np.ceil(share * len(descending) - ROUNDING)), 1) - 1])


def _by_youden(validation: Validation, argument: float) -> Threshold:
    if not len(validation.anomalous):
        instead = _by_conformal(validation, FALLBACK_FPR)
        return replace(
            instead,
            rule=f"{instead.rule} of the validation normals, since validation has no anomalous images for youden",
        )
    return Threshold("youden", youden(validation.labels, validation.scores), uses_labels=True)


def _by_fpr(validation: Validation, argument: float) -> Threshold:
    return Threshold(
        f"fpr={argument:g}", normal_quantile(validation.normal, argument), uses_labels=False
    )


def _by_conformal(validation: Validation, argument: float) -> Threshold:
    patients = len(np.unique(validation.normal_groups))
    promised = 1 / (patients + 1)
    short = (
        f" (not reachable with {patients} groups of normals: cut above all, {promised:.2g} expected)"
        if promised > argument
        else ""
    )
    value = conformal_quantile(validation.normal, argument, validation.normal_groups)
    return Threshold(f"conformal={argument:g}{short}", value, uses_labels=False)


def _by_sensitivity(validation: Validation, argument: float) -> Threshold:
    if not len(validation.anomalous):
        raise NoAnomalies(
            "Validation has no anomalous image, so a sensitivity gives no threshold: set evaluation.threshold_rule to conformal=0.05."
        )
    return Threshold(
        f"sensitivity={argument:g}",
        lowest_of_share(validation.anomalous, argument),
        uses_labels=True,
    )


RULES: Mapping[str, Callable[[Validation, float], Threshold]] = {
    "youden": _by_youden,
    "fpr": _by_fpr,
    "conformal": _by_conformal,
    "sensitivity": _by_sensitivity,
}
"""Name of a rule to (validation, argument) -> Threshold."""


def parse_rule(rule: str, key: str = "evaluation.threshold_rule") -> tuple[str, float]:
    """`youden`, or a rule with a share such as `fpr=0.05`, as name and argument.

    Raises:
        UserError: no such rule, or a share outside of 0 to 1.
    """
    name, equals, argument = str(rule).partition("=")
    if name not in RULES or bool(equals) == (name == "youden"):
        raise UserError(f"{key} is '{rule}': {WANTED_RULES}.")
    try:
        share = float(argument or 0)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise UserError(
            f"{key} is '{rule}', whose share is not a number from 0 to 1: {WANTED_RULES}."
        )
    return name, share


def freeze(labels: Scores, scores: Scores, rule: str, groups: Scores | None = None) -> Threshold:
    """The threshold that a rule takes from validation.

    Args:
        labels: of the validation images (n,), 0 normal, 1 anomalous.
        scores: of the validation images (n,).
        rule: `youden`, `fpr=<share>`, `conformal=<share>` or `sensitivity=<share>`; without
            anomalous images youden falls back to
            `conformal=0.05`, and the rule says so.
        groups: patient of each image (n,), which `conformal` needs; left out, every image is its
            own.

    Raises:
        UserError: validation has no normal image.
        NoAnomalies: the rule needs anomalous images.
    """
    name, argument = parse_rule(rule)
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if not (labels == 0).any():
        raise UserError(
            "Validation has no normal image, so no threshold can be taken from it: give preprocessing.fractions a larger 'val'."
        )
    return RULES[name](
        Validation(
            labels, scores, np.arange(len(labels)) if groups is None else np.asarray(groups)
        ),
        argument,
    )


WANTED = 0.95
ON_TEST = "The cut is read from the ROC curve of the test images, so their labels chose it: optimistic; beside figures of papers that do so."
FLATTERS = "The threshold was chosen on the validation images, and most weights were: their figures flatter."
NO_ANOMALIES = "not estimable: validation has no anomalous image to take the threshold from"
MAIN = ("sensitivity", "specificity")


def frozen_on(validation: pd.DataFrame, rule: str) -> Threshold:
    """The threshold that a rule takes from the validation images: label, score and group_id of
    each.
    """
    labels, scores, groups = (
        validation[name].to_numpy() for name in ("label", "score", "group_id")
    )
    return freeze(labels, scores, rule, groups)


def decisions_at(
    rules: Sequence[str], validation: pd.DataFrame, test: pd.DataFrame, labels_used: str = "none"
) -> dict[str, Any]:
    """For each rule its threshold and the figures of the decision on the test images; `labels_used`
    names what labels chose before.
    """
    return {rule: _decision(rule, validation, test, labels_used) for rule in rules}


def _decision(
    rule: str, validation: pd.DataFrame, test: pd.DataFrame, labels_used: str = "none"
) -> dict[str, Any]:
    labels, scores = test["label"].to_numpy(), test["score"].to_numpy()
    try:
        threshold = frozen_on(validation, rule)
    except NoAnomalies:
        figures: Mapping[str, Any] = dict.fromkeys(
            decision_metrics(labels, labels), Estimate(None, reason=NO_ANOMALIES)
        )
        return {
            "threshold": {"rule": rule, "value": None, "reason": NO_ANOMALIES},
            "labels_used": labels_used,
            **figures,
        }
    return {
        "threshold": {"rule": threshold.rule, "value": threshold.value},
        "labels_used": "threshold" if threshold.uses_labels else labels_used,
        **decision_metrics(labels, threshold.decide(scores)),
    }


def at_specificity(validation: pd.DataFrame, test: pd.DataFrame) -> dict[str, Any]:
    """Sensitivity where 95 % of the validation normals are called normal, and the specificity that
    the same cut has on test.
    """
    decision = _decision(f"fpr={1 - WANTED:g}", validation, test)
    return {name: decision[name] for name in ("threshold", *MAIN)}


def at_sensitivity(validation: pd.DataFrame, test: pd.DataFrame) -> dict[str, Any]:
    """False alarms per 100 normal images where 95 % of the anomalous validation images are found,
    and what the same cut finds on test.
    """
    decision = _decision(f"sensitivity={WANTED:g}", validation, test)
    cut = decision["threshold"]["value"]
    called = (
        np.zeros(len(test), dtype=np.int64)
        if cut is None
        else (test["score"].to_numpy() >= cut).astype(np.int64)
    )
    alarms = (
        Estimate(None, reason=NO_ANOMALIES)
        if cut is None
        else false_alarms(test["label"].to_numpy(), called)
    )
    return {
        "threshold": decision["threshold"],
        "false_alarms_per_100_normals": alarms,
        **{name: decision[name] for name in MAIN},
    }


def read_from_test(test: pd.DataFrame) -> dict[str, Any]:
    """Sensitivity at 95 % specificity as papers give it, with the remark that test labels chose its
    cut.
    """
    labels, scores = test["label"].to_numpy(), test["score"].to_numpy(dtype=np.float64)
    positive = np.equal(labels, 1)
    found = Metric(
        partial(sensitivity_at_specificity, WANTED, labels, scores), (positive, ~positive)
    )
    return {"sensitivity_at_95_specificity": found, "remark": ON_TEST}


def on_validation(validation: pd.DataFrame, threshold: Threshold) -> dict[str, Any]:
    """The figures that stand beside those of the test images."""
    labels, scores = validation["label"].to_numpy(), validation["score"].to_numpy()
    decision = decision_metrics(labels, threshold.decide(scores))
    counts = {"n_images": len(validation), "n_anomalous": int(labels.sum())}
    return {
        **counts,
        **ranking_metrics(labels, scores),
        **{name: decision[name] for name in MAIN},
        "remark": FLATTERS,
    }
