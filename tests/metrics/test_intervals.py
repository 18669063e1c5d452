"""The intervals by parts, against standard errors that are known or simulated."""

import numpy as np
import pytest

from medgan.metrics.features import FeatureSets
from medgan.metrics.fid import frechet_distance, statistics
from medgan.metrics.intervals import ANY, with_intervals
from medgan.metrics.kid import feature_kid
from medgan.metrics.precision_recall import feature_overlap, overlap
from medgan.metrics.quality import QualityMetric

T = 2.093
"""Of 19 degrees of freedom."""


def sample(rng, n, shift=0.0, patients=0):
    """(n, 8) features; those of one patient share a part."""
    found = rng.normal(size=(n, 8)) + shift
    if patients:
        found += 1.5 * rng.normal(size=(patients, 8)).repeat(n // patients, axis=0)
    return found


def stated(sets, measure, seed=0):
    """The standard errors behind the intervals."""
    found = {name: QualityMetric(value=0.5) for name in measure(sets.real, sets.synthetic)}
    limits = dict.fromkeys(found, ANY)
    metrics = with_intervals(found, sets, measure, limits, seed)
    return {name: (one.high - one.low) / 2 / T for name, one in metrics.items()}


def mean_difference(real, synthetic):
    return {"difference": float(real[:, 0].mean() - synthetic[:, 0].mean())}


@pytest.mark.parametrize(("n", "m"), [(400, 100), (100, 400), (200, 200)])
def test_the_standard_error_of_a_mean_is_the_known_one(n, m):
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sets = FeatureSets(sample(rng, m), sample(rng, n))
        found.append(stated(sets, mean_difference, seed=seed)["difference"])
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(np.sqrt(1 / n + 1 / m), rel=0.1)


def test_the_standard_error_of_a_mean_of_patients_is_the_known_one():
    found, groups = [], np.repeat(np.arange(40), 5)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sets = FeatureSets(sample(rng, 400), sample(rng, 200, 0, 40), groups)
        found.append(stated(sets, mean_difference, seed=seed)["difference"])
    known = np.sqrt(1.5**2 / 40 + 1 / 200 + 1 / 400)
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(known, rel=0.15)


def test_the_standard_errors_are_the_spread_over_other_samples():
    def measure(real, synthetic):
        n = min(len(real), len(synthetic))
        overlaps = overlap(real[:n], synthetic[:n])
        distance = frechet_distance(statistics(real[:n]), statistics(synthetic[:n]))
        return {"fid": distance, "precision": overlaps.precision, "coverage": overlaps.coverage}

    values, errors = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        sets = FeatureSets(sample(rng, 100, 0.6), sample(rng, 100))
        values.append(measure(sets.real, sets.synthetic))
        if seed < 6:
            errors.append(stated(sets, measure, seed=seed))
    for name in values[0]:
        spread = np.std([one[name] for one in values], ddof=1)
        assert 0.6 < np.median([one[name] for one in errors]) / spread < 1.7, name


def test_the_unit_is_the_patient_where_patients_have_several_images():
    rng = np.random.default_rng(0)
    real, synthetic = sample(rng, 200, 0, 40), sample(rng, 150, 0.4)
    known, unknown = (
        feature_kid(FeatureSets(synthetic, real, groups), "network")
        for groups in (np.repeat(np.arange(40), 5), None)
    )
    assert known.value == unknown.value
    assert (known.resampled, unknown.resampled) == ("patients", "images")
    copies = FeatureSets(synthetic, real, np.repeat(np.arange(40), 5), patients_known=False)
    assert feature_kid(copies, "network").resampled == "images"
    assert known.high - known.low > 1.3 * (unknown.high - unknown.low)


def test_an_interval_stays_within_the_range_of_its_metric():
    rng = np.random.default_rng(0)
    found = feature_overlap(FeatureSets(sample(rng, 40), sample(rng, 60)), "network")
    for name in ("precision", "recall", "coverage"):
        assert 0 <= found[name].low <= found[name].value <= found[name].high <= 1


def test_too_few_images_for_parts_have_a_value_without_an_interval():
    rng = np.random.default_rng(0)
    found = feature_overlap(FeatureSets(sample(rng, 8), sample(rng, 16)), "network")
    assert found["precision"].value is not None
    assert found["precision"].low is None
