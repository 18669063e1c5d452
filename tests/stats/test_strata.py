from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medgan.stats.bootstrap import interval
from medgan.stats.strata import MINIMUM, Stratum, predictions_of

LABELS = np.arange(240) % 2
SCORES = LABELS + np.random.default_rng(0).normal(size=240)
TEST = pd.DataFrame({"label": LABELS, "score": SCORES})
FEMALE = np.arange(240) % 3 == 0


def test_a_metric_of_a_stratum_is_that_of_its_images_alone():
    stratum = Stratum(predictions_of(TEST, 0.5), FEMALE)
    called, labels = SCORES[FEMALE] >= 0.5, LABELS[FEMALE]
    expected = {
        "auroc": roc_auc_score(labels, SCORES[FEMALE]),
        "sensitivity": called[labels == 1].mean(),
        "specificity": 1 - called[labels == 0].mean(),
    }
    for name, value in expected.items():
        found = interval(stratum.metric(name), np.arange(240), 200)
        assert found.value == pytest.approx(value)
        assert found.low < value < found.high


def test_only_patients_of_the_stratum_count_for_its_interval():
    """One patient has all its anomalous images: a sensitivity has no interval, however many others
    there are.
    """
    stratum = Stratum(predictions_of(TEST, 0.5), FEMALE)
    patients = np.where(FEMALE & (LABELS == 1), 0, np.arange(240) + 1)
    found = interval(stratum.metric("sensitivity"), patients, 200)
    assert found.value is not None
    assert found.low is None
    assert interval(stratum.metric("specificity"), patients, 200).low is not None


def test_few_images_of_a_class_are_insufficient():
    stratum = Stratum(predictions_of(TEST, 0.5), FEMALE)
    assert (stratum.count(0), stratum.count(1)) == (40, 40)
    reason = stratum.too_few("auroc").reason
    assert reason == f"insufficient: 40 anomalous images, {MINIMUM} are needed"
    whole = Stratum(predictions_of(TEST, 0.5), np.ones(240, dtype=bool))
    assert whole.too_few("auroc") is None
