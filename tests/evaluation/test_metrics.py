import numpy as np
import pytest

from medgan.evaluation import detector, metrics
from medgan.evaluation.metrics import (
    AUROC,
    CLASSIFIER,
    DECISION,
    DETECTOR,
    FEATURES,
    PredictionMetric,
    measured,
    missing,
    quality_metric,
)
from medgan.evaluation.protocol import Protocol
from medgan.stats.classification import Predictions, accuracy_of
from tests.evaluation.test_detector import table


@pytest.mark.parametrize("declared", [DETECTOR, CLASSIFIER, FEATURES])
def test_keys_are_declared_once(declared):
    assert len({metric.key for metric in declared}) == len(declared)


@pytest.mark.parametrize(
    ("key", "name", "higher"),
    [
        ("lpips_squeeze-caffe_nearest", "LPIPS (squeeze-caffe), nearest real image", False),
        ("ms_gmsd_random", "MS-GMSD, random real image", False),
        ("psnr_nearest", "PSNR, nearest real image", True),
        ("fid_domain", "Fréchet distance, domain features", False),
        ("coverage_domain", "Coverage, domain features", True),
        ("copied_share_domain", "Suspected training copies, share", False),
        ("unknown", "unknown", True),
    ],
)
def test_the_metric_of_a_key_names_its_pairing_and_backbone(key, name, higher):
    found = quality_metric(key)
    assert (found.key, found.name, found.higher_is_better) == (key, name, higher)


def test_all_metrics_share_the_resamples_and_missing_ones_the_reason():
    labels, scores = np.arange(40) % 2, np.arange(40.0)
    found = measured(DETECTOR, Predictions(labels, scores, labels), np.arange(40), 100)
    assert list(found) == [metric.key for metric in DETECTOR]
    assert found["accuracy"].value == found["f1"].value == 1.0
    assert {one.reason for one in missing(DETECTOR, "no").values()} == {"no"}


def test_a_metric_that_is_declared_is_part_of_every_result(monkeypatch):
    error = PredictionMetric(
        "error",
        "Error",
        lambda of: accuracy_of(Predictions(of.labels, of.scores, 1 - of.decisions)),
        higher_is_better=False,
    )
    for module in (metrics, detector):
        monkeypatch.setattr(module, "DECISION", (*DECISION, error))
        monkeypatch.setattr(module, "DETECTOR", (*DETECTOR, error))
    splits, scores = table()
    row = detector.evaluate_detector(scores, splits, Protocol(n_resamples=100))
    assert row.metric(error).value == pytest.approx(1 - row.metric("accuracy").value)
    assert all(error.key in decision.metrics for decision in row.decisions.values())
    assert row.metric(AUROC) == row.auroc
