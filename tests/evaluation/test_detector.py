import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch

from medgan.contracts import AnomalyScores
from medgan.errors import UserError
from medgan.evaluation.classifier import evaluate_classifier
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.examples import surest_examples
from medgan.evaluation.results import new_document, validate
from medgan.evaluation.scores import score_images


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
    row = evaluate_detector(
        scores, splits, n_resamples=200, seed=3, sees_mix=True, details={"search_steps": 50}
    )
    document = new_document("phantoms")
    document["detectors"]["dcgan"] = row
    validate(json.loads(json.dumps(document, allow_nan=False)))
    test = splits[splits["split"] == "test"]
    assert (row["n_images"], row["n_patients"], row["interval_unit"]) == (
        len(test),
        test["group_id"].nunique(),
        "patient",
    )
    assert (row["seeds"], row["sees_mix"], row["labels_used"], row["search_steps"]) == (
        [3],
        True,
        "threshold",
        50,
    )
    assert row["auroc"]["low"] < row["auroc"]["value"] < row["auroc"]["high"]
    (tn, fp), (fn, tp) = row["confusion_matrix"]
    assert row["sensitivity"]["value"] == pytest.approx(tp / (tp + fn))
    assert row["specificity"]["value"] == pytest.approx(tn / (tn + fp))
    assert set(row["per_category"]) == {"bacterial", "viral"}
    assert row["per_category"]["viral"]["n_images"] == (test["category"] == "viral").sum()
    assert row["warnings"] == []


def test_f43_the_threshold_does_not_know_the_test_labels():
    splits, scores = table()
    flipped = splits.copy()
    test = flipped["split"] == "test"
    flipped.loc[test, "label"] = 1 - flipped.loc[test, "label"]
    first, second = (evaluate_detector(scores, kind, n_resamples=100) for kind in (splits, flipped))
    assert first["threshold"] == second["threshold"]
    assert first["validation_auroc"] == second["validation_auroc"]
    assert first["auroc"]["value"] == pytest.approx(1 - second["auroc"]["value"])


def test_f45_flipped_scores_warn():
    splits, scores = table()
    row = evaluate_detector(scores.assign(score=-scores["score"]), splits, n_resamples=200)
    assert row["auroc"]["high"] < 0.5
    assert any("flipped" in warning for warning in row["warnings"])


def test_unknown_patients_give_image_intervals_by_name():
    splits, scores = table(known=False)
    row = evaluate_detector(scores, splits, n_resamples=100)
    assert (row["n_patients"], row["interval_unit"]) == (None, "image")
    assert any("likely too narrow" in warning for warning in row["warnings"])


def test_f41_a_test_split_of_one_class_is_null_with_a_reason():
    splits, scores = table()
    splits = splits[(splits["split"] != "test") | (splits["label"] == 1)]
    row = evaluate_detector(scores, splits, n_resamples=100)
    assert row["auroc"]["value"] is None
    assert "one class" in row["auroc"]["reason"]
    assert row["specificity"]["value"] is None
    assert row["sensitivity"]["value"] is not None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_f42_a_score_that_is_not_finite_is_refused_by_name(bad):
    splits, scores = table()
    victim = scores[scores["split"] == "test"].index[3]
    broken = scores.copy()
    broken.loc[victim, "score"] = bad
    with pytest.raises(UserError, match=splits.loc[victim, "image_id"]):
        evaluate_detector(broken, splits, n_resamples=100)


def test_f42_a_missing_score_is_refused_and_not_dropped():
    splits, scores = table()
    with pytest.raises(UserError, match="1 of"):
        evaluate_detector(
            scores.drop(scores[scores["split"] == "test"].index[0]), splits, n_resamples=100
        )


def test_f46_a_synthetic_test_image_is_refused():
    splits, scores = table()
    planted = splits[splits["split"] == "test"].index[0]
    splits.loc[planted, "provenance"] = "synthetic:dcgan@1"
    with pytest.raises(UserError, match="not real"):
        evaluate_detector(scores, splits, n_resamples=100)


def test_f44_validation_without_anomalies_warns():
    splits, scores = table()
    splits = splits[(splits["split"] != "val") | (splits["label"] == 0)]
    row = evaluate_detector(scores, splits, n_resamples=100)
    assert row["labels_used"] == "none"
    assert row["validation_auroc"]["value"] is None
    assert any("quantile" in warning for warning in row["warnings"])


def test_one_seed_gives_one_result():
    splits, scores = table()
    first = evaluate_detector(scores, splits, n_resamples=100, seed=1)
    assert first == evaluate_detector(
        scores.sample(frac=1, random_state=0), splits, n_resamples=100, seed=1
    )


def test_the_surest_examples_are_the_extremes_of_each_kind():
    frame = pd.DataFrame({"label": [1, 1, 1, 0, 0, 0], "score": [9.0, 7.0, 1.0, 8.0, 2.0, 3.0]})
    shown = surest_examples(frame, threshold=5.0, count=1)
    assert dict(zip(shown["kind"], shown["score"], strict=True)) == {
        "hit": 9.0,
        "miss": 1.0,
        "false alarm": 8.0,
        "true normal": 2.0,
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
        batch_size=4,
        seed=5,
        on_progress=done.append,
    )
    whole, _, _ = score_images(
        MeanDetector(), lambda part: images[torch.from_numpy(part)], rows, batch_size=13, seed=5
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
            batch_size=2,
            names=list("abcde"),
        )


def probabilities(labels, classes, strength=3.0, seed=0):
    logits = np.random.default_rng(seed).normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += strength
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_the_classifier_row_separates_normal_from_any_other_class():
    labels = np.arange(90) % 3
    found = probabilities(labels, 3, 1.5)
    row = evaluate_classifier(
        found, labels, np.arange(90), True, ("normal", "bacterial", "viral"), n_resamples=200
    )
    decisions = found.argmax(1)
    assert row["accuracy"]["value"] == pytest.approx((decisions == labels).mean())
    assert row["recall"]["value"] == pytest.approx((decisions[labels > 0] > 0).mean())
    assert row["precision"]["value"] == pytest.approx((labels[decisions > 0] > 0).mean())
    assert np.array(row["confusion_matrix"]).sum() == 90
    assert row["confusion_matrix"][1][2] == ((labels == 1) & (decisions == 2)).sum()
    assert row["report"]["viral"]["support"] == 30
    document = new_document("phantoms")
    document["classifiers"]["real"] = row
    validate(json.loads(json.dumps(document, allow_nan=False)))


def test_a_classifier_with_the_wrong_number_of_classes_is_refused():
    with pytest.raises(UserError, match="2 classes"):
        evaluate_classifier(
            np.ones((4, 3)) / 3, np.zeros(4), np.arange(4), True, ("normal", "viral")
        )
