from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medgan.errors import UserError
from medgan.evaluation.categories import ClassifiedImages
from medgan.evaluation.classifier import evaluate_classifier
from medgan.stats.bootstrap import interval
from medgan.stats.calibration import calibration
from medgan.stats.classification import Predictions, auroc_of
from medgan.stats.pooling import expected_half_width, fold_average, mean_metric, over_seeds


def folds(subjects=60, count=5, repeats=2, shift=0.0, seed=0):
    """Test parts of a repeated k-fold; the scores of each fold lie elsewhere."""
    rng = np.random.default_rng(seed)
    tables = []
    for _ in range(repeats):
        order = rng.permutation(subjects)
        for number in range(count):
            chosen = np.repeat(order[number::count], 2)
            score = rng.normal(chosen % 2 * 1.5, 1) + shift * number
            tables.append(
                pd.DataFrame(
                    {
                        "image_id": chosen,
                        "group_id": chosen.astype(str),
                        "label": chosen % 2,
                        "score": score,
                    }
                )
            )
    return tables


def test_folds_are_averaged_and_never_pooled():
    tables = folds(shift=10.0)
    found = fold_average(tables, 200)
    each = [roc_auc_score(table["label"], table["score"]) for table in tables]
    assert found.auroc.value == pytest.approx(np.mean(each))
    assert [fold.value for fold in found.per_fold] == pytest.approx(each)
    assert found.spread == pytest.approx(np.std(each, ddof=1))
    pooled = pd.concat(tables)
    assert found.auroc.value > roc_auc_score(pooled["label"], pooled["score"]) + 0.1
    assert (found.n_folds, found.n_subjects, found.interval_unit) == (10, 60, "patient")
    assert found.auroc.low < found.auroc.value < found.auroc.high


def test_repeats_of_the_same_subjects_do_not_narrow_the_interval_as_new_subjects_would():
    one = fold_average(folds(repeats=1), 400).auroc.as_dict()
    copies = folds(repeats=1) * 4
    assert fold_average(copies, 400).auroc.as_dict() == pytest.approx(one, abs=1e-9)


def test_a_fold_of_one_class_stays_in_the_list_with_its_reason():
    tables = folds()
    tables[3] = tables[3][tables[3]["label"] == 1]
    found = fold_average(tables, 100)
    assert (found.n_folds, found.n_folds_estimable) == (10, 9)
    assert "one class" in found.per_fold[3].reason
    only = fold_average([tables[3]], 100)
    assert only.auroc.value is None
    assert only.spread is None
    with pytest.raises(UserError, match="no fold"):
        fold_average([])


def test_the_expected_half_width_is_that_of_hanley_and_mcneil_and_of_the_bootstrap():
    """Q1 = 0.9 / 1.1, Q2 = 2 x 0.81 / 1.9; SE^2 = (0.09 + 49 (Q1 - 0.81) + 49 (Q2 - 0.81)) /
    2500.
    """
    by_hand = 1.959964 * np.sqrt(
        (0.09 + 49 * (0.9 / 1.1 - 0.81) + 49 * (2 * 0.81 / 1.9 - 0.81)) / 2500
    )
    assert expected_half_width(50, 50, 0.9) == pytest.approx(by_hand)
    assert expected_half_width(50, 50, 0.1) == pytest.approx(by_hand)
    assert expected_half_width(500, 500, 0.9) < by_hand / 3
    labels = np.arange(400) % 2
    scores = np.random.default_rng(0).normal(labels * 1.2, 1)
    found = interval(auroc_of(Predictions(labels, scores, scores)), np.arange(400), 500)
    assert expected_half_width(200, 200, found.value) == pytest.approx(
        (found.high - found.low) / 2, rel=0.15
    )


def test_brier_and_calibration_by_hand():
    labels, probabilities = np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.9, 1.0])
    found = calibration(labels, probabilities, np.arange(4), 100)
    assert found.brier.value == pytest.approx((0.01 + 0.09 + 0.01 + 0.0) / 4)
    assert found.brier_of_the_share == 0.25
    assert [part.n_images for part in found.calibration_curve] == [1, 1, 2]
    assert [part.observed.value for part in found.calibration_curve] == [0.0, 0.0, 1.0]
    assert found.expected_calibration_error.value == pytest.approx((0.1 + 0.3 + 0.1) / 4)


def test_sure_but_wrong_probabilities_are_told_from_honest_ones():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 1, 4000)
    labels = (rng.uniform(size=4000) < truth).astype(int)
    honest, sure = (calibration(labels, p, np.arange(4000), 100) for p in (truth, truth > 0.5))
    assert honest.expected_calibration_error.value < 0.03
    assert sure.expected_calibration_error.value > 0.2
    assert honest.brier.value < sure.brier.value
    for part in honest.calibration_curve:
        assert part.observed.value == pytest.approx(part.predicted, abs=0.08)


def test_a_classifier_row_has_its_calibration():
    labels = np.arange(60) % 3
    probabilities = np.full((60, 3), 0.1)
    probabilities[np.arange(60), labels] = 0.8
    classes = ("normal", "bacterial", "viral")
    images = ClassifiedImages(probabilities, labels, np.arange(60), np.ones(60, bool), classes)
    row = evaluate_classifier(images, n_resamples=100)
    assert row.brier.value == pytest.approx((20 * 0.04 + 40 * 0.01) / 60)
    assert [part.n_images for part in row.calibration_curve] == [20, 40]


def row(seed: int, value: float | None, threshold: float = 1.0) -> dict[str, object]:
    auroc = (
        {"value": value, "low": value - 0.1, "high": value + 0.05}
        if value is not None
        else {"value": None, "reason": "one class"}
    )
    cut = {"rule": "youden", "value": threshold}
    return {
        "auroc": auroc,
        "threshold": cut,
        "n_images": 9,
        "confusion_matrix": [[seed]],
        "sees_mix": False,
        "n_seeds": 1,
        "seeds": [seed],
    }


def test_figures_are_averaged_equal_things_stay_and_the_rest_becomes_a_list() -> None:
    found = over_seeds([row(0, 0.8, 1.0), row(1, 0.9, 2.0)])
    assert found["auroc"] == {
        "value": pytest.approx(0.85),
        "low": pytest.approx(0.75),
        "high": pytest.approx(0.9),
        "per_seed": [0.8, 0.9],
    }
    assert found["threshold"] == {"rule": "youden", "value": [1.0, 2.0]}
    assert (found["n_images"], found["sees_mix"], found["n_seeds"], found["seeds"]) == (
        9,
        False,
        2,
        [0, 1],
    )
    assert found["confusion_matrix"] == [[[0]], [[1]]]


def test_one_seed_without_a_figure_leaves_none_and_says_why() -> None:
    assert over_seeds([row(0, 0.8), row(1, None)])["auroc"] == {
        "value": None,
        "reason": "one class",
    }


def test_what_stands_beside_a_figure_is_averaged_too() -> None:
    found = mean_metric(
        [{"value": 1.0, "n": 5, "real_vs_real": 0.2}, {"value": 3.0, "n": 5, "real_vs_real": 0.4}]
    )
    assert found == {
        "value": 2.0,
        "n": 5,
        "real_vs_real": pytest.approx(0.3),
        "per_seed": [1.0, 3.0],
    }


def test_no_row_is_refused() -> None:
    with pytest.raises(UserError, match="make reproduce"):
        over_seeds([])


def test_images_are_counted_once_and_unknown_patients_are_said():
    tables = folds(repeats=2)
    found = fold_average(tables, 100)
    assert (found.n_images, found.n_subjects) == (60, 60)
    unnamed = fold_average([table.drop(columns="image_id") for table in tables], 100)
    assert unnamed.n_images == sum(map(len, tables))
    unknown = fold_average([table.assign(group_known=False) for table in tables], 100)
    assert unknown.interval_unit == "image"
    assert fold_average([table.assign(group_known=True) for table in tables], 100) == found


def test_one_fold_has_no_spread_and_two_have():
    tables = folds()
    assert fold_average(tables[:1], 100).spread is None
    two = fold_average(tables[:2], 100)
    values = [fold.value for fold in two.per_fold]
    assert two.spread == pytest.approx(np.std(values, ddof=1))


def test_a_fold_that_a_resample_empties_of_a_class_is_left_out_of_its_mean():
    """With one normal subject in each fold, many resamples have folds without normals."""
    tables = [
        pd.DataFrame(
            {
                "group_id": [f"{fold}-{n}" for n in range(7)],
                "label": [0, *[1] * 6],
                "score": np.random.default_rng(fold).normal(size=7),
            }
        )
        for fold in range(4)
    ]
    found = fold_average(tables, 300)
    assert np.isfinite([found.auroc.value, found.auroc.low, found.auroc.high]).all()


def test_rows_without_seeds_are_merged_without_them() -> None:
    alike = [{"n_images": 9, "sees_mix": True}, {"n_images": 9, "sees_mix": False}]
    assert over_seeds(alike) == {"n_images": 9, "sees_mix": [True, False]}


def test_a_key_that_one_seed_lacks_is_left_out_and_flags_are_not_averaged() -> None:
    metrics = [{"value": 1.0, "n": 5, "k": True}, {"value": 3.0, "k": False}]
    assert mean_metric(metrics) == {"value": 2.0, "k": [True, False], "per_seed": [1.0, 3.0]}
    assert mean_metric(metrics[::-1])["per_seed"] == [3.0, 1.0]


def test_the_warnings_of_all_seeds_are_kept_once():
    rows = [{"warnings": ["few"]}, {"warnings": []}, {"warnings": ["few", "flipped"]}]
    assert over_seeds(rows)["warnings"] == ["few", "flipped"]
