from dataclasses import replace

import numpy as np
import pytest

from medgan.errors import UserError
from medgan.evaluation.components import evaluate_components, mahalanobis, own_score
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.protocol import Protocol
from tests.evaluation.test_detector import table

WEIGHTS = {"reconstruction": 0.9, "feature": 0.1}


def parts(seed=0):
    """Splits, and scores whose features follow the label and whose reconstruction does not."""
    splits, scores = table(seed=seed)
    rng = np.random.default_rng(seed + 1)
    reconstruction, feature = rng.normal(size=len(scores)), scores["score"].to_numpy()
    return splits, scores.assign(
        score=0.9 * reconstruction + 0.1 * feature,
        score_reconstruction=reconstruction,
        score_feature=feature,
    )


def test_each_part_is_judged_as_a_detector_of_its_own():
    splits, scores = parts()
    own = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    own = replace(own, published_step=7)
    document = evaluate_components(scores, splits, own, WEIGHTS, Protocol(n_resamples=100))
    assert (document.own, document.weights) == ("combined", WEIGHTS)
    assert list(document.rows) == ["combined", "reconstruction", "feature"]
    rows = document.rows
    assert rows["combined"].auroc == own.auroc
    alone = evaluate_detector(
        scores.assign(score=scores["score_feature"]), splits, Protocol(n_resamples=100)
    )
    assert rows["feature"].auroc == alone.auroc
    assert rows["feature"].threshold == alone.threshold != own.threshold
    assert rows["feature"].auroc.value > 0.75 > rows["reconstruction"].auroc.value
    assert [row.published_step for row in rows.values()] == [7, 7, 7]
    assert [row.score for row in rows.values()] == list(rows)


def test_no_threshold_of_a_part_knows_the_test_labels():
    splits, scores = parts()
    own = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    flipped = splits.assign(
        label=splits["label"].where(splits["split"] != "test", 1 - splits["label"])
    )
    honest, poisoned = (
        evaluate_components(scores, given, own, WEIGHTS, Protocol(n_resamples=100)).rows
        for given in (splits, flipped)
    )
    for name in ("reconstruction", "feature"):
        assert honest[name].threshold == poisoned[name].threshold
        assert honest[name].auroc.value == pytest.approx(1 - poisoned[name].auroc.value)


def test_labels_that_chose_the_weights_stand_on_every_row():
    splits, scores = parts()
    own = evaluate_detector(scores, splits, Protocol(n_resamples=100), sees_mix=True)
    own = replace(own, labels_used="checkpoint")
    rows = evaluate_components(
        scores, splits, own, {"feature": 1.0}, Protocol(n_resamples=100)
    ).rows
    assert list(rows) == ["feature", "reconstruction"]
    assert {(row.labels_used, row.sees_mix) for row in rows.values()} == {("checkpoint", True)}


def test_the_own_score_is_its_only_part_or_combined():
    assert own_score({"feature": 1.0}) == "feature"
    assert own_score(WEIGHTS) == "combined"


def test_mahalanobis_measures_in_spreads_of_the_normals():
    normals = np.random.default_rng(0).normal(size=(4000, 2)) * [1.0, 10.0] + [5.0, 5.0]
    found = mahalanobis(normals, np.array([[5.0, 5.0], [8.0, 5.0], [5.0, 35.0]]))
    assert found == pytest.approx([0, 3, 3], abs=0.15)


def test_mahalanobis_is_finite_with_more_features_than_images_and_refuses_one_image():
    rng = np.random.default_rng(0)
    assert np.isfinite(mahalanobis(rng.normal(size=(5, 40)), rng.normal(size=(3, 40)))).all()
    with pytest.raises(UserError, match="two normal training images"):
        mahalanobis(rng.normal(size=(1, 4)), rng.normal(size=(3, 4)))
