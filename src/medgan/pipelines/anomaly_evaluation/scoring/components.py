"""Evaluation of each component of a detector's score. Test labels are read here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan import models
from medgan.evaluation.components import MAHALANOBIS, evaluate_components, mahalanobis
from medgan.evaluation.details import ComponentsResult
from medgan.evaluation.results import DetectorResult
from medgan.images.splits import training_rows
from medgan.models import PublishedModel, display_name
from medgan.pipelines.outputs import Arrays, Scores
from medgan.pipelines.shared import EvaluationData, of_images
from medgan.plots.forest import forest

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def evaluate_parts(
    model: PublishedModel, scores: Scores, own: DetectorResult, data: EvaluationData
) -> tuple[ComponentsResult, Figure]:
    """Evaluate each component of a detector's score, and draw their AUROC.

    With embeddings there is one more: the Mahalanobis distance of the features from those of the
    normals that it was trained on, where there are two or more.
    """
    table = scores.scores
    if scores.embeddings is not None:
        distances = _distances(model, table, data, scores.embeddings)
        if distances is not None:
            table = table.assign(**{f"score_{MAHALANOBIS}": distances})
    weights = model.build().score_weights()  # type: ignore[operator]  # composed() has it
    found = evaluate_components(table, data.splits, own, weights, data.config.protocol(data.seed))
    sum_of = " + ".join(f"{weight:g} {name}" for name, weight in weights.items())
    title = f"{display_name(model.name)}: the parts of its score ({sum_of})"
    title += f"\nAUROC on test, 95 % intervals over {own.interval_unit}s"
    estimates = {name: row.auroc for name, row in found.rows.items()}
    return found, forest(estimates, title, notes={found.own: "its own score"})


def _distances(
    model: PublishedModel, table: pd.DataFrame, data: EvaluationData, embeddings: Arrays
) -> NDArray[np.float64] | None:
    """(n,) for the images of `table`; None with fewer than two training normals."""
    splits, learns_from = data.splits, models.load(model.name).TRAINING_SET
    normals = training_rows(splits, learns_from, data.images.spec.classes).rows
    known = splits.loc[splits["row"].isin(normals), "image_id"].astype(str)
    described = known[known.isin(embeddings["image_id"].astype(str))]
    if len(described) < 2:
        return None
    learned, scored = (
        np.asarray(of_images(embeddings, "features", names), dtype=np.float64)
        for names in (described, table["image_id"])
    )
    return mahalanobis(learned, scored)
