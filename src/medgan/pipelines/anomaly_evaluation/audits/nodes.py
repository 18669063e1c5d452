"""Nodes that audit detectors (subgroups, robustness, anomaly types, errors) and the data (shortcuts,
cohort).

Test labels are read here but by `score_shortcuts`.
"""

from __future__ import annotations

import pandas as pd

from medgan import models
from medgan.audits import cohort
from medgan.audits.errors import describe_errors, describe_worst_slices
from medgan.audits.robustness import audit_robustness
from medgan.audits.scored import ScoredDetector
from medgan.audits.shortcut_baselines import shortcut_scores
from medgan.audits.subgroups import audit_subgroups
from medgan.evaluation.results import ClassifierResult, Section
from medgan.images.leakage import LeakageAudit
from medgan.images.store import ImageStore
from medgan.pipelines.anomaly_evaluation.audits.categories import categorize
from medgan.pipelines.outputs import Audit, Cohort, Evaluation, Scores, ShortcutScores, Trained
from medgan.pipelines.shared import EvaluationData
from medgan.plots.flow_chart import flow_chart
from medgan.plots.forest import subgroup_forest
from medgan.plots.robustness import robustness_curves


def audit(
    data: EvaluationData,
    trained: Trained,
    scores: Scores,
    evaluation: Evaluation,
    leakage_audit: LeakageAudit,
    classifiers: Section[ClassifierResult] | None = None,
) -> Audit:
    """Audit a detector at its frozen threshold."""
    config, splits, common = data.config, data.splits, (data.config.n_resamples, data.seed)
    detector = ScoredDetector.of(scores.scores, evaluation.evaluation)
    robust = audit_robustness(scores.perturbed, detector, splits, *common)
    groups = audit_subgroups(detector, splits, leakage_audit, *common)
    encodes = trained.model.name in models.encoders()
    told = categorize(data, trained, scores, classifiers) if encodes else (None, None)
    name = models.display_name(trained.model.name)
    at_threshold = f"{name}: groups of the test images, at the frozen threshold"
    return Audit(
        robustness=robust,
        subgroups=groups,
        random_errors=describe_errors(detector, splits, config.random_errors, data.seed),
        worst_slices=describe_worst_slices(detector, splits, config.random_errors, data.seed),
        robustness_figure=robustness_curves(robust, f"{name}: test images made worse"),
        subgroups_figure=subgroup_forest(groups, at_threshold),
        categories=told[0],
        categories_figure=told[1],
    )


def score_shortcuts(images: ImageStore, splits: pd.DataFrame, seed: int) -> ShortcutScores:
    """Score the test images by the shortcut baselines, with the reasons for missing scores."""
    return ShortcutScores(*shortcut_scores(images.read, splits, seed, images.info.scaling))


def describe_cohort(
    splits: pd.DataFrame,
    quarantine: pd.DataFrame,
    exclusions: pd.DataFrame,
    leakage_audit: LeakageAudit,
) -> Cohort:
    """Describe the flow of images and the demographics of each part, with a figure and a table."""
    found = cohort.describe_cohort(splits, quarantine, exclusions, leakage_audit)
    return Cohort(found, cohort.table_one(found.demographics), flow_chart(found.flow))
