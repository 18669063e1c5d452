"""The row of a detector in results.json, from its scores."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import Refusal
from medgan.evaluation.figures import confusion, decision_metrics, ranking_metrics, sensitivity
from medgan.evaluation.intervals import IMAGE_INTERVALS_ARE, Estimate, Metric, estimates
from medgan.evaluation.scoring import require_finite
from medgan.evaluation.thresholds import Threshold, freeze
from medgan.evaluation.volumes import by_volume, scored_unit
from medgan.images.findings import findings_of, shows

FEW_ANOMALIES = 20


def evaluate_detector(
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    *,
    threshold_rule: str = "youden",
    n_boot: int = 1000,
    seed: int = 0,
    sees_mix: bool = False,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One detector on the test images, cut at a threshold that is frozen on validation before any test label is read.

    Args:
        scores: image_id, split (val and test) and score, which rises with anomaly.
        splits: image_id, split, label, category, group_id, group_known; provenance where there is one.
        threshold_rule: `youden` or `fpr=<share>`.
        n_boot: resamples of patients.
        seed: of the resamples and of the training that made the detector.
        sees_mix: whether the detector was trained with the unlabelled mix, which holds anomalous images.
        details: what else the row should say, such as `search_steps`; `labels_used` overrides what the threshold used.

    Returns:
        The row as results.json has it: estimates {value, low, high} or {value: null, reason}.

    Raises:
        Refusal: scores are missing or not finite, or a test image is not a real one.
    """
    validation, test = joined(scores, splits, "val"), joined(scores, splits, "test")
    _require_real(test)
    threshold = freeze(validation["label"].to_numpy(), validation["score"].to_numpy(), threshold_rule)
    labels, values, groups = (test[name].to_numpy() for name in ("label", "score", "group_id"))
    decisions = threshold.decide(values)
    found = estimates({**ranking_metrics(labels, values), **decision_metrics(labels, decisions)}, groups, n_boot, seed)
    return {
        **{name: estimate.as_dict() for name, estimate in found.items()},
        **counts(test),
        "n_anomalous": int(labels.sum()),
        "n_seeds": 1,
        "seeds": [seed],
        "threshold": {"rule": threshold.rule, "value": threshold.value},
        "sees_mix": sees_mix,
        "labels_used": "threshold" if threshold.uses_labels else "none",
        "validation_auroc": _validation_auroc(validation, n_boot, seed).as_dict(),
        "confusion_matrix": confusion(labels, decisions),
        "per_category": _per_category(test, decisions, n_boot, seed),
        "warnings": _warnings(found["auroc"], test, validation, threshold),
        **(details or {}),
    }


def joined(scores: pd.DataFrame, splits: pd.DataFrame, part: str) -> pd.DataFrame:
    """The images of a split with their scores, in the order of `splits`; slices as one row for each volume.

    Raises:
        Refusal: images have no score, more than one, or one that is not finite; or the split is empty.
    """
    images = splits.loc[splits["split"] == part]
    if images.empty:
        raise Refusal(f"The split '{part}' has no image, so nothing can be evaluated: see preprocessing.fractions.")
    if scores["image_id"].duplicated().any():
        raise Refusal("The table of scores names an image twice: delete it and run 'kedro run --pipeline anomaly_evaluation' again.")
    table = images.merge(scores[["image_id", "score"]], on="image_id", how="left", validate="one_to_one")
    require_finite(np.isfinite(table["score"].to_numpy(dtype=np.float64)), table["image_id"].tolist())
    return by_volume(table)


def counts(test: pd.DataFrame) -> dict[str, Any]:
    """n_images (volumes count as one), what one of them is, n_patients (null where unknown), and the unit that intervals resample."""
    known = bool(test["group_known"].all())
    return {
        "n_images": len(test),
        "scored_unit": scored_unit(test),
        "n_patients": int(test["group_id"].nunique()) if known else None,
        "interval_unit": "patient" if known else "image",
    }


def _require_real(test: pd.DataFrame) -> None:
    if "provenance" in test and not (test["provenance"] == "real").all():
        planted = test.loc[test["provenance"] != "real", "image_id"]
        raise Refusal(
            f"{len(planted)} test images are not real ones (the first is {planted.iloc[0]}): take synthetic images out of the test split."
        )


def _validation_auroc(validation: pd.DataFrame, n_boot: int, seed: int) -> Estimate:
    metric = ranking_metrics(validation["label"].to_numpy(), validation["score"].to_numpy())["auroc"]
    return estimates({"auroc": metric}, validation["group_id"].to_numpy(), n_boot, seed)["auroc"]


def _per_category(test: pd.DataFrame, decisions: NDArray[np.int64], n_boot: int, seed: int) -> dict[str, Any]:
    """Each finding, alone or with others, against all normal test images; images without it are left out."""
    return {finding: _category(test, decisions, finding, n_boot, seed) for finding in findings_of(test)}


def _category(test: pd.DataFrame, decisions: NDArray[np.int64], category: str, n_boot: int, seed: int) -> dict[str, Any]:
    chosen = shows(test, category)
    among = chosen | (test["label"] == 0).to_numpy()
    labels, values = chosen[among].astype(np.int64), test["score"].to_numpy()[among]
    metrics = {
        "auroc": ranking_metrics(labels, values)["auroc"],
        "sensitivity": Metric(partial(sensitivity, labels, decisions[among]), (labels == 1,)),
    }
    found = estimates(metrics, test["group_id"].to_numpy()[among], n_boot, seed)
    return {"n_images": int(chosen.sum()), **{name: estimate.as_dict() for name, estimate in found.items()}}


def _warnings(ranking: Estimate, test: pd.DataFrame, validation: pd.DataFrame, threshold: Threshold) -> list[str]:
    anomalies = int(validation["label"].sum())
    folds = set(test["fold"]) if "fold" in test else set()
    checks = {
        "AUROC is significantly under 0.5: normal images score higher than anomalous ones. Labels or scores may be flipped, "
        "or the detector follows something else.": ranking.high is not None and ranking.high < 0.5,
        f"Fold {' and '.join(sorted(folds))} of a small cohort: a fifth of its images; quote the mean over all folds.": bool(folds),
        IMAGE_INTERVALS_ARE: not test["group_known"].all(),
        "Validation has no anomalous image: the threshold is a quantile of the normal scores.": anomalies == 0,
        f"The threshold rests on {anomalies} anomalous validation images.": threshold.uses_labels and anomalies < FEW_ANOMALIES,
    }
    return [text for text, applies in checks.items() if applies]
