"""The nodes on a tiny store, and the wiring."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from medgan import models
from medgan.evaluation.details import ExternalTests
from medgan.evaluation.external import not_asked
from medgan.evaluation.protocol import EvaluationConfig
from medgan.images.leakage import leakage_audit
from medgan.images.splits import data_hash
from medgan.models import PublishedModel
from medgan.pipelines.anomaly_evaluation.audits import nodes as audits
from medgan.pipelines.anomaly_evaluation.pipeline import create_pipeline
from medgan.pipelines.anomaly_evaluation.reporting import comparison
from medgan.pipelines.anomaly_evaluation.reporting import nodes as reporting
from medgan.pipelines.anomaly_evaluation.scoring import arrays, nodes
from medgan.pipelines.outputs import Illustrations
from medgan.report.data import split_table
from tests.pipelines.conftest import CARD, SIDE, data_of, earlier, nothing, trained
from tests.report.test_page import PNG

CONFIG = EvaluationConfig(dataset="tiny", n_resamples=100, batch_size=7, heatmap_examples=2)


@pytest.fixture
def data(images, splits):
    return data_of(images, splits, CONFIG)


def test_scores_are_reused_until_something_that_decides_them_changes(
    published, data, splits, monkeypatch
):
    found = nodes.score(data, trained(published), nothing)
    assert set(found.scores["split"]) == {"val", "test"}
    assert found.maps["maps"].shape == (len(found.scores), SIDE, SIDE)
    monkeypatch.setattr(arrays, "score_images", lambda *_, **__: pytest.fail("scored again"))
    again = nodes.score(data, trained(published), earlier(scores=found))
    pd.testing.assert_frame_equal(found.scores, again.scores)
    assert again.maps["maps"] is found.maps["maps"]
    weaker = {"memory": published.tensors["memory"] * 0.9}
    other = PublishedModel("nearest_neighbour", {}, data.images.spec, weaker)
    for model, changed in (
        (other, data),
        (published, replace(data, seed=1)),
        (published, replace(data, splits=splits[::-1])),
    ):
        with pytest.raises(pytest.fail.Exception, match="scored again"):
            arrays.anomaly_maps(model, changed, found.maps)


def test_scoring_reads_no_label(published, data):
    found = arrays.anomaly_maps(published, data, None)
    blind = replace(data, splits=data.splits[["image_id", "split", "row"]])
    assert np.array_equal(arrays.anomaly_maps(published, blind, None)["score"], found["score"])


def test_maps_are_cut_back_to_the_image_and_lie_where_the_anomaly_is(published, data):
    found = nodes.score(data, trained(published), nothing)
    labels = found.scores.merge(data.splits[["image_id", "label"]])["label"].to_numpy()
    mean = found.maps["maps"][labels == 1].astype(float).mean(0)
    assert mean[5:15, 5:15].mean() > 1.2 * mean[16:, 16:].mean()


def test_the_row_the_figures_the_comparison_and_the_report(published, data, monkeypatch):
    names = ("nearest_neighbour", "dcgan")
    monkeypatch.setattr(models, "detectors", lambda: names)
    model, splits = trained(published), data.splits
    facts = {"split": "by_patient", "on_leak": "fail", "dropped": 0, "validation": "as split"}
    leaks = replace(leakage_audit(splits.assign(official_split=None)), **facts)
    scores = nodes.score(data, model, nothing)
    evaluation = nodes.evaluate(data, model, scores, None)
    row = evaluation.evaluation
    assert row.auroc.value > 0.95
    assert (row.sees_mix, row.interval_unit) == (False, "patient")
    assert all(figure.axes for figure in (evaluation.confusion, evaluation.histogram))
    evaluations = {
        "nearest_neighbour": evaluation,
        "dcgan": replace(evaluation, evaluation=replace(row, search_steps=5)),
    }
    audited = audits.audit(data, model, scores, evaluation, leaks)
    shortcuts = audits.score_shortcuts(data.images, splits, 0)
    section, table, compared = comparison.compare_detectors(
        data, evaluations, dict.fromkeys(names, audited), shortcuts
    )
    assert (
        section.data
        == data_hash(data.images, splits)
        != data_hash(data.images, splits.assign(split="test"))
    )
    assert list(section.rows) == list(names)
    assert table.loc[0, ["auroc", "auroc_low"]].tolist() == [row.auroc.value, row.auroc.low]
    assert table.loc[0, "patient_auroc"] == row.patient_level.auroc.value
    decided = row.decisions["fpr=0.05"]
    assert table.loc[0, "sensitivity (fpr=0.05)_low"] == decided.sensitivity.low
    assert table.loc[0, "auroc (viral)"] == row.per_category["viral"].auroc.value
    none = pd.DataFrame({"path": [], "code": [], "reason": []})
    made = reporting.Made(
        trained={"nearest_neighbour": replace(model, curves_figure=PNG)},
        evaluations={},
        audits={},
        illustrations={"nearest_neighbour": Illustrations(PNG, PNG, PNG, {})},
        features={},
        external={"dcgan": not_asked()},
        comparison=replace(compared, **dict.fromkeys(PICTURES, PNG)),
        cohort=replace(audits.describe_cohort(splits, none, none, leaks), flow=PNG),
        leakage_audit=leaks,
        tested_elsewhere=ExternalTests("tiny"),
    )
    drawn = {name: replace(one, confusion=PNG, histogram=PNG) for name, one in evaluations.items()}
    page, filled = reporting.report(data, replace(made, evaluations=drawn))
    assert len(filled.items) == 44
    assert re.search(r"<h1>[^<]*(Nearest neighbour|DCGAN|Dcgan)", page, re.IGNORECASE)
    assert "kedro run --pipeline synthesis" in page
    for words in ("40 of 80", "weights of the highest AUCp", "0.123"):
        assert words in page


PICTURES = (
    "auroc",
    "roc",
    "precision_recall",
    "detector_tests_figure",
    "shortcuts_figure",
    "robustness",
    "categories",
)


def test_search_steps_and_the_mix_are_on_the_row(data):
    module = models.load("dcgan")
    settings = {"latent_dim": 4, "width": 4, "search_steps": 1, "warm_start": 2}
    torch.manual_seed(0)
    model = module.build(module.Config(**settings), data.images.spec)
    chosen = {**CARD, "labels_used": "checkpoint"}
    published = PublishedModel("dcgan", settings, data.images.spec, model.state_dict(), chosen)
    scores = nodes.score(data, trained(published), nothing)
    row = nodes.evaluate(data, trained(published), scores, None).evaluation
    assert (row.search_steps, row.labels_used, row.published_step) == (1, "checkpoint", 40)


def test_the_split_table_counts_patients_only_where_they_are_known(splits):
    counted = split_table(splits)
    assert counted["images"].sum() == 90
    assert (
        counted.loc[counted["category"] == "viral", "patients"].sum()
        == splits.loc[splits["label"] == 1, "group_id"].nunique()
    )
    assert "patients" not in split_table(splits.assign(group_known=False))


def test_every_detector_has_a_namespace_and_the_inputs_have_owners():
    pipeline = create_pipeline(models.names())
    for name in models.detectors():
        box = pipeline.only_nodes_with_namespaces([f"anomaly_evaluation.{name}"])
        made = {node.name.rpartition(".")[2] for node in box.nodes}
        assert made == {"score", "evaluate", "audit", "illustrate", "validate_externally"}
        assert ("results.classifiers" in box.inputs()) == (name in models.encoders())
    assert pipeline.inputs() == {
        "images",
        "splits",
        "masks",
        "params:evaluation",
        "params:seed",
        "results.classifiers",
        "results.quality",
        "sample_grids",
        "arms_comparison",
        "leakage_audit",
        "quarantine",
        "exclusions",
        "data_summary",
        "cut",
        "tested_elsewhere",
        "trained_elsewhere",
        "earlier_evaluations",
        "domain_features.trained",
        *(f"{name}.trained" for name in models.names()),
    }


def test_wrong_settings_are_refused_by_name():
    from medgan.errors import UserError

    with pytest.raises(UserError, match=r"evaluation\.n_resamples"):
        EvaluationConfig(n_resamples=10)
    with pytest.raises(UserError, match=r"evaluation\.threshold_rule"):
        EvaluationConfig(threshold_rule="best")
