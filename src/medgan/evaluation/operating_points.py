"""Decisions at cuts that are frozen on validation: by several rules, at a specificity, at a sensitivity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from medgan.evaluation.figures import decision_metrics, false_alarms, ranking_metrics, sensitivity_at_specificity
from medgan.evaluation.intervals import Estimate, Metric
from medgan.evaluation.thresholds import NoAnomalies, Threshold, freeze

WANTED = 0.95
ON_TEST = (
    "The cut is read from the ROC curve of the test images, so their labels chose it: optimistic; beside figures of papers that do so."
)
FLATTERS = "The threshold was chosen on the validation images, and most weights were: their figures flatter."
NO_ANOMALIES = "not estimable: validation has no anomalous image to take the threshold from"
MAIN = ("sensitivity", "specificity")


def frozen_on(validation: pd.DataFrame, rule: str) -> Threshold:
    """The threshold that a rule takes from the validation images: label, score and group_id of each."""
    labels, scores, groups = (validation[name].to_numpy() for name in ("label", "score", "group_id"))
    return freeze(labels, scores, rule, groups)


def decisions_at(rules: Sequence[str], validation: pd.DataFrame, test: pd.DataFrame, labels_used: str = "none") -> dict[str, Any]:
    """For each rule its threshold and the figures of the decision on the test images; `labels_used` names what labels chose before."""
    return {rule: _decision(rule, validation, test, labels_used) for rule in rules}


def _decision(rule: str, validation: pd.DataFrame, test: pd.DataFrame, labels_used: str = "none") -> dict[str, Any]:
    labels, scores = test["label"].to_numpy(), test["score"].to_numpy()
    try:
        threshold = frozen_on(validation, rule)
    except NoAnomalies:
        figures: Mapping[str, Any] = dict.fromkeys(decision_metrics(labels, labels), Estimate(None, reason=NO_ANOMALIES))
        return {"threshold": {"rule": rule, "value": None, "reason": NO_ANOMALIES}, "labels_used": labels_used, **figures}
    return {
        "threshold": {"rule": threshold.rule, "value": threshold.value},
        "labels_used": "threshold" if threshold.uses_labels else labels_used,
        **decision_metrics(labels, threshold.decide(scores)),
    }


def at_specificity(validation: pd.DataFrame, test: pd.DataFrame) -> dict[str, Any]:
    """Sensitivity where 95 % of the validation normals are called normal, and the specificity that the same cut has on test."""
    decision = _decision(f"fpr={1 - WANTED:g}", validation, test)
    return {name: decision[name] for name in ("threshold", *MAIN)}


def at_sensitivity(validation: pd.DataFrame, test: pd.DataFrame) -> dict[str, Any]:
    """False alarms per 100 normal images where 95 % of the anomalous validation images are found, and what the same cut finds on test."""
    decision = _decision(f"sensitivity={WANTED:g}", validation, test)
    cut = decision["threshold"]["value"]
    called = np.zeros(len(test), dtype=np.int64) if cut is None else (test["score"].to_numpy() >= cut).astype(np.int64)
    alarms = Estimate(None, reason=NO_ANOMALIES) if cut is None else false_alarms(test["label"].to_numpy(), called)
    return {"threshold": decision["threshold"], "false_alarms_per_100_normals": alarms, **{name: decision[name] for name in MAIN}}


def read_from_test(test: pd.DataFrame) -> dict[str, Any]:
    """Sensitivity at 95 % specificity as papers give it, with the remark that test labels chose its cut."""
    labels, scores = test["label"].to_numpy(), test["score"].to_numpy(dtype=np.float64)
    positive = np.equal(labels, 1)
    found = Metric(partial(sensitivity_at_specificity, WANTED, labels, scores), (positive, ~positive))
    return {"sensitivity_at_95_specificity": found, "remark": ON_TEST}


def on_validation(validation: pd.DataFrame, threshold: Threshold) -> dict[str, Any]:
    """The figures that stand beside those of the test images."""
    labels, scores = validation["label"].to_numpy(), validation["score"].to_numpy()
    decision = decision_metrics(labels, threshold.decide(scores))
    counts = {"n_images": len(validation), "n_anomalous": int(labels.sum())}
    return {**counts, **ranking_metrics(labels, scores), **{name: decision[name] for name in MAIN}, "remark": FLATTERS}
