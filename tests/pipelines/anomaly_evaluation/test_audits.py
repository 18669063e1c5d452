"""The audit nodes on a tiny store."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from medgan import models
from medgan.audits.robustness import variants
from medgan.evaluation.protocol import EvaluationConfig, LabelNoise, RobustnessConfig
from medgan.pipelines.anomaly_evaluation.audits import nodes as audits
from medgan.pipelines.anomaly_evaluation.scoring import nodes

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
def judged(published, images, splits):
    scores, _ = nodes.score(published, images, splits, CONFIG, 0, None)
    return scores, nodes.evaluate(published, scores, splits, CONFIG, 0)[0]


def test_perturbed_scores_are_reused_know_no_label_and_do_not_depend_on_the_batch(
    published, images, splits, monkeypatch
):
    found = audits.score_perturbed(published, images, splits, CONFIG, 0, None)
    assert found["scores"].shape == (VARIANTS, 20)
    blind = splits[["image_id", "split", "row"]]
    other_batch = replace(CONFIG, batch_size=3)
    assert np.array_equal(
        audits.score_perturbed(published, images, blind, other_batch, 0, None)["scores"],
        found["scores"],
    )
    monkeypatch.setattr(audits, "score_images", lambda *_, **__: pytest.fail("scored again"))
    again = audits.score_perturbed(published, images, splits, CONFIG, 0, found)
    assert again["scores"] is found["scores"]
    with pytest.raises(pytest.fail.Exception, match="scored again"):
        audits.score_perturbed(published, images, splits, CONFIG, 1, found)


def test_a_detector_that_takes_too_long_is_not_run_and_says_what_it_takes(
    published, images, splits, judged
):
    found = audits.score_perturbed(published, images, splits, SLOW, 0, None)
    document, figure = audits.robustness(published, found, judged[0], splits, judged[1], SLOW, 0)
    assert document["perturbations"] == {}
    assert "s an image" in document["sentence"]
    assert "evaluation.robustness.seconds" in document["sentence"]
    assert figure.draw().get_suptitle().startswith("nearest neighbour")


def test_the_documents_are_plain_json_and_every_figure_is_drawn(
    published, images, splits, judged, monkeypatch
):
    monkeypatch.setattr(models, "detectors", lambda: ("nearest_neighbour",))
    scores, row = judged
    arrays = audits.score_perturbed(published, images, splits, CONFIG, 0, None)
    robust, curves = audits.robustness(published, arrays, scores, splits, row, CONFIG, 0)
    groups, forest = audits.subgroups(published, scores, splits, row, None, CONFIG, 0)
    errors = audits.errors(scores, splits, row, CONFIG, 0)
    table, reasons = audits.score_shortcuts(images, splits, 0)
    shortcuts, picture = audits.shortcuts(table, reasons, splits, CONFIG, 0, row, scores)
    quarantine, exclusions = (
        pd.DataFrame({"path": [], "code": []}),
        pd.DataFrame({"path": ["x"], "reason": ["label unclear"]}),
    )
    cohort, paper, flow = audits.describe_cohort(
        splits, quarantine, exclusions, {"verdict": "no leak", "dropped": 2}
    )
    reference = audits.describe_reference(replace(CONFIG, label_noise=LabelNoise(0.1, 0.0)), row)
    for document in (robust, groups, errors, shortcuts, cohort, reference):
        assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert all(
        drawn.draw().axes
        for drawn in (curves, forest, picture, flow, audits.compare_robustness(robust))
    )
    assert robust["sample"]["n_images"] == 20
    assert groups["groups"] == {}
    assert cohort["flow"]["listed"] == 90 + 1 + 2
    assert paper.iloc[0].tolist()[:2] == ["images", ""]
    assert shortcuts["detectors"]["nearest_neighbour"]["compared_with"] == "one_class"
    assert (
        reference["label_noise"]["auroc_if_labels_were_right"]["nearest_neighbour"]["value"] <= 1.0
    )
    assert set(errors["miss"]) == {"n", "shown"}
    assert len(errors["false_alarm"]["shown"]) == min(3, errors["false_alarm"]["n"])
