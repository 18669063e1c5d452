import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from medgan.errors import UserError
from medgan.evaluation.baselines import (
    BASELINES,
    Judged,
    choose_baseline,
    compare_with_baselines,
    is_better,
    is_worse,
    verdict,
)
from medgan.evaluation.details import DetectorTests
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.protocol import Protocol
from medgan.files.documents import from_json, to_json
from medgan.plots.forest import differences
from medgan.stats.bootstrap import Estimate

EFFECTS = {
    "autoencoder": 0.8,
    "nearest_neighbour": 1.2,
    "mix_vs_normal": 1.0,
    "gan": 3.0,
    "healthygan": 0.9,
}
MIX = ("mix_vs_normal", "healthygan")


def cohort(images=2, known=True, effects=EFFECTS):
    rng = np.random.default_rng(1)
    n = 300 * images
    patient = np.arange(n) // images
    splits = pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(n)],
            "group_id": [f"p{number}" for number in patient],
            "group_known": known,
            "label": patient % 2,
            "category": np.where(patient % 2, "viral", "normal"),
            "split": np.array(["train", "val", "test"])[patient // 2 % 3],
        }
    )
    scores = {
        name: splits[["image_id", "split"]].assign(
            score=rng.normal(effect * splits["label"], 1).astype(np.float32)
        )
        for name, effect in effects.items()
    }
    test = splits[splits["split"] == "test"]
    protocol = Protocol(n_resamples=100)
    return {
        name: Judged(
            evaluate_detector(table, splits, protocol, name in MIX),
            test.merge(table[["image_id", "score"]], on="image_id"),
        )
        for name, table in scores.items()
    }


def compared(images=2, known=True, **validation):
    """The tests; `validation` replaces validation AUROCs."""
    judged = cohort(images, known)
    for name, value in validation.items():
        row = replace(judged[name].row, validation_auroc=value)
        judged[name] = replace(judged[name], row=row)
    return compare_with_baselines(judged, 200)


def test_detectors_are_compared_with_the_baseline_that_sees_no_more():
    found = compared()
    assert found.baselines["normals only"].name == "nearest_neighbour"
    assert found.baselines["normals only"].chosen_by == "highest validation AUROC"
    chosen = found.baselines["sees the mix"]
    assert (chosen.name, chosen.chosen_by) == ("mix_vs_normal", "the only baseline")
    assert {name: test.against for name, test in found.tests.items()} == {
        name: "mix_vs_normal" if name in MIX else "nearest_neighbour" for name in EFFECTS
    }
    assert found.tests["gan"].verdict == "better than nearest_neighbour"
    assert found.tests["healthygan"].verdict == "no difference from mix_vs_normal shown"
    assert found.tests["nearest_neighbour"].verdict == "no test: it is the baseline"
    assert found.n_tests == 3
    tested = [test for test in found.tests.values() if test.p_value is not None]
    assert all(test.p_holm >= test.p_value for test in tested)
    assert len(found.tests) == len(EFFECTS), "nulls stay in the table"
    document = to_json(found)
    json.dumps(document, allow_nan=False)
    assert from_json(DetectorTests, document) == found
    assert differences(found.tests, "x").axes


@pytest.mark.parametrize(
    ("images", "known", "test"),
    [
        (2, True, "paired patient bootstrap"),
        (1, True, "paired patient bootstrap"),
        (2, False, "paired bootstrap of images: patients are unknown"),
    ],
)
def test_the_test_says_what_it_resamples(images, known, test):
    found = compared(images, known)
    gan = found.tests["gan"]
    assert gan.test == test
    assert found.interval_unit == ("patient" if known else "image")
    assert (gan.difference.low > 0) == (gan.p_value < 0.05)


def test_the_baseline_is_chosen_on_validation_even_where_test_says_otherwise():
    found = compared(autoencoder=Estimate(0.99))
    assert found.baselines["normals only"].name == "autoencoder"
    unknown = Estimate(None, reason="none")
    found = compared(autoencoder=unknown, nearest_neighbour=unknown)
    assert found.baselines["normals only"].name == "nearest_neighbour"
    assert "fixed before" in found.baselines["normals only"].chosen_by


def test_without_a_baseline_the_row_says_so():
    found = compare_with_baselines(cohort(effects={"gan": 1.0, "mix_vs_normal": 1.0}), 100)
    assert choose_baseline({"gan": 0.9, "mix_vs_normal": 0.8}, False).name is None
    gan = found.tests["gan"]
    assert gan.difference.reason == f"none of {', '.join(BASELINES[False])} was run"
    assert (found.n_tests, gan.p_holm, gan.verdict) == (
        0,
        None,
        f"no test: {gan.difference.reason}",
    )


def test_detectors_on_different_images_are_refused():
    judged = cohort(effects={"gan": 1.0, "autoencoder": 1.0})
    judged["autoencoder"] = replace(judged["autoencoder"], test=judged["gan"].test[::-1])
    with pytest.raises(UserError, match="autoencoder and gan were scored on different test images"):
        compare_with_baselines(judged, 100)
    with pytest.raises(UserError, match="no detector"):
        compare_with_baselines({})


@pytest.mark.parametrize(
    ("gap", "p_holm", "better", "worse"),
    [(0.1, 0.01, True, False), (-0.1, 0.01, False, True), (0.1, 0.2, False, False)],
)
def test_a_verdict_needs_the_corrected_p_value(gap, p_holm, better, worse):
    difference = Estimate(gap)
    assert (is_better(difference, p_holm), is_worse(difference, p_holm)) == (better, worse)
    assert not is_better(Estimate(None), None)
    assert verdict(difference, "it", p_holm).startswith(
        "better" if better else "worse" if worse else "no"
    )


def test_a_detector_that_failed_on_validation_is_not_tested():
    judged = cohort(effects={**EFFECTS, "gan": 0.0})
    found = compare_with_baselines(judged, 100)
    assert judged["gan"].row.failed
    assert found.tests["gan"].p_value is None
    assert found.tests["gan"].verdict.startswith("no test: failed")
    assert found.n_tests == 2
