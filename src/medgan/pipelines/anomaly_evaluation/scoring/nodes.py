"""Scoring, evaluating and comparing detectors. Test labels are read in `evaluate` and nowhere
else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan import models
from medgan.audits.other_scanner import perturbed_auroc
from medgan.contracts import TrainingSet
from medgan.errors import UserError
from medgan.evaluation.compare_runs import COLUMNS
from medgan.evaluation.components import MAHALANOBIS, evaluate_components, mahalanobis
from medgan.evaluation.details import ComponentsResult, ExternalResult
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.domain import freeze_domain
from medgan.evaluation.external import (
    Images,
    Origin,
    evaluate_externally,
    not_asked,
    require_fit,
    require_unseen,
)
from medgan.evaluation.results import DetectorResult
from medgan.evaluation.score_table import judged, units_in
from medgan.images.splits import data_hash, training_rows
from medgan.images.store import ImageStore
from medgan.models import PublishedModel, display_name
from medgan.pipelines.anomaly_evaluation.scoring.arrays import (
    EVALUATED,
    anomaly_maps,
    residuals,
    score_perturbed,
    score_validation_perturbed,
    scorer,
)
from medgan.pipelines.anomaly_evaluation.scoring.localisation import localize
from medgan.pipelines.anomaly_evaluation.scoring.maps import heat_maps
from medgan.pipelines.anomaly_evaluation.scoring.projections import project_features
from medgan.pipelines.outputs import Arrays, Evaluation, Illustrations, Scores, Trained
from medgan.pipelines.shared import Earlier, EvaluationData, embed, of_images
from medgan.plots.detectors import confusion_matrix, score_histograms
from medgan.plots.forest import forest
from medgan.progress import progress_bar
from medgan.words import GIVEN, SMOKE, SMOKE_SCALE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def score(data: EvaluationData, trained: Trained, earlier: Earlier) -> Scores:
    """Score the validation and test images, and make all that is expensive of a detector; the
    stored arrays where nothing that decides them has changed.

    Reads no label of validation or test: of the splits, only which images there are.
    """
    model, encodes = trained.model, trained.model.name in models.encoders()
    old: Scores | None = earlier("scores", model.name)
    maps = anomaly_maps(model, data, old.maps if old else None)
    names = [name for name in maps if name == "score" or name.startswith("score_")]
    columns = {name: maps[name] for name in names} | {"key": str(maps["key"])}
    table = data.rows(*EVALUATED)[["image_id", "split"]].assign(**columns)
    perturbed = score_perturbed(model, data, old.perturbed if old else None)
    seconds = float(perturbed["seconds_per_image"])
    return Scores(
        scores=table.reset_index(drop=True),
        maps=maps,
        perturbed=perturbed,
        embeddings=embed(model, data, old.embeddings if old else None) if encodes else None,
        residuals=residuals(model, data, old.residuals if old else None) if encodes else None,
        perturbed_validation=score_validation_perturbed(
            model, data, seconds, old.perturbed_validation if old else None
        ),
    )


def evaluate(
    data: EvaluationData, trained: Trained, scores: Scores, masks: ImageStore | None
) -> Evaluation:
    """Evaluate a detector on the test images: its metrics, its maps against masks, the components
    of its score; freeze its domain on validation.
    """
    model, table = trained.model, scores.scores
    result = detector_result(model, scores, data)
    images = judged(table, data.splits, result)
    test = units_in(images, "test", result)
    composed = model.name in models.composed()
    components = evaluate_parts(model, scores, result, data) if composed else (None, None)
    domain = freeze_domain(data.images, data.splits, data.seed)
    values, categories = test["score"].to_numpy(), test["category"].to_numpy()
    return Evaluation(
        evaluation=result,
        localisation=localize(scores.maps, masks, data),
        scores=images,
        test_scores=test[list(COLUMNS)],
        confusion=confusion_matrix(
            np.asarray(result.confusion_matrix), ("normal", "anomalous"), model.name
        ),
        histogram=score_histograms(values, categories, result.threshold.value, model.name),
        components=components[0],
        components_figure=components[1],
        domain=domain.limits,
        domain_reference=domain.reference,
    )


def detector_result(model: PublishedModel, scores: Scores, data: EvaluationData) -> DetectorResult:
    """Evaluate the scores of a detector, and add facts of its card."""
    mix = models.load(model.name).TRAINING_SET is TrainingSet.MIX
    found = evaluate_detector(scores.scores, data.splits, data.config.protocol(data.seed), mix)
    perturbed = perturbed_auroc(
        scores.perturbed_validation,
        data.splits,
        found.aggregate,
        data.config.n_resamples,
        data.seed,
    )
    before = model.card["labels_used"]
    smoke = [f"{SMOKE}."] if model.card.get("scale") == SMOKE_SCALE else []
    given = [GIVEN] if "given" in model.card else []
    return replace(
        found,
        validation=found.validation and replace(found.validation, perturbed_auroc=perturbed),
        warnings=(*smoke, *given, *found.warnings),
        search_steps=model.configuration.get("search_steps"),
        labels_used=found.labels_used if before == "none" else before,
        published_step=model.card["published_step"],
        published_key=model.key,
    )


def illustrate(
    data: EvaluationData,
    trained: Trained,
    scores: Scores,
    evaluation: Evaluation,
    masks: ImageStore | None,
    earlier: Earlier,
) -> Illustrations:
    """Draw the heat maps of a detector, and the projections of its features if it has any."""
    model, embeddings = trained.model, scores.embeddings
    old: Illustrations | None = earlier("illustrations", model.name)
    kept, plane = (old.counterparts, old.plane) if old else (None, None)
    pictures = heat_maps(data, model, (scores, evaluation), masks, kept)
    if embeddings is None:
        return Illustrations(*pictures)
    found = project_features(model.name, embeddings, data, plane, scores.scores)
    return Illustrations(*pictures, found.plane, found.projections, found.projections_figure)


def validate_externally(
    name: str, data: EvaluationData, elsewhere: Earlier, earlier: Earlier
) -> ExternalResult:
    """Evaluate the detector that was trained on `evaluation.model_from`.

    Where that is not set, the result of an earlier run on the same test images stays, if any.
    `elsewhere` has `trained` and `evaluation` of the detector there, and `splits`, for images that
    are in both.

    Raises:
        UserError: the other data set has no such model, or has not evaluated it, or the model does
            not fit the images.
    """
    config, key = data.config, data_hash(data.images, data.splits)
    if config.model_from is None:
        kept: ExternalResult | None = earlier("external", name)
        return kept if kept is not None and kept.data == key else not_asked()
    if config.model_from == config.dataset:
        raise UserError(
            f"evaluation.model_from is '{config.model_from}', which is this very data set: "
            "name another one."
        )
    trained, home = elsewhere("trained", name), elsewhere("evaluation", name)
    model, row = _complete(trained and trained.model, home and home.evaluation, config.model_from)
    info, card = data.images.info, model.card
    require_fit(
        model.name,
        config.model_from,
        Images(tuple(card.get("image_size", ())), model.spec.channels, card.get("intensity")),
        Images((info.height, info.width), info.channels, str(info.scaling)),
    )
    overlap = require_unseen(data.splits, elsewhere("splits"), config.model_from)
    scores, origin = _scores(model, data), Origin(config.model_from, overlap)
    found = evaluate_externally(scores, data.splits, row, origin, config.n_resamples, data.seed)
    return replace(found, data=key)


def _complete(
    published: PublishedModel | None, home: DetectorResult | None, trained_on: str
) -> tuple[PublishedModel, DetectorResult]:
    """The model and its result.

    Raises:
        UserError: one is missing, or the result is of other weights.
    """
    if published is None:
        raise UserError(
            f"'{trained_on}' has not published every detector that is to run: give evaluation.model_from with --params, as the name of a "
            f"data set below data/06_models; train them with `kedro run --env {trained_on}`, or choose with --namespaces those it has."
        )
    if home is None or home.published_key != published.key:
        raise UserError(
            f"The frozen threshold of {published.name} of '{trained_on}' is not that of its newest weights: "
            f"`kedro run --env {trained_on} --pipeline anomaly_evaluation` makes it."
        )
    return published, home


def _scores(model: PublishedModel, data: EvaluationData) -> pd.DataFrame:
    chosen, title = data.rows("test"), f"{model.name} of {data.config.model_from}"
    with progress_bar(title, "image", len(chosen)) as bar:
        found = scorer(model, data)(chosen, on_progress=bar.update)
    return chosen[["image_id", "split"]].assign(score=found.scores)


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
