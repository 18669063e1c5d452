"""Tell anomaly types apart by what a detector makes of an image. Test labels are read in
`categorize` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.evaluation.categories import (
    LABELS_USED,
    ClassifiedImages,
    evaluate_categories,
    fitted_probabilities,
    missing_reason,
    pooled,
)
from medgan.evaluation.details import CategoriesResult
from medgan.evaluation.metrics import ACCURACY, AUROC, missing
from medgan.evaluation.results import AnomalyTypeResult, ClassifierResult, Section
from medgan.images.labels import one_finding
from medgan.models import display_name
from medgan.pipelines.anomaly_evaluation.scoring.arrays import training_anomalies
from medgan.pipelines.outputs import Scores, Trained
from medgan.pipelines.shared import EvaluationData, of_images
from medgan.plots.detectors import confusion_matrix
from medgan.plots.forest import forest
from medgan.plots.style import notice
from medgan.report.text import reason_of, with_interval
from medgan.words import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INPUTS: Mapping[str, tuple[str, ...]] = {
    "features": ("features",),
    "residual map": ("residuals",),
    "both": ("features", "residuals"),
}
"""What the types are told from: the detector's features, its residual map over an 8x8 grid, or
both.
"""
JUDGED = "both"
"""The row that stands for a detector beside others."""
NOT_IN_OLD_ROWS = "not in these results: run classifier_training again"
ABSENT = AnomalyTypeResult(metrics=missing((AUROC, ACCURACY), NOT_IN_OLD_ROWS))


def categorize(
    data: EvaluationData,
    trained: Trained,
    scores: Scores,
    classifiers: Section[ClassifierResult] | None,
) -> tuple[CategoriesResult, Figure]:
    """Tell which anomaly type a test image shows from what a detector makes of it, beside the
    supervised arms.

    Returns:
        The result, without rows and with a reason where the types cannot be told apart; and the
        confusion matrix of `both`.
    """
    train, name = training_anomalies(data), trained.model.name
    classes = sorted(train["category"].unique())
    labels, groups = _labels(train, classes), train["group_id"].to_numpy()
    counts = {kind: int((train["category"] == kind).sum()) for kind in classes}
    nothing = CategoriesResult(tuple(classes), LABELS_USED, counts, {}, {})
    reason = missing_reason(labels, groups, classes)
    if reason:
        title = f"{display_name(name)}: anomaly types"
        return replace(nothing, reason=reason), notice(title, reason)
    rows, arms = _category_rows(data, name, scores, train), classifiers.rows if classifiers else {}
    supervised = {arm: row.categories or ABSENT for arm, row in arms.items()}
    return replace(nothing, rows=rows, supervised=supervised), _matrix(name, rows[JUDGED])


def _category_rows(
    data: EvaluationData, name: str, scores: Scores, train: pd.DataFrame
) -> dict[str, AnomalyTypeResult]:
    """The result of each of INPUTS on the anomalous test images."""
    classes = sorted(train["category"].unique())
    test = one_finding(data.splits[(data.splits["split"] == "test") & (data.splits["label"] == 1)])
    test = test[test["category"].isin(classes)]
    learned = {"features": scores.embeddings, "residuals": scores.residuals}
    cells = {"image_id": scores.maps["image_id"], "residuals": pooled(scores.maps["maps"])}
    judged = {"features": scores.embeddings, "residuals": cells}
    groups, known = test["group_id"].to_numpy(), test["group_known"].to_numpy()
    rows = {}
    for inputs, parts in INPUTS.items():
        probabilities, fit = fitted_probabilities(
            _columns(learned, parts, train),
            _labels(train, classes),
            train["group_id"].to_numpy(),
            _columns(judged, parts, test),
            data.seed,
        )
        images = ClassifiedImages(probabilities, _labels(test, classes), groups, known, classes)
        rows[inputs] = replace(
            evaluate_categories(images, data.config.n_resamples, data.seed),
            c=fit.c,
            folds=fit.folds,
            n_train=fit.n_train,
            labels_used=LABELS_USED,
            detector=name,
        )
    return rows


def _labels(table: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.int64]:
    return pd.Index(classes).get_indexer(pd.Index(table["category"])).astype(np.int64)


def _columns(
    arrays: Mapping[str, Any], parts: Sequence[str], table: pd.DataFrame
) -> NDArray[np.float64]:
    """(n, D): what the parts say of each image of the table, side by side."""
    chosen = [of_images(arrays[part], part, table["image_id"]) for part in parts]
    return np.concatenate(chosen, axis=1).astype(np.float64)


def _matrix(name: str, row: AnomalyTypeResult) -> Figure:
    accuracy = row.metric(ACCURACY)
    told = f"{name}: anomaly types\naccuracy {reason_of(accuracy) or with_interval(accuracy, 2)}"
    if row.majority is not None:
        told += f"\nalways {row.majority.category}: {row.majority.share:.2f}"
    return confusion_matrix(np.asarray(row.confusion_matrix), row.classes, told)


def compare_categories(found: Mapping[str, CategoriesResult]) -> Figure:
    """Draw the AUROC of the anomaly types: every detector with an encoder, and the supervised
    arms.
    """
    one = next(iter(found.values()), None)
    rows = {name: result.rows[JUDGED] for name, result in found.items() if result.rows}
    if one is None or not rows:
        reason = one.reason if one else "No detector has an encoder."
        return notice("Anomaly types", reason)
    first = next(iter(rows.values()))
    rows |= {f"supervised, {arm}": row for arm, row in one.supervised.items()}
    estimates = {name: row.auroc for name, row in rows.items()}
    types = " or ".join(readable(name) for name in first.classes)
    title = f"{types}? AUROC on {first.n_images} anomalous test images\n"
    return forest(estimates, f"{title}95 % intervals over {first.interval_unit}s")
