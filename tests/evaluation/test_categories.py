import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from medgan.errors import UserError
from medgan.evaluation.categories import (
    ClassifiedImages,
    evaluate_categories,
    fitted_probabilities,
    missing_reason,
    pooled,
)
from medgan.evaluation.classifier import evaluate_classifier

KINDS = ("bacterial", "viral")


def anomalies(n, effect, seed):
    """Features whose first column rises with the kind, kinds, and patients with two images each."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat(rng.integers(0, 2, n // 2), 2)
    features = rng.normal(size=(n, 6))
    features[:, 0] += effect * kinds
    return features, kinds, np.array([f"p{index // 2}" for index in range(n)])


def test_a_kind_that_features_show_is_found_and_noise_is_not():
    for effect, low, high in ((8.0, 0.99, 1.0), (0.0, 0.3, 0.7)):
        train, kinds, groups = anomalies(120, effect, 1)
        test, truth, patients = anomalies(100, effect, 2)
        probabilities, fit = fitted_probabilities(train, kinds, groups, test, seed=0)
        np.testing.assert_allclose(probabilities.sum(1), 1)
        images = ClassifiedImages(probabilities, truth, patients, np.ones(100, bool), KINDS)
        row = evaluate_categories(images, n_resamples=100)
        assert low <= row.auroc.value <= high
        assert (fit.n_train, fit.folds) == (120, 5)
        assert (row.n_patients, row.interval_unit) == (50, "patient")


def test_the_strength_is_chosen_over_patients_not_images():
    """Each patient's two images are copies, and its kind is chance: over images C would be large,
    as neighbours give the answer away.
    """
    rng = np.random.default_rng(3)
    kinds = np.repeat(rng.integers(0, 2, 30), 2)
    features = np.repeat(rng.normal(size=(30, 60)), 2, axis=0)
    groups = np.repeat(np.arange(30), 2).astype(str)
    assert fitted_probabilities(features, kinds, groups, features)[1].c < 0.1
    assert fitted_probabilities(features, kinds, np.arange(60).astype(str), features)[1].c >= 0.1


@pytest.mark.parametrize("count", [2, 3])
def test_figures_are_those_of_scikit_learn(count):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, count, 80)
    probabilities = (
        rng.dirichlet(np.ones(count), 80) * 0.5
        + 0.5 * np.eye(count)[(truth + rng.integers(0, 2, 80)) % count]
    )
    images = ClassifiedImages(
        probabilities, truth, np.arange(80), np.zeros(80, bool), tuple("abc"[:count])
    )
    row = evaluate_categories(images, n_resamples=100)
    scores = probabilities[:, 1] if count == 2 else probabilities
    assert row.auroc.value == pytest.approx(
        roc_auc_score(truth, scores, multi_class="ovr", average="macro")
    )
    assert row.metrics["balanced_accuracy"].value == pytest.approx(
        balanced_accuracy_score(truth, probabilities.argmax(1))
    )
    assert row.metrics["accuracy"].value == pytest.approx((truth == probabilities.argmax(1)).mean())
    assert row.chance == {"auroc": 0.5, "balanced_accuracy": 1 / count}
    assert row.majority.share == np.bincount(truth).max() / 80
    assert (row.n_patients, row.interval_unit) == (None, "image")
    assert sum(map(sum, row.confusion_matrix)) == sum(row.n_of_each.values()) == 80


def test_a_kind_without_test_images_leaves_the_accuracy_and_says_why_there_is_no_more():
    probabilities = np.full((6, 2), 0.5)
    images = ClassifiedImages(
        probabilities, np.zeros(6, int), np.arange(6), np.ones(6, bool), KINDS
    )
    row = evaluate_categories(images, n_resamples=100)
    assert row.auroc.value is None
    assert "no test image" in row.auroc.reason
    assert row.metrics["accuracy"].value is not None
    none = np.zeros(0, int)
    nothing = evaluate_categories(
        ClassifiedImages(np.zeros((0, 2)), none, none, none.astype(bool), KINDS)
    )
    assert "no anomalous test image" in nothing.metrics["accuracy"].reason


def test_a_probability_that_is_no_number_is_refused():
    with pytest.raises(UserError, match="image 1"):
        ClassifiedImages(
            np.array([[0.5, 0.5], [np.nan, 0.5]]),
            np.array([0, 1]),
            np.array(["a", "b"]),
            np.ones(2, bool),
            KINDS,
        )


def test_what_the_training_split_lacks_is_named():
    labels, groups = (
        np.array([0] * 8 + [1] * 8),
        np.array([f"p{index // 4}" for index in range(16)]),
    )
    assert "bacterial 2, viral 2; 3 are needed" in missing_reason(labels, groups, KINDS)
    assert missing_reason(labels, np.arange(16).astype(str), KINDS) == ""
    assert "fewer than two anomaly types" in missing_reason(labels * 0, groups, KINDS[:1])


def test_maps_are_averaged_over_an_eight_by_eight_grid():
    maps = np.zeros((2, 16, 32), dtype=np.float16)
    maps[1, 14:, 4:8] = 1
    cells = pooled(maps).reshape(2, 8, 8)
    assert cells[0].sum() == 0
    assert cells[1, 7, 1] == 1
    assert cells[1].sum() == 1


def test_a_classifier_of_all_classes_is_judged_on_the_same_contrast():
    """The contrast is among anomalous images, and p(normal) is divided out."""
    labels = np.array([0, 0, 1, 1, 2, 2] * 5)
    probabilities = np.eye(3)[labels] * 0.2 + [0.6, 0.1, 0.1]
    groups, known = np.arange(30), np.ones(30, bool)
    images = ClassifiedImages(probabilities, labels, groups, known, ("normal", *KINDS))
    row = evaluate_classifier(images, n_resamples=100)
    assert row.metrics["recall"].value == 0
    assert row.categories.auroc.value == row.categories.metrics["accuracy"].value == 1
    assert (row.categories.n_images, row.categories.classes) == (20, KINDS)
    two = np.array([[0.7, 0.3], [0.2, 0.8]] * 15)
    images = ClassifiedImages(two, np.array([0, 1] * 15), groups, known, ("normal", "a"))
    assert evaluate_classifier(images, n_resamples=100).categories is None
