"""Aggregate image scores to one score per patient, the unit of clinical decisions."""

from __future__ import annotations

import pandas as pd

from medgan.evaluation.metrics import DETECTOR, measured, missing
from medgan.evaluation.protocol import Protocol
from medgan.evaluation.results import PatientLevel
from medgan.stats.classification import Predictions
from medgan.stats.thresholds import Threshold, frozen_on

UNKNOWN = "not estimable: patients are unknown"
NO_NORMAL = (
    "not estimable: every validation patient has an anomalous image, so no threshold can be frozen"
)
ONE_EACH = "each patient has one image: the metrics of the images are those of the patients"


def by_patient(table: pd.DataFrame, score: str = "mean") -> pd.DataFrame:
    """One row for each patient: group_id, score (`mean` or `max` of the images), label (1 if any
    image is anomalous), n_images.
    """
    grouped = table.groupby("group_id", sort=True)
    columns = {
        "score": grouped["score"].agg(score),
        "label": grouped["label"].max(),
        "n_images": grouped.size(),
    }
    return pd.DataFrame(columns).reset_index()


def freeze_patients(validation: pd.DataFrame, protocol: Protocol) -> Threshold | None:
    """The threshold of patients, from validation; None where no validation patient is normal."""
    patients = by_patient(validation, protocol.patient_score)
    return frozen_on(patients, protocol.rule) if (patients["label"] == 0).any() else None


def evaluate_patients(
    test: pd.DataFrame, threshold: Threshold | None, protocol: Protocol
) -> PatientLevel:
    """The metrics of test patients at a frozen threshold, or why there are none."""
    reason = "" if threshold else NO_NORMAL
    if not test["group_known"].all():
        reason = UNKNOWN
    elif not test["group_id"].duplicated().any():
        reason = ONE_EACH
    if reason or threshold is None:
        return PatientLevel(patient_score=protocol.patient_score, metrics=missing(DETECTOR, reason))
    patients = by_patient(test, protocol.patient_score)
    labels, scores = patients["label"].to_numpy(), patients["score"].to_numpy()
    predictions = Predictions(labels, scores, threshold.decide(scores))
    groups = patients["group_id"].to_numpy()
    return PatientLevel(
        patient_score=protocol.patient_score,
        n_patients=len(patients),
        n_anomalous=int(labels.sum()),
        threshold=threshold,
        metrics=measured(DETECTOR, predictions, groups, protocol.n_resamples, protocol.seed),
    )
