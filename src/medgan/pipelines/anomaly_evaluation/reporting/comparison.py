"""Nodes that compare all detectors and show their features on one page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from medgan.audits.cohort import reference_standard
from medgan.audits.scored import ScoredDetector
from medgan.audits.shortcuts import audit_shortcuts
from medgan.evaluation.baselines import Judged, compare_with_baselines
from medgan.evaluation.embeddings import METHODS, shown_images
from medgan.evaluation.results import DetectorResult, Section
from medgan.evaluation.score_table import units_in
from medgan.images.splits import data_hash
from medgan.pipelines.anomaly_evaluation.audits.categories import compare_categories
from medgan.pipelines.anomaly_evaluation.scoring.projections import methods_of, note_of
from medgan.pipelines.outputs import (
    Audit,
    Comparison,
    Evaluation,
    Features,
    Illustrations,
    ShortcutScores,
)
from medgan.pipelines.shared import EvaluationData
from medgan.plots.detectors import pr_curves, roc_curves
from medgan.plots.forest import differences, forest, shortcut_forest
from medgan.plots.robustness import robustness_table
from medgan.report.projections import projection_page
from medgan.report.summary import comparison_table
from medgan.report.text import notes_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Evaluations = Mapping[str, Evaluation]


def compare_detectors(
    data: EvaluationData,
    evaluations: Evaluations,
    audits: Mapping[str, Audit],
    shortcut_scores: ShortcutScores,
    left_out: Mapping[str, str] | None = None,
) -> tuple[Section[DetectorResult], pd.DataFrame, Comparison]:
    """Return the section `detectors` of the results, its table, and the tests and pictures."""
    config, seed = data.config, data.seed
    rows = {name: found.evaluation for name, found in evaluations.items()}
    judged = {
        name: Judged(found.evaluation, units_in(found.scores, "test", found.evaluation))
        for name, found in evaluations.items()
    }
    ranked = {
        name: (one.test["label"].to_numpy(), one.test["score"].to_numpy())
        for name, one in judged.items()
    }
    against = compare_with_baselines(judged, config.n_resamples, seed)
    scored = {
        name: ScoredDetector.of(one.scores, one.evaluation) for name, one in evaluations.items()
    }
    given = shortcut_scores.shortcut_scores, shortcut_scores.shortcut_reasons
    shortcuts = audit_shortcuts(*given, scored, data.splits, config.n_resamples, seed)
    aurocs = {name: row.auroc for name, row in rows.items()}
    told = {name: found.categories for name, found in audits.items() if found.categories}
    title = f"AUROC minus that of the baseline, {config.dataset}"
    comparison = Comparison(
        auroc=_forest(rows),
        roc=roc_curves(ranked),
        precision_recall=pr_curves(ranked),
        detector_tests=against,
        detector_tests_figure=differences(against.tests, title),
        shortcuts=shortcuts,
        shortcuts_figure=shortcut_forest(shortcuts),
        robustness=robustness_table({name: found.robustness for name, found in audits.items()}),
        categories=compare_categories(told),
        reference_standard=reference_standard(
            config.reference_standard, config.label_noise, aurocs
        ),
    )
    section = Section(data_hash(data.images, data.splits), rows, left_out or {})
    return section, comparison_table(rows), comparison


def _forest(rows: Mapping[str, DetectorResult]) -> Figure:
    patients = all(row.interval_unit == "patient" for row in rows.values())
    title = f"AUROC on the test images, 95 % intervals over {'patients' if patients else 'images'}"
    notes = {name: ", ".join(notes_of(row)) for name, row in rows.items()}
    return forest({name: row.auroc for name, row in rows.items()}, title, notes=notes)


def projections_page(
    data: EvaluationData,
    evaluations: Evaluations,
    illustrations: Mapping[str, Illustrations],
    features: Mapping[str, Features],
) -> str:
    """Put all projections on one page where a point shows its image."""
    config = data.config
    shown = shown_images(data.splits, config.category_images, config.projected_images, data.seed)
    shown = shown.reset_index(drop=True).assign(image_id=shown["image_id"].astype(str).to_numpy())
    planes = {name: found.plane for name, found in illustrations.items() if found.plane}
    planes |= {name: found.plane for name, found in features.items()}
    there = {
        name: plane for name, plane in planes.items() if any(method in plane for method in METHODS)
    }
    scores = {
        name: found.scores.set_index("image_id")["score"].reindex(shown["image_id"]).to_numpy()
        for name, found in evaluations.items()
        if name in there
    }
    notes = {name: note_of(methods_of(plane)) for name, plane in there.items()}
    title, chosen = f"Image features, {config.dataset}", shown if there else shown.iloc[:0]
    pixels = data.images.read(chosen["row"].to_numpy(dtype=np.int64))
    drawn = {
        name: {method: plane[method] for method in METHODS if method in plane}
        for name, plane in there.items()
    }
    return projection_page(pixels, chosen, drawn, scores, notes, title)
