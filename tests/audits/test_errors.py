"""The errors of a detector: drawn at random, and the slices that decided volumes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from medgan.audits.errors import describe_errors, describe_worst_slices
from medgan.audits.results import RandomErrors, Slice, WorstSlices
from medgan.audits.scored import ScoredDetector
from medgan.errors import UserError
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.protocol import Protocol
from medgan.files.documents import from_json, to_json
from medgan.stats.thresholds import Threshold
from tests.evaluation.test_volumes import FOCAL, LENGTH


def test_random_errors_are_counted_and_described():
    rng = np.random.default_rng(0)
    splits = pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(200)],
            "group_id": [f"p{number}" for number in range(200)],
            "group_known": True,
            "split": "test",
            "label": rng.integers(0, 2, 200),
            "category": "x",
            "sex": np.where(np.arange(200) % 2, "F", None),
        }
    )
    scores = splits[["image_id"]].assign(score=rng.random(200))
    found = describe_errors(ScoredDetector(scores, 0.5), splits, 10, 0)
    called, anomalous = scores["score"] >= 0.5, splits["label"] == 1
    assert (found.false_negative.n, found.false_positive.n) == (
        (~called & anomalous).sum(),
        (called & ~anomalous).sum(),
    )
    assert (len(found.false_negative.shown), len(found.false_positive.shown)) == (5, 5)
    shown = [*found.false_negative.shown, *found.false_positive.shown]
    assert {one.sex for one in shown} == {"F", None}
    assert {one.site for one in shown} == {None}
    assert from_json(RandomErrors, to_json(found)) == found


def test_worst_slices_have_their_place_and_errors_are_named():
    scores, splits = FOCAL
    detector = ScoredDetector.of(
        scores, evaluate_detector(scores, splits, Protocol(n_resamples=100))
    )
    found = describe_worst_slices(detector, splits, 4, 0)
    assert (found.aggregate, found.n_volumes, found.n_anomalous) == ("max", 20, 10)
    assert [volume.chosen_as for volume in found.volumes[:10]] == ["most anomalous"] * 10
    assert len({volume.volume for volume in found.volumes}) == len(found.volumes)
    first = found.volumes[0]
    assert first.label == 1
    assert first.worst[0] == Slice("012", 13, LENGTH, first.score, f"{first.volume}/012")
    assert [one.score for one in first.worst] == sorted(
        (one.score for one in first.worst), reverse=True
    )
    assert to_json(from_json(WorstSlices, to_json(found))) == to_json(found)
    calm = describe_worst_slices(replace(detector, threshold=-100.0), splits, 4, 0)
    assert [volume.kind for volume in calm.volumes[10:]] == ["false positive"] * 4
    images = describe_worst_slices(detector, splits.drop(columns="volume"), 4, 0)
    assert (list(images.volumes), bool(images.reason)) == ([], True)


def test_a_row_without_one_threshold_is_refused():
    scores, splits = FOCAL
    row = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    with pytest.raises(UserError, match="one frozen threshold"):
        ScoredDetector.of(scores, replace(row, threshold=Threshold("youden", None)))
