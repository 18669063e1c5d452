"""One score for each patient: his images are one case to whoever has to decide about him."""

from __future__ import annotations

from typing import Any

import pandas as pd

from medgan.evaluation.figures import decision_metrics, ranking_metrics
from medgan.evaluation.intervals import Estimate, resolved
from medgan.evaluation.thresholds import freeze

PATIENT_SCORES = ("mean", "max")
"""How the scores of a patient's images become his. The maximum rises with the number of images, which may tell the label by itself."""
FIGURES = ("auroc", "average_precision", "sensitivity", "specificity", "precision", "f1", "accuracy")
UNKNOWN = "not estimable: patients are unknown"
NO_NORMAL = "not estimable: every validation patient has an anomalous image, so no threshold can be frozen"
ONE_EACH = "each patient has one image: the figures of the images are those of the patients"


def by_patient(table: pd.DataFrame, score: str = "mean") -> pd.DataFrame:
    """One row for each patient: group_id, score (of his images, `mean` or `max`), label (1 if any image is anomalous), n_images."""
    grouped = table.groupby("group_id", sort=True)
    columns = {"score": grouped["score"].agg(score), "label": grouped["label"].max(), "n_images": grouped.size()}
    return pd.DataFrame(columns).reset_index()


def patient_level(
    validation: pd.DataFrame, test: pd.DataFrame, rule: str, score: str = "mean", n_boot: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """The figures of patients, at a threshold that the rule takes from the validation patients.

    Returns:
        `patient_score` and either the figures with their counts, or figures of null with the reason.
    """
    reason = _why_not(validation, test)
    if reason:
        missing = dict.fromkeys(FIGURES, Estimate(None, reason=reason))
        return resolved({"patient_score": score, **missing}, ())
    known, judged = by_patient(validation, score), by_patient(test, score)
    threshold = freeze(known["label"].to_numpy(), known["score"].to_numpy(), rule, known["group_id"].to_numpy())
    labels, values = judged["label"].to_numpy(), judged["score"].to_numpy()
    tree = {
        "patient_score": score,
        "n_patients": len(judged),
        "n_anomalous": int(labels.sum()),
        "threshold": {"rule": threshold.rule, "value": threshold.value},
        **ranking_metrics(labels, values),
        **decision_metrics(labels, threshold.decide(values)),
    }
    return resolved(tree, judged["group_id"].to_numpy(), n_boot, seed)


def _why_not(validation: pd.DataFrame, test: pd.DataFrame) -> str:
    if not test["group_known"].all():
        return UNKNOWN
    if not test["group_id"].duplicated().any():
        return ONE_EACH
    return "" if (validation.groupby("group_id")["label"].max() == 0).any() else NO_NORMAL
