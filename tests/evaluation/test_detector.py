import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch

from medgan.contracts import AnomalyScores
from medgan.errors import UserError
from medgan.evaluation.categories import ClassifiedImages
from medgan.evaluation.classifier import evaluate_classifier
from medgan.evaluation.detector import evaluate, evaluate_detector, freeze
from medgan.evaluation.examples import most_confident_examples
from medgan.evaluation.protocol import Protocol
from medgan.evaluation.reading import read_results
from medgan.evaluation.results import Results
from medgan.evaluation.scores import Batches, score_images
from medgan.files.documents import to_json
from medgan.stats.bootstrap import Estimate
from medgan.stats.thresholds import Conformal, FalsePositiveRate, Sensitivity, Youden


def table(n=300, effect=1.5, seed=0, known=True):
    """Splits, and scores that rise with the label."""
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, 120, n)
    category = np.array(["normal", "bacterial", "viral"])[patient % 3]
    splits = pd.DataFrame(
        {
            "image_id": [f"image{index}" for index in range(n)],
            "group_id": [f"p{number}" for number in patient],
            "group_known": known,
            "label": (category != "normal").astype(int),
            "category": category,
            "split": np.array(["train", "val", "test"])[(patient // 3) % 3],
            "row": np.arange(n),
            "provenance": "real",
        }
    )
    scores = splits[["image_id", "split"]].assign(
        score=rng.normal(splits["label"] * effect, 1).astype(np.float32)
    )
    return splits, scores[scores["split"] != "train"]


def test_the_row_has_the_form_of_the_results_document():
    splits, scores = table()
    row = evaluate_detector(scores, splits, Protocol(n_resamples=200, seed=3), sees_mix=True)
    results = Results(dataset="phantoms", detectors={"dcgan": row})
    document = json.loads(json.dumps(to_json(results), allow_nan=False))
    assert read_results(document) == results
    test = splits[splits["split"] == "test"]
    assert (row.n_images, row.n_patients, row.interval_unit) == (
        len(test),
        test["group_id"].nunique(),
        "patient",
    )
    assert (row.seeds, row.sees_mix, row.labels_used) == ((3,), True, "threshold")
    assert row.auroc.low < row.auroc.value < row.auroc.high
    (tn, fp), (fn, tp) = row.confusion_matrix
    assert row.sensitivity.value == pytest.approx(tp / (tp + fn))
    assert row.specificity.value == pytest.approx(tn / (tn + fp))
    assert set(row.per_category) == {"bacterial", "viral"}
    assert row.per_category["viral"].n_images == (test["category"] == "viral").sum()
    assert row.warnings == ()


def test_f43_the_threshold_does_not_know_the_test_labels():
    splits, scores = table()
    flipped = splits.copy()
    test = flipped["split"] == "test"
    flipped.loc[test, "label"] = 1 - flipped.loc[test, "label"]
    first, second = (
        evaluate_detector(scores, kind, Protocol(n_resamples=100)) for kind in (splits, flipped)
    )
    assert first.threshold == second.threshold
    assert first.validation_auroc == second.validation_auroc
    assert first.auroc.value == pytest.approx(1 - second.auroc.value)


def test_f45_flipped_scores_warn():
    splits, scores = table()
    row = evaluate_detector(
        scores.assign(score=-scores["score"]), splits, Protocol(n_resamples=200)
    )
    assert row.auroc.high < 0.5
    assert any("flipped" in warning for warning in row.warnings)


def test_unknown_patients_give_image_intervals_by_name():
    splits, scores = table(known=False)
    row = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    assert (row.n_patients, row.interval_unit) == (None, "image")
    assert any("likely too narrow" in warning for warning in row.warnings)


def test_f41_a_test_split_of_one_class_is_null_with_a_reason():
    splits, scores = table()
    splits = splits[(splits["split"] != "test") | (splits["label"] == 1)]
    row = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    assert row.auroc.value is None
    assert "one class" in row.auroc.reason
    assert row.specificity.value is None
    assert row.sensitivity.value is not None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_f42_a_score_that_is_not_finite_is_refused_by_name(bad):
    splits, scores = table()
    victim = scores[scores["split"] == "test"].index[3]
    broken = scores.copy()
    broken.loc[victim, "score"] = bad
    with pytest.raises(UserError, match=splits.loc[victim, "image_id"]):
        evaluate_detector(broken, splits, Protocol(n_resamples=100))


def test_f42_a_missing_score_is_refused_and_not_dropped():
    splits, scores = table()
    with pytest.raises(UserError, match="1 of"):
        evaluate_detector(
            scores.drop(scores[scores["split"] == "test"].index[0]),
            splits,
            Protocol(n_resamples=100),
        )


def test_f46_a_synthetic_test_image_is_refused():
    splits, scores = table()
    planted = splits[splits["split"] == "test"].index[0]
    splits.loc[planted, "provenance"] = "synthetic:dcgan@1"
    with pytest.raises(UserError, match="not real"):
        evaluate_detector(scores, splits, Protocol(n_resamples=100))


def test_f44_validation_without_anomalies_warns():
    splits, scores = table()
    splits = splits[(splits["split"] != "val") | (splits["label"] == 0)]
    row = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    assert row.labels_used == "none"
    assert row.validation_auroc.value is None
    assert any("quantile" in warning for warning in row.warnings)


def test_one_seed_gives_one_result():
    splits, scores = table()
    first = evaluate_detector(scores, splits, Protocol(n_resamples=100, seed=1))
    assert first == evaluate_detector(
        scores.sample(frac=1, random_state=0), splits, Protocol(n_resamples=100, seed=1)
    )


def test_the_most_confident_examples_are_the_extremes_of_each_kind():
    frame = pd.DataFrame({"label": [1, 1, 1, 0, 0, 0], "score": [9.0, 7.0, 1.0, 8.0, 2.0, 3.0]})
    shown = most_confident_examples(frame, threshold=5.0, count=1)
    assert dict(zip(shown["kind"], shown["score"], strict=True)) == {
        "true positive": 9.0,
        "false negative": 1.0,
        "false positive": 8.0,
        "true negative": 2.0,
    }


@dataclass
class MeanDetector:
    """Scores by brightness plus a draw, which has to be the same in every batch."""

    def score(self, images, rng):
        noise = torch.randn(1, generator=rng)
        return AnomalyScores(images.mean((1, 2, 3)) + noise, images.abs())


def test_scores_do_not_depend_on_the_batches():
    images = torch.rand(13, 1, 32, 32)
    rows = np.arange(13)[::-1].copy()
    done = []
    scores, maps, _ = score_images(
        MeanDetector(),
        lambda part: images[torch.from_numpy(part)],
        rows,
        Batches(4, 5),
        on_progress=done.append,
    )
    whole, _, _ = score_images(
        MeanDetector(), lambda part: images[torch.from_numpy(part)], rows, Batches(13, 5)
    )
    assert np.array_equal(scores, whole)
    assert sum(done) == 13
    assert (scores.dtype, maps.dtype, maps.shape) == (np.float32, np.float16, (13, 32, 32))
    assert maps[0] == pytest.approx(images[12, 0].numpy(), abs=1e-3)


def test_f42_a_detector_that_gives_nan_is_refused_with_the_image():
    images = torch.rand(5, 1, 32, 32)
    images[3] = float("nan")
    with pytest.raises(UserError, match=r"1 of 5 .*\(d\)"):
        score_images(
            MeanDetector(),
            lambda part: images[torch.from_numpy(part)],
            np.arange(5),
            Batches(2),
            names=list("abcde"),
        )


def probabilities(labels, classes, strength=3.0, seed=0):
    logits = np.random.default_rng(seed).normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += strength
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_the_classifier_row_separates_normal_from_any_other_class():
    labels = np.arange(90) % 3
    found = probabilities(labels, 3, 1.5)
    images = ClassifiedImages(
        found, labels, np.arange(90), np.ones(90, bool), ("normal", "bacterial", "viral")
    )
    row = evaluate_classifier(images, n_resamples=200)
    decisions = images.decisions
    assert row.metrics["accuracy"].value == pytest.approx((decisions == labels).mean())
    assert row.metrics["recall"].value == pytest.approx((decisions[labels > 0] > 0).mean())
    assert row.metrics["precision"].value == pytest.approx((labels[decisions > 0] > 0).mean())
    assert np.array(row.confusion_matrix).sum() == 90
    assert row.confusion_matrix[1][2] == ((labels == 1) & (decisions == 2)).sum()
    assert row.report["viral"]["support"] == 30
    results = Results(dataset="phantoms", classifiers={"real": row})
    assert read_results(json.loads(json.dumps(to_json(results), allow_nan=False))) == results


def test_a_classifier_with_the_wrong_number_of_classes_is_refused():
    with pytest.raises(UserError, match="2 classes"):
        ClassifiedImages(
            np.ones((4, 3)) / 3, np.zeros(4), np.arange(4), np.ones(4, bool), ("normal", "viral")
        )


def part(n, seed):
    """One image of each patient, with its score."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return pd.DataFrame(
        {
            "image_id": [f"image{index}" for index in range(n)],
            "group_id": [f"p{index}" for index in range(n)],
            "group_known": True,
            "label": labels,
            "category": np.array(["normal", "viral"])[labels],
            "score": rng.normal(labels * 2.0, 1),
        }
    )


def test_every_rule_has_its_frozen_threshold_and_metrics_on_test():
    validation, test = part(200, 0), part(200, 1)
    rules = (Youden(), FalsePositiveRate(0.05), Conformal(0.1), Sensitivity(0.9))
    points = freeze(validation, Protocol(decision_rules=rules, n_resamples=100))
    found = evaluate(test, points).decisions
    assert tuple(found) == tuple(map(str, rules))
    for decision in found.values():
        called = test["score"] >= decision.threshold.value
        assert decision.sensitivity.value == pytest.approx(called[test["label"] == 1].mean())
        assert decision.specificity.value == pytest.approx(1 - called[test["label"] == 0].mean())
        assert decision.metrics["precision"].value == pytest.approx(test["label"][called].mean())
        assert decision.metrics["accuracy"].value == pytest.approx((called == test["label"]).mean())
        assert (
            decision.metrics["f1"].low < decision.metrics["f1"].value < decision.metrics["f1"].high
        )
    assert [decision.labels_used for decision in found.values()] == [
        "threshold",
        "none",
        "none",
        "threshold",
    ]


def test_95_percent_is_reached_on_validation_and_what_it_gives_is_counted_on_test():
    validation, test = part(400, 0), part(400, 1)
    row = evaluate(test, freeze(validation, Protocol(n_resamples=100)))
    specific, sensitive = row.at_95_specificity, row.at_95_sensitivity
    assert "test images" in row.read_from_test_roc.remark
    cut = specific.threshold.value
    assert (validation["score"][validation["label"] == 0] >= cut).sum() == 10
    assert specific.sensitivity.value == pytest.approx(
        (test["score"][test["label"] == 1] >= cut).mean()
    )
    cut = sensitive.threshold.value
    assert (validation["score"][validation["label"] == 1] >= cut).sum() == 190
    alarms = sensitive.false_alarms_per_100_normals
    assert alarms.value == pytest.approx(100 * (test["score"][test["label"] == 0] >= cut).mean())
    assert alarms.value == pytest.approx(100 * (1 - sensitive.specificity.value))
    assert alarms.low == pytest.approx(100 * (1 - sensitive.specificity.high))


def test_a_row_that_validation_cannot_tell_from_chance_has_failed():
    splits, scores = table()
    flipped = scores["split"] == "test"
    noise = np.random.default_rng(1).normal(size=len(scores))
    row = evaluate_detector(
        scores.assign(score=noise + 5 * flipped * scores["score"]), splits, Protocol(n_resamples=99)
    )
    assert row.auroc.low > 0.5  # however well it does on the test images
    assert row.failed
    assert "nothing follows from the metrics of the test images" in row.warnings[0]
    good = evaluate_detector(scores, splits, Protocol(n_resamples=99))
    assert not good.failed
    assert not any("Failed" in warning for warning in good.warnings)
    only_normals = splits[(splits["split"] != "val") | (splits["label"] == 0)]
    assert not evaluate_detector(scores, only_normals, Protocol(n_resamples=99)).failed


def test_the_row_shows_all_of_it_beside_validation():
    splits, scores = table()
    row = evaluate_detector(
        scores,
        splits,
        Protocol(
            n_resamples=100,
            prevalences=(0.2,),
            decision_rules=(FalsePositiveRate(0.1),),
            patient_score="max",
        ),
    )
    assert set(row.decisions) == {"fpr=0.1"}
    assert set(row.predictive_values) == {"0.2"}
    assert row.patient_level.patient_score == "max"
    assert row.validation.auroc == row.validation_auroc
    assert "optimistic" in row.validation.remark
    assert row.report["anomalous"]["recall"] == pytest.approx(row.sensitivity.value)
    assert row.report["normal"]["support"] == row.n_images - row.n_anomalous
    assert row.brier == Estimate(None, reason="not reported: scores are no probabilities")
    assert row.expected_half_width.unit == "patient"
    assert set(row.per_category["viral"].metrics) == {"auroc", "average_precision", "sensitivity"}
    assert (
        row.sensitivity
        == evaluate_detector(scores, splits, Protocol(n_resamples=100))
        .decisions["youden"]
        .sensitivity
    )
