"""All comparisons of two sets of scores give one interval and one p-value."""

import numpy as np
import pandas as pd
import pytest

from medgan.audits.robustness import audit_robustness, variants
from medgan.audits.scored import ScoredDetector
from medgan.audits.shortcuts import audit_shortcuts
from medgan.audits.subgroups import audit_subgroups
from medgan.evaluation.baselines import Judged, compare_with_baselines
from medgan.evaluation.compare_runs import RunMetrics, compare_runs
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.protocol import Protocol
from medgan.evaluation.score_table import judged, units_in
from medgan.stats.differences import auroc_difference

RESAMPLES, SEED = 300, 3


@pytest.fixture(scope="module")
def cohort():
    """Images of patients with two images each, and the scores of two detectors."""
    rng = np.random.default_rng(4)
    patient = np.arange(600) // 2
    label = patient % 2
    splits = pd.DataFrame(
        {
            "image_id": [f"i{number:03d}" for number in range(600)],
            "group_id": [f"p{number:03d}" for number in patient],
            "group_known": True,
            "label": label,
            "category": np.where(label, "viral", "normal"),
            "split": np.where(patient % 3 == 0, "val", "test"),
        }
    )
    shared = rng.normal(size=600)
    first, second = (
        splits[["image_id", "split"]].assign(score=gain * label + shared + rng.normal(size=600))
        for gain in (1.5, 1.2)
    )
    return splits, first, second


@pytest.fixture(scope="module")
def expected(cohort):
    splits, first, second = cohort
    test = (splits["split"] == "test").to_numpy()
    found = auroc_difference(
        splits["label"].to_numpy()[test],
        first["score"].to_numpy()[test],
        second["score"].to_numpy()[test],
        splits["group_id"].to_numpy()[test],
        RESAMPLES,
        SEED,
    )
    assert found.low < found.value < found.high
    assert 1e-4 < found.p_value < 1
    return found


def test_detector_tests(cohort, expected):
    splits, first, second = cohort
    detectors = {
        name: Judged(
            evaluate_detector(table, splits, Protocol(n_resamples=100)),
            splits[splits["split"] == "test"].merge(table[["image_id", "score"]], on="image_id"),
        )
        for name, table in (("gan", first), ("autoencoder", second))
    }
    found = compare_with_baselines(detectors, RESAMPLES, SEED).tests["gan"]
    assert (found.difference, found.p_value) == (expected.estimate, expected.p_value)


def test_run_comparison(cohort, expected):
    splits, first, second = cohort
    runs = []
    for name, table in (("a", second), ("b", first)):
        result = evaluate_detector(table, splits, Protocol(n_resamples=100))
        units = units_in(judged(table, splits, result), "test", result)
        runs.append(RunMetrics(name, {"gan": {}}, {"gan": units}))
    found = compare_runs(*runs, RESAMPLES, SEED).detectors["gan"]
    assert found.figures["auroc"].difference == expected


def test_robustness(cohort, expected):
    splits, first, second = cohort
    test = first[first["split"] == "test"]
    count = len(list(variants()))
    arrays = {
        "image_id": test["image_id"].to_numpy(),
        "scores": np.tile(test["score"].to_numpy(), (count, 1)),
        "reason": np.array(""),
    }
    found = audit_robustness(arrays, ScoredDetector(second, 0.5), splits, RESAMPLES, SEED)
    assert found.perturbations["noise"].severities["4"].change == expected


def test_shortcuts(cohort, expected):
    splits, first, second = cohort
    test = second[second["split"] == "test"]
    table = test[["image_id"]].assign(**{"one_class/border": test["score"]})
    detectors = {"gan": ScoredDetector(first, 0.5)}
    found = audit_shortcuts(table, {}, detectors, splits, RESAMPLES, SEED)
    assert found.detectors["gan"].against["one_class"].any.difference == expected


def test_subgroups(cohort, expected):
    """Each image twice, at two sites, with the scores of one detector at each."""
    splits, first, second = cohort
    sites = [
        (splits.assign(site=site, image_id=splits["image_id"] + site), table)
        for site, table in (("a", first), ("b", second))
    ]
    both = pd.concat([part for part, _ in sites], ignore_index=True)
    scores = both[["image_id"]].assign(score=np.concatenate([table["score"] for _, table in sites]))
    found = audit_subgroups(ScoredDetector(scores, 0.5), both, None, RESAMPLES, SEED)
    gap = found.gaps["site"]["auroc"]
    assert gap.between == (("a", "b") if expected.value > 0 else ("b", "a"))
    assert (gap.value, gap.p) == (pytest.approx(abs(expected.value)), expected.p_value)
    assert {gap.low, gap.high} == {expected.low, expected.high}
    assert found.shifts["site"]["a"] == expected
