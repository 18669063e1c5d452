"""Scoring, evaluating and comparing detectors. Test labels are read in `evaluate` and `compare` and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medgan import __version__, models
from medgan.contracts import TrainingSet
from medgan.evaluation.config import EvaluationConfig
from medgan.evaluation.detectors import evaluate_detector, joined
from medgan.evaluation.side_by_side import comparison_table
from medgan.evaluation.volumes import aggregate_of
from medgan.evaluation.wording import notes_of
from medgan.images.store import ImageStore
from medgan.images.transforms import crop_padding
from medgan.models import PublishedModel
from medgan.pipelines.anomaly_evaluation.scored import scored
from medgan.pipelines.jobs import data_hash
from medgan.plots.confusion import confusion_matrix
from medgan.plots.distributions import score_histograms
from medgan.plots.drawing import Drawing, drawing
from medgan.plots.intervals import forest
from medgan.plots.roc import pr_curves, roc_curves
from medgan.training.seeding import digest

Arrays = Mapping[str, NDArray[Any]]
EVALUATED = ("val", "test")
PROTOCOL = ("threshold_rule", "decision_rules", "prevalences", "patient_score", "volume_score", "n_boot")
"""Settings of the evaluation that decide figures of a row."""
SCORES_FORM = 2
"""Raised with every change in what is stored of scores, so that older files are not misread."""
DETAILS = ("search_steps",)
"""Fields of a model's configuration that its row shows."""


def score(
    published: PublishedModel, images: ImageStore, splits: pd.DataFrame, config: EvaluationConfig, seed: int, cached: Arrays | None
) -> tuple[pd.DataFrame, dict[str, NDArray[Any]]]:
    """Scores and anomaly maps of the validation and test images; the stored ones where nothing that decides them has changed.

    Reads no label: of the splits, only which images there are.

    Returns:
        The table image_id, split, score, score_<component> for each component of the score, key; and the arrays of the same names (n,),
        with maps (n, H, W).
    """
    chosen = splits.loc[splits["split"].isin(EVALUATED), ["image_id", "split", "row"]]
    key = digest([SCORES_FORM, published.key, images.key, chosen.astype(str).to_numpy().tolist(), seed, __version__])
    arrays = dict(cached) if cached is not None and str(cached["key"]) == key else _scored(published, images, chosen, config, seed, key)
    columns = {name: arrays[name] for name in arrays if name == "score" or name.startswith("score_")}
    table = chosen[["image_id", "split"]].assign(**columns, key=key)
    return table.reset_index(drop=True), arrays


def _scored(
    published: PublishedModel, images: ImageStore, chosen: pd.DataFrame, config: EvaluationConfig, seed: int, key: str
) -> dict[str, NDArray[Any]]:
    names = chosen["image_id"].astype(str).tolist()
    found = scored(published, images, chosen, config.batch_size, seed, published.name)
    cropped = crop_padding(torch.from_numpy(found.maps[:, None]), images.info.height, images.info.width)[:, 0].numpy()
    columns = {"score": found.scores, **{f"score_{name}": values for name, values in found.components.items()}}
    return {"image_id": np.array(names), **columns, "maps": np.ascontiguousarray(cropped), "key": np.array(key)}


def evaluate(
    published: PublishedModel, scores: pd.DataFrame, splits: pd.DataFrame, config: EvaluationConfig, seed: int
) -> tuple[dict[str, Any], Drawing, Drawing]:
    """The row of a detector, and its confusion matrix and histogram of scores on the test images."""
    details: dict[str, Any] = {name: published.configuration[name] for name in DETAILS if name in published.configuration}
    if published.card["labels_used"] == "checkpoint":
        details["labels_used"] = "checkpoint"
    details |= {"published_step": published.card["published_step"], "published_key": published.key}
    sees_mix = models.load(published.name).TRAINING_SET is TrainingSet.MIX
    protocol = {name: getattr(config, name) for name in PROTOCOL}
    row = evaluate_detector(scores, splits, **protocol, seed=seed, sees_mix=sees_mix, details=details)
    test = joined(scores, splits, "test", aggregate_of(row))
    cut = row["threshold"]["value"]
    matrix = drawing(confusion_matrix, row["confusion_matrix"], ("normal", "anomalous"), published.name)
    histogram = drawing(score_histograms, test["score"].to_numpy(), test["category"].to_numpy(), cut, published.name)
    return row, matrix, histogram


def compare(
    images: ImageStore, splits: pd.DataFrame, *evaluations_and_scores: Any
) -> tuple[dict[str, Any], pd.DataFrame, Drawing, Drawing, Drawing]:
    """All detectors side by side.

    Args:
        images: the store, whose key names the data.
        splits: with the test labels.
        evaluations_and_scores: the row of each detector, in the order of `models.detectors()`, then the table of scores of each.

    Returns:
        The section `detectors` of the results, its table, and the ROC, precision-recall and interval pictures.
    """
    names = models.detectors()
    rows = dict(zip(names, evaluations_and_scores[: len(names)], strict=True))
    tables = dict(zip(names, evaluations_and_scores[len(names) :], strict=True))
    tests = {name: joined(table, splits, "test", aggregate_of(rows[name])) for name, table in tables.items()}
    ranked = {name: (test["label"].to_numpy(), test["score"].to_numpy()) for name, test in tests.items()}
    unit = "patients" if all(row["interval_unit"] == "patient" for row in rows.values()) else "images"
    picture = drawing(
        forest,
        {name: row["auroc"] for name, row in rows.items()},
        f"AUROC on the test images, 95 % intervals over {unit}",
        notes={name: ", ".join(notes_of(row)) for name, row in rows.items()},
    )
    return (
        {"data": data_hash(images, splits), "rows": rows},
        comparison_table(rows),
        drawing(roc_curves, ranked),
        drawing(pr_curves, ranked),
        picture,
    )
