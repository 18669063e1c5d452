"""Threshold rules, each frozen on validation before a test label is read.

A rule is a frozen dataclass with `freeze(validation) -> Threshold`. To add one, write it here and
list it in `RULES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError

Scores = NDArray[Any]
ROUNDING = 1e-9
LARGEST_EXPONENT = 100.0  # keeps a limit finite
FALLBACK_FPR = 0.05
NO_ANOMALIES = "not estimable: validation has no anomalous image to take the threshold from"
WANTED_RULES = (
    "use 'youden', 'fpr=0.05' for a false-positive rate of 5 % on the validation normals, "
    "'conformal=0.05' for one of at most 5 % expected on new normals, or 'sensitivity=0.95' for a "
    "sensitivity of 95 % on the anomalous validation images"
)


@dataclass(frozen=True)
class Threshold:
    """A frozen threshold and the rule that gave it. A missing value is None, with the reason."""

    rule: str
    value: float | None
    uses_labels: bool = field(default=False, compare=False)
    """Whether labels of anomalous validation images were used; not part of documents."""
    reason: str = ""
    per_seed: tuple[float, ...] = ()
    """The values of several seeds; `value` is None then."""

    @property
    def frozen(self) -> float:
        """The value.

        Raises:
            UserError: there is not one value.
        """
        if self.value is None:
            raise UserError(
                f"The threshold '{self.rule}' has no single value: run 'kedro run' again."
            )
        return self.value

    def as_dict(self) -> dict[str, Any]:
        """The form of results.json."""
        document = {"rule": self.rule, "value": list(self.per_seed) or self.value}
        return {**document, "reason": self.reason} if self.reason else document

    def decide(self, scores: Scores) -> NDArray[np.int64]:
        """1 where a score is at or above the threshold; 0 for all where it has no value."""
        cut = np.inf if self.value is None else self.value
        return (np.asarray(scores, dtype=np.float64) >= cut).astype(np.int64)


@dataclass(frozen=True)
class Validation:
    """What a rule may see: labels, scores and patients of the validation images, each (n,)."""

    labels: Scores
    scores: Scores
    groups: Scores

    @classmethod
    def of(cls, table: pd.DataFrame) -> Validation:
        """The images of a table with label, score and group_id."""
        scores = table["score"].to_numpy(dtype=np.float64)
        return cls(table["label"].to_numpy(), scores, table["group_id"].to_numpy())

    @property
    def normal(self) -> Scores:
        """Scores of the normal images."""
        return self.scores[self.labels == 0]

    @property
    def anomalous(self) -> Scores:
        """Scores of the anomalous images."""
        return self.scores[self.labels == 1]


class NoAnomalies(UserError):
    """A rule needs anomalous validation images, and there are none."""


class Rule(Protocol):
    """How a threshold is taken from validation; `str` gives its text in the configuration."""

    def freeze(self, validation: Validation) -> Threshold:
        """Take the threshold from validation images, some of which are normal."""


@dataclass(frozen=True)
class Youden:
    """The highest sensitivity + specificity - 1 (Youden 1950); without anomalous images,
    `Conformal` at 5 %, and the text of the rule says so.
    """

    def __str__(self) -> str:
        return "youden"

    def freeze(self, validation: Validation) -> Threshold:
        """Take the threshold from validation."""
        if len(validation.anomalous):
            value = youden(validation.labels, validation.scores)
            return Threshold(str(self), value, uses_labels=True)
        instead = Conformal(FALLBACK_FPR).freeze(validation)
        why = "of the validation normals, since validation has no anomalous images for youden"
        return replace(instead, rule=f"{instead.rule} {why}")


@dataclass(frozen=True)
class FalsePositiveRate:
    """At most this share of the validation normals is called anomalous."""

    share: float

    def __str__(self) -> str:
        return f"fpr={self.share:g}"

    def freeze(self, validation: Validation) -> Threshold:
        """Take the threshold from validation."""
        return Threshold(str(self), normal_quantile(validation.normal, self.share))


@dataclass(frozen=True)
class Conformal:
    """At most this share of new normal images is expected to be called anomalous."""

    share: float

    def __str__(self) -> str:
        return f"conformal={self.share:g}"

    def freeze(self, validation: Validation) -> Threshold:
        """Take the threshold from validation; say in its rule where the share is not reachable."""
        groups = validation.groups[validation.labels == 0]
        patients, rule = len(np.unique(groups)), str(self)
        promised = 1 / (patients + 1)
        if promised > self.share:
            rule += f" (not reachable with {patients} groups of normals: cut above all, "
            rule += f"{promised:.2g} expected)"
        return Threshold(rule, conformal_quantile(validation.normal, self.share, groups))


@dataclass(frozen=True)
class Sensitivity:
    """At least this share of the anomalous validation images is called anomalous."""

    share: float

    def __str__(self) -> str:
        return f"sensitivity={self.share:g}"

    def freeze(self, validation: Validation) -> Threshold:
        """Take the threshold from validation.

        Raises:
            NoAnomalies: no validation image is anomalous.
        """
        if not len(validation.anomalous):
            raise NoAnomalies(
                "Validation has no anomalous image, so a sensitivity gives no threshold: "
                "set evaluation.threshold_rule to conformal=0.05."
            )
        value = lowest_of_share(validation.anomalous, self.share)
        return Threshold(str(self), value, uses_labels=True)


RULES: Mapping[str, type[Any]] = {
    "youden": Youden,
    "fpr": FalsePositiveRate,
    "conformal": Conformal,
    "sensitivity": Sensitivity,
}
"""What a rule is called in the configuration, before the `=` of its share."""


def parse_rule(text: str, key: str = "evaluation.threshold_rule") -> Rule:
    """Parse `youden`, or a rule with a share such as `fpr=0.05`.

    Raises:
        UserError: no such rule, or a share outside of 0 to 1; names the key of the setting.
    """
    name, equals, argument = str(text).partition("=")
    if name not in RULES or bool(equals) == (name == "youden"):
        raise UserError(f"{key} is '{text}': {WANTED_RULES}.")
    if not equals:
        return RULES[name]()
    try:
        share = float(argument)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise UserError(
            f"{key} is '{text}', whose share is not a number from 0 to 1: {WANTED_RULES}."
        )
    return RULES[name](share)


def rule_of(threshold: Threshold) -> Rule:
    """The rule that gave a threshold of a document: the first word of its text."""
    return parse_rule(threshold.rule.split()[0])


def frozen_on(validation: pd.DataFrame, rule: Rule) -> Threshold:
    """Take a threshold from the validation images: label, score and group_id of each.

    Raises:
        UserError: validation has no normal image.
        NoAnomalies: the rule needs anomalous images.
    """
    images = Validation.of(validation)
    if not len(images.normal):
        raise UserError(
            "Validation has no normal image, so no threshold can be taken from it: "
            "give preprocessing.fractions a larger 'val'."
        )
    return rule.freeze(images)


def frozen_or_missing(validation: pd.DataFrame, rule: Rule) -> Threshold:
    """Take a threshold as `frozen_on` does; a missing one where the rule needs anomalous images."""
    try:
        return frozen_on(validation, rule)
    except NoAnomalies:
        return Threshold(str(rule), None, reason=NO_ANOMALIES)


def youden(labels: Scores, scores: Scores) -> float:
    """The cut with the highest sensitivity + specificity - 1, halfway to the next lower score.

    Of equally good cuts the highest wins: the fewest false positives. The result is finite.
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
    if allowed == len(descending):
        return float(descending[-1])
    return float(np.nextafter(descending[allowed], np.inf))


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
    groups = np.arange(len(scores)) if groups is None else groups
    _, patient, images = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    as_high = np.cumsum(1 / images[patient.reshape(-1)[order]])
    last_of_equals = np.searchsorted(-descending, -descending, side="right") - 1
    p_values = (1 + as_high[last_of_equals]) / (len(images) + 1)
    refused = np.flatnonzero(p_values > alpha + ROUNDING)
    if not len(refused):
        return float(descending[-1])
    return float(np.nextafter(descending[refused[0]], np.inf))


def upper_limit(values: Scores, alpha: float, groups: Scores) -> float | None:
    """Compute the limit that a new value reaches with probability `alpha` at most, from values (n,)
    >= 0 of the validation images and the patient of each; None where there is one group alone.

    It is conformal over groups where there are enough of them. With fewer, it is the prediction
    limit of a log-normal distribution (Hahn & Meeker 1991), if that lies above all values.
    """
    from scipy.stats import t

    count, limit = len(np.unique(groups)), conformal_quantile(values, alpha, groups)
    if count < 2:
        return None
    if alpha * (count + 1) >= 1:
        return limit
    logs = np.log(np.maximum(values, ROUNDING))
    width = t.ppf(1 - alpha, count - 1) * logs.std(ddof=1) * np.sqrt(1 + 1 / count)
    return max(limit, float(np.exp(min(logs.mean() + width, LARGEST_EXPONENT))))


def lowest_of_share(anomalous_scores: Scores, share: float) -> float:
    """The highest cut that calls at least this share of these anomalous images anomalous."""
    descending = np.sort(np.asarray(anomalous_scores, dtype=np.float64))[::-1]
    return float(descending[max(int(np.ceil(share * len(descending) - ROUNDING)), 1) - 1])
