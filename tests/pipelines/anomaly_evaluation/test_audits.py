"""The audit nodes on a tiny store."""

import json
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from medgan import models
from medgan.audits.data_results import CohortResult
from medgan.audits.results import RobustnessResult, ShortcutsResult
from medgan.audits.robustness import variants
from medgan.evaluation.protocol import EvaluationConfig, LabelNoise, RobustnessConfig
from medgan.evaluation.results import DetectorResult
from medgan.files.documents import from_json, to_json
from medgan.images.leakage import leakage_audit
from medgan.pipelines.anomaly_evaluation.audits import nodes as audits
from medgan.pipelines.anomaly_evaluation.reporting.comparison import compare_detectors
from medgan.pipelines.anomaly_evaluation.scoring import arrays, nodes
from tests.pipelines.conftest import data_of, nothing, trained

CONFIG = EvaluationConfig(
    dataset="tiny",
    n_resamples=100,
    batch_size=7,
    random_errors=3,
    robustness=RobustnessConfig(images=20),
)
SLOW = replace(CONFIG, robustness=RobustnessConfig(images=20, seconds=0.0))
VARIANTS = len(list(variants()))


@pytest.fixture
def leakage(splits):
    facts = {"split": "by_patient", "on_leak": "fail", "dropped": 2, "validation": "as split"}
    return replace(leakage_audit(splits.assign(official_split=None)), **facts)


def judged(published, data):
    scores = nodes.score(data, trained(published), nothing)
    return scores, nodes.evaluate(data, trained(published), scores, None)


def test_perturbed_scores_are_reused_know_no_label_and_do_not_depend_on_the_batch(
    published, images, splits, monkeypatch
):
    data = data_of(images, splits, CONFIG)
    found = arrays.score_perturbed(published, data, None)
    assert found["scores"].shape == (VARIANTS, 20)
    blind = data_of(images, splits[["image_id", "split", "row"]], replace(CONFIG, batch_size=3))
    again = arrays.score_perturbed(published, blind, None)
    assert np.array_equal(again["scores"], found["scores"])
    monkeypatch.setattr(arrays, "score_images", lambda *_, **__: pytest.fail("scored again"))
    assert arrays.score_perturbed(published, data, found)["scores"] is found["scores"]
    with pytest.raises(pytest.fail.Exception, match="scored again"):
        arrays.score_perturbed(published, replace(data, seed=1), found)


def test_validation_is_scored_under_perturbation_without_its_labels_and_reused(
    published, images, splits, monkeypatch
):
    data = data_of(images, splits, CONFIG)
    scores, evaluation = judged(published, data)
    found = scores.perturbed_validation
    assert set(found["image_id"]) == set(splits.loc[splits["split"] == "val", "image_id"])
    clean = scores.scores.set_index("image_id")["score"].loc[found["image_id"]]
    assert not np.allclose(found["scores"], clean)
    validation = evaluation.evaluation.validation
    assert 0.5 < validation.perturbed_auroc.value <= 1.0
    assert from_json(DetectorResult, to_json(evaluation.evaluation)).validation == validation
    blind = data_of(images, splits[["image_id", "split", "row"]], replace(CONFIG, batch_size=3))
    again = arrays.score_validation_perturbed(published, blind, 0.001, None)
    assert np.array_equal(again["scores"], found["scores"])
    monkeypatch.setattr(arrays, "score_images", lambda *_, **__: pytest.fail("scored again"))
    assert arrays.score_validation_perturbed(published, data, 0.1, found) is found
    slow = arrays.score_validation_perturbed(published, data, 1e6, None)
    assert "evaluation.robustness.seconds" in str(slow["reason"])


def test_a_detector_that_takes_too_long_is_not_run_and_says_what_it_takes(
    published, images, splits, leakage
):
    data = data_of(images, splits, SLOW)
    found = audits.audit(data, trained(published), *judged(published, data), leakage)
    assert found.robustness.perturbations == {}
    assert "s an image" in found.robustness.sentence
    assert "evaluation.robustness.seconds" in found.robustness.sentence
    assert found.robustness_figure.axes or found.robustness_figure.texts


def test_the_documents_are_plain_json_and_every_figure_is_drawn(
    published, images, splits, leakage, monkeypatch
):
    monkeypatch.setattr(models, "detectors", lambda: ("nearest_neighbour",))
    noisy = replace(CONFIG, label_noise=LabelNoise(0.1, 0.0))
    data = data_of(images, splits, noisy)
    scores, evaluation = judged(published, data)
    audit = audits.audit(data, trained(published), scores, evaluation, leakage)
    name = {"nearest_neighbour": evaluation}
    shortcuts = audits.score_shortcuts(images, splits, 0)
    *_, comparison = compare_detectors(data, name, {"nearest_neighbour": audit}, shortcuts)
    quarantine, exclusions = (
        pd.DataFrame({"path": [], "code": []}),
        pd.DataFrame({"path": ["x"], "reason": ["label unclear"]}),
    )
    cohort = audits.describe_cohort(splits, quarantine, exclusions, leakage)
    for part in (audit, comparison, cohort):
        for field in fields(part):
            value = getattr(part, field.name)
            if hasattr(value, "axes") and hasattr(value, "savefig"):
                assert value.axes, field.name
    for document in (audit.robustness, comparison.shortcuts, cohort.cohort, audit.random_errors):
        assert json.loads(json.dumps(to_json(document), allow_nan=False))
    assert isinstance(audit.robustness, RobustnessResult)
    assert audit.robustness.sample.n_images == 20
    assert audit.subgroups.groups == {}
    assert isinstance(cohort.cohort, CohortResult)
    assert cohort.cohort.flow.listed == 90 + 1 + 2
    assert cohort.cohort_table.iloc[0].tolist()[:2] == ["images", ""]
    assert isinstance(comparison.shortcuts, ShortcutsResult)
    assert comparison.shortcuts.detectors["nearest_neighbour"].compared_with == "one_class"
    bound = comparison.reference_standard.label_noise
    assert bound.auroc_if_labels_were_right["nearest_neighbour"].value <= 1.0
    errors = audit.random_errors
    assert len(errors.false_positive.shown) == min(3, errors.false_positive.n)
