"""The row of a detector in results.json, from its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.evaluation.classifier import class_report
from medgan.evaluation.results import require_finite_numbers
from medgan.evaluation.scores import require_finite
from medgan.evaluation.volumes import (
    AUTO,
    by_volume,
    choose_volume_score,
    describe_volume_score,
    scored_unit,
    slice_count_warnings,
)
from medgan.images.labels import findings_of, shows
from medgan.stats.bootstrap import IMAGE_INTERVALS_ARE, Estimate, Metric, estimates, resolved
from medgan.stats.classification import (
    NO_PROBABILITIES,
    confusion,
    decision_metrics,
    predictive_values,
    ranking_metrics,
    sensitivity,
)
from medgan.stats.pooling import half_width_of
from medgan.stats.thresholds import (
    Threshold,
    at_sensitivity,
    at_specificity,
    decisions_at,
    freeze,
    frozen_on,
    on_validation,
    read_from_test,
)

PATIENT_SCORES = ("mean", "max")
"""How the scores of a patient's images become his. The maximum rises with the number of images,
which may tell the label by itself.
"""
FIGURES = (
    "auroc",
    "average_precision",
    "sensitivity",
    "specificity",
    "precision",
    "f1",
    "accuracy",
)
UNKNOWN = "not estimable: patients are unknown"
NO_NORMAL = (
    "not estimable: every validation patient has an anomalous image, so no threshold can be frozen"
)
ONE_EACH = "each patient has one image: the figures of the images are those of the patients"


def by_patient(table: pd.DataFrame, score: str = "mean") -> pd.DataFrame:
    """One row for each patient: group_id, score (of his images, `mean` or `max`), label (1 if any
    image is anomalous), n_images.
    """
    grouped = table.groupby("group_id", sort=True)
    columns = {
        "score": grouped["score"].agg(score),
        "label": grouped["label"].max(),
        "n_images": grouped.size(),
    }
    return pd.DataFrame(columns).reset_index()


def patient_level(
    validation: pd.DataFrame,
    test: pd.DataFrame,
    rule: str,
    score: str = "mean",
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """The figures of patients, at a threshold that the rule takes from the validation patients.

    Returns:
        `patient_score` and either the figures with their counts, or figures of null with the
        reason.
    """
    reason = _why_not(validation, test)
    if reason:
        missing = dict.fromkeys(FIGURES, Estimate(None, reason=reason))
        return resolved({"patient_score": score, **missing}, ())
    known, judged = by_patient(validation, score), by_patient(test, score)
    threshold = freeze(
        known["label"].to_numpy(), known["score"].to_numpy(), rule, known["group_id"].to_numpy()
    )
    labels, values = judged["label"].to_numpy(), judged["score"].to_numpy()
    tree = {
        "patient_score": score,
        "n_patients": len(judged),
        "n_anomalous": int(labels.sum()),
        "threshold": {"rule": threshold.rule, "value": threshold.value},
        **ranking_metrics(labels, values),
        **decision_metrics(labels, threshold.decide(values)),
    }
    return resolved(tree, judged["group_id"].to_numpy(), n_resamples, seed)


def _why_not(validation: pd.DataFrame, test: pd.DataFrame) -> str:
    if not test["group_known"].all():
        return UNKNOWN
    if not test["group_id"].duplicated().any():
        return ONE_EACH
    return "" if (validation.groupby("group_id")["label"].max() == 0).any() else NO_NORMAL


FEW_ANOMALIES = 20
DECISION_RULES = ("youden", "fpr=0.05", "conformal=0.05")
PREVALENCES = (0.01, 0.1, 0.5)


def evaluate_detector(
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    *,
    threshold_rule: str = "youden",
    n_resamples: int = 1000,
    seed: int = 0,
    sees_mix: bool = False,
    details: Mapping[str, Any] | None = None,
    decision_rules: Sequence[str] = DECISION_RULES,
    prevalences: Sequence[float] = PREVALENCES,
    patient_score: str = "mean",
    volume_score: str = AUTO,
) -> dict[str, Any]:
    """One detector on the test images, cut at thresholds that are frozen on validation before any
    test label is read.

    Args:
        scores: image_id, split (val and test) and score, which rises with anomaly.
        splits: image_id, split, label, category, group_id, group_known; provenance and pixel_hash
            where there are any.
        threshold_rule: `youden`, `fpr=<share>`, `conformal=<share>` or `sensitivity=<share>`, for
            the decisions of the row.
        n_resamples: resamples of patients.
        seed: of the resamples and of the training that made the detector.
        sees_mix: whether the detector was trained with the unlabelled mix, which holds anomalous
            images.
        details: what else the row should say, such as `search_steps`; `labels_used` overrides what
            the threshold used.
        decision_rules: rules whose decisions stand beside those of `threshold_rule`.
        prevalences: shares of anomalous images for which predictive values are given.
        patient_score: `mean` or `max`, how the scores of a patient's images become his.
        volume_score: one of VOLUME_SCORES, how the scores of a volume's slices become its own;
            `auto` lets validation choose.

    Returns:
        The row as results.json has it: estimates {value, low, high} or {value: null, reason}.

    Raises:
        UserError: scores are missing or not finite, a figure is not finite, or a test image is not
            a real one or stands in training too.
    """
    slices = scored_images(scores, splits, "val")
    choice = choose_volume_score(slices, volume_score)
    validation = by_volume(slices, choice.aggregate)
    threshold = frozen_on(validation, threshold_rule)
    before = "volume_score" if choice.uses_labels else "none"
    test = joined(scores, splits, "test", choice.aggregate)
    require_real(test)
    require_unseen(splits)
    labels, values, groups = (test[name].to_numpy() for name in ("label", "score", "group_id"))
    decisions = threshold.decide(values)
    tree = {
        **ranking_metrics(labels, values),
        **decision_metrics(labels, decisions),
        "decisions": decisions_at(decision_rules, validation, test, before),
        "at_95_specificity": at_specificity(validation, test),
        "at_95_sensitivity": at_sensitivity(validation, test),
        "read_from_test_roc": read_from_test(test),
        "predictive_values": predictive_values(labels, decisions, prevalences),
    }
    figures = resolved(tree, groups, n_resamples, seed)
    area = Estimate(**figures["auroc"])
    volumes = describe_volume_score(choice, slices, test, n_resamples, seed)
    beside = resolved(
        on_validation(validation, threshold), validation["group_id"].to_numpy(), n_resamples, seed
    )
    row = {
        **figures,
        **counts(test),
        "n_anomalous": int(labels.sum()),
        "n_seeds": 1,
        "seeds": [seed],
        "threshold": {"rule": threshold.rule, "value": threshold.value},
        **({"volume_score": volumes} if volumes else {}),
        "sees_mix": sees_mix,
        "labels_used": "threshold" if threshold.uses_labels else before,
        "validation": beside,
        "validation_auroc": beside["auroc"],
        "patient_level": patient_level(
            validation, test, threshold_rule, patient_score, n_resamples, seed
        ),
        "expected_half_width": half_width_of(test, area),
        "brier": {"value": None, "reason": NO_PROBABILITIES},
        "confusion_matrix": confusion(labels, decisions),
        "report": class_report(labels, decisions, ("normal", "anomalous")),
        "per_category": _per_category(test, decisions, n_resamples, seed),
        "warnings": [*_warnings(area, test, validation, threshold), *slice_count_warnings(volumes)],
        **(details or {}),
    }
    require_finite_numbers(row, "The row of the detector")
    return row


def joined(scores: pd.DataFrame, splits: pd.DataFrame, part: str, aggregate: str) -> pd.DataFrame:
    """The images of a split with their scores, in the order of `splits`; slices as one row for each
    volume, scored by `aggregate`.

    Raises:
        UserError: as `scored_images` does.
    """
    return by_volume(scored_images(scores, splits, part), aggregate)


def scored_images(scores: pd.DataFrame, splits: pd.DataFrame, part: str) -> pd.DataFrame:
    """The images of a split with their scores, in the order of `splits`; each slice of a volume is
    one.

    Raises:
        UserError: images have no score, more than one, or one that is not finite; or the split is
            empty.
    """
    images = splits.loc[splits["split"] == part]
    if images.empty:
        raise UserError(
            f"The split '{part}' has no image, so nothing can be evaluated: see preprocessing.fractions."
        )
    if scores["image_id"].duplicated().any():
        raise UserError(
            "The table of scores names an image twice: delete it and run 'kedro run --pipeline anomaly_evaluation' again."
        )
    table = images.merge(
        scores[["image_id", "score"]], on="image_id", how="left", validate="one_to_one"
    )
    require_finite(
        np.isfinite(table["score"].to_numpy(dtype=np.float64)), table["image_id"].tolist()
    )
    return table


def counts(test: pd.DataFrame) -> dict[str, Any]:
    """n_images (volumes count as one), what one of them is, n_patients (null where unknown), and
    the unit that intervals resample.
    """
    known = bool(test["group_known"].all())
    return {
        "n_images": len(test),
        "scored_unit": scored_unit(test),
        "n_patients": int(test["group_id"].nunique()) if known else None,
        "interval_unit": "patient" if known else "image",
    }


def require_real(test: pd.DataFrame) -> None:
    """Nothing where all test images are real ones.

    Raises:
        UserError: a test image is synthetic, by its `provenance`.
    """
    if "provenance" in test and not (test["provenance"] == "real").all():
        planted = test.loc[test["provenance"] != "real", "image_id"]
        raise UserError(
            f"{len(planted)} test images are not real ones (the first is {planted.iloc[0]}): take synthetic images out of the test split."
        )


def require_unseen(splits: pd.DataFrame) -> None:
    """Nothing where no test image, nor one of the same pixels, stands in the training part.

    Raises:
        UserError: names the first test image that a training may have seen.
    """
    training, test = (splits[splits["split"] == part] for part in ("train", "test"))
    for key in ("image_id", "pixel_hash"):
        if key not in splits:
            continue
        seen = test.loc[test[key].isin(training[key].dropna()), "image_id"]
        if len(seen):
            raise UserError(
                f"{len(seen)} test images stand in the training part too (the first is {seen.iloc[0]}): "
                "set preprocessing.on_leak to drop_from_train, and run 'kedro run' again."
            )


def _per_category(
    test: pd.DataFrame, decisions: NDArray[np.int64], n_resamples: int, seed: int
) -> dict[str, Any]:
    """Each finding, alone or with others, against all normal test images; images without it are
    left out.
    """
    return {
        finding: _category(test, decisions, finding, n_resamples, seed)
        for finding in findings_of(test)
    }


def _category(
    test: pd.DataFrame, decisions: NDArray[np.int64], category: str, n_resamples: int, seed: int
) -> dict[str, Any]:
    chosen = shows(test, category)
    among = chosen | (test["label"] == 0).to_numpy()
    labels, values = chosen[among].astype(np.int64), test["score"].to_numpy()[among]
    metrics = {
        **ranking_metrics(labels, values),
        "sensitivity": Metric(partial(sensitivity, labels, decisions[among]), (labels == 1,)),
    }
    found = estimates(metrics, test["group_id"].to_numpy()[among], n_resamples, seed)
    return {
        "n_images": int(chosen.sum()),
        **{name: estimate.as_dict() for name, estimate in found.items()},
    }


def _warnings(
    ranking: Estimate, test: pd.DataFrame, validation: pd.DataFrame, threshold: Threshold
) -> list[str]:
    anomalies = int(validation["label"].sum())
    folds = set(test["fold"]) if "fold" in test else set()
    checks = {
        "AUROC is significantly under 0.5: normal images score higher than anomalous ones. Labels or scores may be flipped, "
        "or the detector follows something else.": ranking.high is not None and ranking.high < 0.5,
        f"Fold {' and '.join(sorted(folds))} of a small cohort: a fifth of its images; quote the mean over all folds.": bool(
            folds
        ),
        IMAGE_INTERVALS_ARE: not test["group_known"].all(),
        f"Validation has no anomalous image: the threshold is a quantile of the normal scores ({threshold.rule}).": anomalies
        == 0,
        f"The threshold rests on {anomalies} anomalous validation images.": threshold.uses_labels
        and anomalies < FEW_ANOMALIES,
    }
    return [text for text, applies in checks.items() if applies]
