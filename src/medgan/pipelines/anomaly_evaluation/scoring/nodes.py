"""Scoring, evaluating and comparing detectors. Test labels are read in `evaluate` and `compare` and
nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medgan import __version__, models
from medgan.contracts import TrainingSet
from medgan.errors import UserError
from medgan.evaluation.baselines import Judged, compare_with_baselines
from medgan.evaluation.compare_runs import scored_units
from medgan.evaluation.detector import evaluate_detector, joined
from medgan.evaluation.external import evaluate_externally, not_asked, require_fit, require_unseen
from medgan.evaluation.protocol import EvaluationConfig
from medgan.evaluation.scores import Scored, score_images
from medgan.evaluation.volumes import aggregate_of
from medgan.files.digest import digest
from medgan.images.loading import StoredImages
from medgan.images.splits import data_hash
from medgan.images.store import ImageStore
from medgan.images.transforms import crop_padding
from medgan.models import PublishedModel
from medgan.plots.detectors import confusion_matrix, pr_curves, roc_curves, score_histograms
from medgan.plots.forest import differences, forest
from medgan.plots.style import Drawing, drawing
from medgan.report.tables import comparison_table
from medgan.report.text import notes_of
from medgan.training.progress import progress_bar
from medgan.training.runtime import Runtime


def scored(
    published: PublishedModel,
    images: ImageStore,
    chosen: pd.DataFrame,
    batch_size: int,
    seed: int,
    title: str,
) -> Scored:
    """What the detector says of the images of `chosen` (image_id, row), in their order. Raises
    `UserError` where that is not finite.
    """
    device = Runtime.detect().device
    with progress_bar(title, "image", len(chosen)) as bar:
        return score_images(
            published.build().to(device),  # type: ignore[arg-type]  # the registry lists detectors only
            StoredImages(images),
            chosen["row"].to_numpy(dtype=np.int64),
            batch_size=batch_size,
            seed=seed,
            device=str(device),
            names=chosen["image_id"].astype(str).tolist(),
            on_progress=bar.update,
        )


Arrays = Mapping[str, NDArray[Any]]
EVALUATED = ("val", "test")
PROTOCOL = (
    "threshold_rule",
    "decision_rules",
    "prevalences",
    "patient_score",
    "volume_score",
    "n_resamples",
)
"""Settings of the evaluation that decide figures of a row."""
SCORES_FORM = 2
"""Raised with every change in what is stored of scores, so that older files are not misread."""
DETAILS = ("search_steps",)
"""Fields of a model's configuration that its row shows."""


def score(
    published: PublishedModel,
    images: ImageStore,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
    cached: Arrays | None,
) -> tuple[pd.DataFrame, dict[str, NDArray[Any]]]:
    """Scores and anomaly maps of the validation and test images; the stored ones where nothing that
    decides them has changed.

    Reads no label: of the splits, only which images there are.

    Returns:
        The table image_id, split, score, score_<component> for each component of the score, key;
        and the arrays of the same names (n,), with maps (n, H, W).
    """
    chosen = splits.loc[splits["split"].isin(EVALUATED), ["image_id", "split", "row"]]
    key = digest(
        [
            SCORES_FORM,
            published.key,
            images.key,
            chosen.astype(str).to_numpy().tolist(),
            seed,
            __version__,
        ]
    )
    arrays = (
        dict(cached)
        if cached is not None and str(cached["key"]) == key
        else _scored(published, images, chosen, config, seed, key)
    )
    columns = {
        name: arrays[name] for name in arrays if name == "score" or name.startswith("score_")
    }
    table = chosen[["image_id", "split"]].assign(**columns, key=key)
    return table.reset_index(drop=True), arrays


def _scored(
    published: PublishedModel,
    images: ImageStore,
    chosen: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
    key: str,
) -> dict[str, NDArray[Any]]:
    names = chosen["image_id"].astype(str).tolist()
    found = scored(published, images, chosen, config.batch_size, seed, published.name)
    cropped = crop_padding(
        torch.from_numpy(found.maps[:, None]), images.info.height, images.info.width
    )[:, 0].numpy()
    columns = {
        "score": found.scores,
        **{f"score_{name}": values for name, values in found.components.items()},
    }
    return {
        "image_id": np.array(names),
        **columns,
        "maps": np.ascontiguousarray(cropped),
        "key": np.array(key),
    }


def evaluate(
    published: PublishedModel,
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
) -> tuple[dict[str, Any], Drawing, Drawing]:
    """The row of a detector, and its confusion matrix and histogram of scores on the test
    images.
    """
    details: dict[str, Any] = {
        name: published.configuration[name] for name in DETAILS if name in published.configuration
    }
    if published.card["labels_used"] == "checkpoint":
        details["labels_used"] = "checkpoint"
    details |= {"published_step": published.card["published_step"], "published_key": published.key}
    sees_mix = models.load(published.name).TRAINING_SET is TrainingSet.MIX
    protocol = {name: getattr(config, name) for name in PROTOCOL}
    row = evaluate_detector(
        scores, splits, **protocol, seed=seed, sees_mix=sees_mix, details=details
    )
    test = joined(scores, splits, "test", aggregate_of(row))
    cut = row["threshold"]["value"]
    matrix = drawing(
        confusion_matrix, row["confusion_matrix"], ("normal", "anomalous"), published.name
    )
    histogram = drawing(
        score_histograms, test["score"].to_numpy(), test["category"].to_numpy(), cut, published.name
    )
    return row, matrix, histogram


def compare(
    images: ImageStore, splits: pd.DataFrame, *evaluations_and_scores: Any
) -> tuple[dict[str, Any], pd.DataFrame, Drawing, Drawing, Drawing]:
    """All detectors side by side.

    Args:
        images: the store, whose key names the data.
        splits: with the test labels.
        evaluations_and_scores: the row of each detector, in the order of `models.detectors()`, then
            the table of scores of each.

    Returns:
        The section `detectors` of the results, its table, and the ROC, precision-recall and
        interval pictures.
    """
    names = models.detectors()
    rows = dict(zip(names, evaluations_and_scores[: len(names)], strict=True))
    tables = dict(zip(names, evaluations_and_scores[len(names) :], strict=True))
    tests = {
        name: joined(table, splits, "test", aggregate_of(rows[name]))
        for name, table in tables.items()
    }
    ranked = {
        name: (test["label"].to_numpy(), test["score"].to_numpy()) for name, test in tests.items()
    }
    unit = (
        "patients" if all(row["interval_unit"] == "patient" for row in rows.values()) else "images"
    )
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


def validate_externally(
    published: PublishedModel | None,
    home: Mapping[str, Any] | None,
    other_splits: pd.DataFrame | None,
    kept: Mapping[str, Any] | None,
    images: ImageStore,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    """The row of the detector that was trained on `evaluation.model_from`.

    Where that is not set, the row of an earlier run on the same test images stays; without one, the
    reason why there is none.

    Args:
        published: the model of the other data set.
        home: its row there.
        other_splits: the splits there, for images that are in both.
        kept: the document of an earlier run.
        images: of this data set.
        splits: of this data set.
        config: names the other data set.
        seed: of the scores and the resamples.

    Raises:
        UserError: the other data set has no such model, or has not evaluated it, or the model does
            not fit the images.
    """
    data = data_hash(images, splits)
    if config.model_from is None:
        return dict(kept) if kept is not None and kept.get("data") == data else not_asked()
    if config.model_from == config.dataset:
        raise UserError(
            f"evaluation.model_from is '{config.model_from}', which is this very data set: name another one."
        )
    model, row = _complete(published, home, config.model_from)
    info = images.info
    here = {
        "image_size": [info.height, info.width],
        "channels": info.channels,
        "intensity": info.intensity,
    }
    require_fit(model.name, config.model_from, model.card, model.spec.channels, here)
    known = require_unseen(splits, other_splits, config.model_from)
    scores = _scores(model, images, splits, config, seed)
    return {
        **evaluate_externally(
            scores, splits, row, config.model_from, known, config.n_resamples, seed
        ),
        "data": data,
    }


def _complete(
    published: PublishedModel | None, home: Mapping[str, Any] | None, trained_on: str
) -> tuple[PublishedModel, Mapping[str, Any]]:
    """The model and its row.

    Raises:
        UserError: one is missing, or the row is of other weights.
    """
    if published is None:
        raise UserError(
            f"'{trained_on}' has not published every detector that is to run: give evaluation.model_from with --params, as the name of a "
            f"data set below data/06_models; train them with `kedro run --env {trained_on}`, or choose with --namespaces those it has."
        )
    if home is None or home.get("published_key") != published.key:
        raise UserError(
            f"The frozen threshold of {published.name} of '{trained_on}' is not that of its newest weights: "
            f"`kedro run --env {trained_on} --pipeline anomaly_evaluation` makes it."
        )
    return published, home


def _scores(
    model: PublishedModel,
    images: ImageStore,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
) -> pd.DataFrame:
    chosen = splits.loc[splits["split"] == "test", ["image_id", "split", "row"]]
    found = scored(
        model, images, chosen, config.batch_size, seed, f"{model.name} of {config.model_from}"
    )
    return chosen[["image_id", "split"]].assign(score=found.scores)


EVALUATION, SCORES = "evaluation_", "scores_"


def differences_from_baselines(
    splits: pd.DataFrame, config: EvaluationConfig, seed: int, **detectors: Any
) -> tuple[dict[str, Any], Drawing]:
    """The document `detector_tests`, and its picture.

    Args:
        splits: with the test labels.
        config: of the evaluation.
        seed: of the resamples.
        detectors: `evaluation_<name>`, the row of a detector, and `scores_<name>`, its table of
            scores.
    """
    names = [key.removeprefix(EVALUATION) for key in detectors if key.startswith(EVALUATION)]
    rows = {name: detectors[f"{EVALUATION}{name}"] for name in names}
    judged = {
        name: Judged(row, joined(detectors[f"{SCORES}{name}"], splits, "test", aggregate_of(row)))
        for name, row in rows.items()
    }
    document = compare_with_baselines(judged, config.n_resamples, seed)
    return document, drawing(
        differences, document["tests"], f"AUROC minus that of the baseline, {config.dataset}"
    )


def keep_scores(
    scores: pd.DataFrame, splits: pd.DataFrame, evaluation: Mapping[str, Any]
) -> pd.DataFrame:
    """One row for each test image of a detector: unit, group_id, group_known, label, category,
    score, called (at its frozen threshold).
    """
    return scored_units(
        scores, splits, float(evaluation["threshold"]["value"]), aggregate_of(evaluation)
    )
