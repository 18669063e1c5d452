import numpy as np
import pandas as pd
import pytest

from medgan.errors import UserError
from medgan.stats.thresholds import (
    FALLBACK_FPR,
    Conformal,
    FalsePositiveRate,
    NoAnomalies,
    Sensitivity,
    Threshold,
    Youden,
    conformal_quantile,
    frozen_on,
    frozen_or_missing,
    lowest_of_share,
    normal_quantile,
    parse_rule,
    rule_of,
    youden,
)


def freeze(labels, scores, rule, groups=None):
    """The threshold that a rule takes from validation images."""
    groups = np.arange(len(labels)) if groups is None else groups
    table = pd.DataFrame({"label": labels, "score": scores, "group_id": groups})
    return frozen_on(table, rule)


def test_youden_finds_the_best_cut_by_brute_force():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    scores = np.round(rng.normal(labels, 1), 1)

    def value(cut):
        called = scores >= cut
        return called[labels == 1].mean() - called[labels == 0].mean()

    assert value(youden(labels, scores)) == pytest.approx(max(value(cut) for cut in scores))


def test_youden_lies_between_the_classes_and_is_finite_where_nothing_separates_them():
    assert youden(np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 4.0, 5.0])) == 3.0
    assert np.isfinite(youden(np.array([1, 1, 0, 0]), np.array([1.0, 2.0, 4.0, 5.0])))
    assert youden(np.array([0, 1]), np.array([1.0, 1.0])) == 1.0


@pytest.mark.parametrize(("fpr", "allowed"), [(0.0, 0), (0.05, 5), (0.1, 10), (0.049, 4)])
def test_the_normal_quantile_calls_no_more_normals_than_stated(fpr, allowed):
    scores = np.random.default_rng(1).permutation(100).astype(float)
    assert (scores >= normal_quantile(scores, fpr)).sum() == allowed
    assert (np.ones(50) >= normal_quantile(np.ones(50), fpr)).sum() == 0


def test_f44_without_anomalies_in_validation_the_rule_says_what_it_did():
    scores = np.arange(100.0)
    threshold = freeze(np.zeros(100, dtype=int), scores, Youden())
    assert threshold.value == conformal_quantile(scores, FALLBACK_FPR)
    assert "conformal=0.05" in threshold.rule
    assert "no anomalous" in threshold.rule
    assert not threshold.uses_labels


def test_rules_carry_their_argument_and_whether_labels_were_used():
    labels, scores = np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 4.0, 5.0])
    assert (
        freeze(labels, scores, FalsePositiveRate(0.5)).rule,
        freeze(labels, scores, FalsePositiveRate(0.5)).uses_labels,
    ) == ("fpr=0.5", False)
    assert freeze(labels, scores, Youden()).uses_labels
    assert freeze(labels, scores, Youden()).decide(np.array([2.9, 3.0])).tolist() == [0, 1]


@pytest.mark.parametrize(
    "rule", ["best", "fpr", "fpr=2", "fpr=x", "youden=1", "", "conformal", "sensitivity=1"]
)
def test_an_unknown_rule_is_refused_by_name(rule):
    with pytest.raises(UserError, match=r"evaluation\.threshold_rule"):
        parse_rule(rule)


def test_validation_without_normals_is_refused():
    with pytest.raises(UserError, match="no normal image"):
        freeze(np.ones(3), np.arange(3.0), Youden())


def test_the_conformal_cut_is_that_of_the_p_value_with_one_more():
    """Of 99 normals, p = (1 + k) / 100 <= 0.05 where at most k = 4 score as high; of 19 none may,
    of 18 no cut is enough.
    """
    scores = np.random.default_rng(2).permutation(99).astype(float)
    assert (scores >= conformal_quantile(scores, 0.05)).sum() == 4
    assert (scores >= normal_quantile(scores, 0.05)).sum() == 4
    assert (np.arange(100.0) >= conformal_quantile(np.arange(100.0), 0.05)).sum() == 4
    assert (np.arange(100.0) >= normal_quantile(np.arange(100.0), 0.05)).sum() == 5
    for few in (19, 18):
        threshold = freeze(np.zeros(few), np.arange(float(few)), Conformal(0.05))
        assert threshold.value == np.nextafter(few - 1.0, np.inf)
        assert ("not reachable with 18" in threshold.rule) == (few == 18)
    assert (np.ones(50) >= conformal_quantile(np.ones(50), 0.05)).sum() == 0


def test_a_patient_with_many_images_counts_once_in_the_conformal_cut():
    scores = np.concatenate([np.full(30, 50.0), np.arange(39.0)])
    groups = np.concatenate([np.full(30, "many"), np.arange(39).astype(str)])
    cut = conformal_quantile(scores, 0.05, groups)
    assert cut == np.nextafter(38.0, np.inf)
    assert cut < conformal_quantile(scores, 0.05)
    assert conformal_quantile(scores, 0.05, np.arange(69)) == conformal_quantile(scores, 0.05)


def test_conformal_false_positives_stay_under_alpha_where_the_quantile_exceeds_it():
    rng = np.random.default_rng(0)
    rates = {Conformal(0.1): [], FalsePositiveRate(0.1): []}
    for _ in range(1500):
        patients = rng.normal(size=(31, 1)) + rng.normal(size=(31, 4))
        labels, groups = np.zeros(120, dtype=int), np.repeat(np.arange(30), 4)
        for rule, found in rates.items():
            found.append(
                freeze(labels, patients[:30].ravel(), rule, groups).decide(patients[30]).mean()
            )
    assert np.mean(rates[Conformal(0.1)]) <= 0.1 + 0.012
    assert np.mean(rates[Conformal(0.1)]) < np.mean(rates[FalsePositiveRate(0.1)])


def test_a_sensitivity_is_reached_on_validation_and_needs_anomalous_images():
    assert lowest_of_share(np.arange(20.0), 0.95) == 1.0
    assert lowest_of_share(np.arange(20.0), 1.0) == 0.0
    labels, scores = np.repeat([0, 1], 20), np.arange(40.0)
    assert freeze(labels, scores, Sensitivity(0.95)).value == 21.0
    with pytest.raises(NoAnomalies, match="conformal"):
        freeze(np.zeros(5), np.arange(5.0), Sensitivity(0.95))


@pytest.mark.parametrize("text", ["youden", "fpr=0.05", "conformal=0.1", "sensitivity=0.9"])
def test_the_text_of_a_rule_is_that_of_the_configuration(text):
    assert str(parse_rule(text)) == text


def test_the_rule_of_a_stored_threshold_is_found_whatever_its_text_adds():
    threshold = freeze(np.zeros(5), np.arange(5.0), Youden())
    assert "not reachable" in threshold.rule
    assert rule_of(threshold) == Conformal(0.05)


def test_a_rule_without_the_images_it_needs_gives_a_missing_threshold():
    table = pd.DataFrame({"label": [0, 0], "score": [1.0, 2.0], "group_id": ["a", "b"]})
    missing = frozen_or_missing(table, Sensitivity(0.95))
    assert (missing.value, missing.rule) == (None, "sensitivity=0.95")
    assert "no anomalous image" in missing.reason
    assert missing.decide(np.array([1.0, np.inf])).tolist() == [0, 1]


def test_a_threshold_is_written_with_its_rule_and_where_missing_with_its_reason():
    assert Threshold("youden", 0.5, uses_labels=True).as_dict() == {"rule": "youden", "value": 0.5}
    assert Threshold("fpr=0.1", None, reason="no").as_dict() == {
        "rule": "fpr=0.1",
        "value": None,
        "reason": "no",
    }


def test_the_rule_of_a_threshold_is_written_as_it_was_asked_for():
    labels, scores = np.repeat([0, 1], 50), np.arange(100.0)
    for rule in (Youden(), Sensitivity(0.9), FalsePositiveRate(0.1), Conformal(0.1)):
        assert freeze(labels, scores, rule).rule == str(rule)
    assert freeze(labels, scores, Sensitivity(0.9)).uses_labels
    assert not freeze(labels, scores, Conformal(0.1)).uses_labels


@pytest.mark.parametrize(("patients", "promised"), [(19, True), (18, False)])
def test_a_conformal_share_that_too_few_patients_cannot_promise_is_said(patients, promised):
    """n patients can promise 1 / (n + 1) at best: 19 can promise 5 %."""
    found = freeze(np.zeros(patients, dtype=int), np.arange(float(patients)), Conformal(0.05))
    assert (found.rule == "conformal=0.05") == promised


def test_the_conformal_cut_of_a_validation_table_counts_patients():
    scores, groups = np.random.default_rng(3).normal(size=120), np.repeat(np.arange(40), 3)
    found = freeze(np.zeros(120, dtype=int), scores, Conformal(0.1), groups)
    assert found.value == conformal_quantile(scores, 0.1, groups)
    assert found.value != conformal_quantile(scores, 0.1)


def test_equal_scores_are_on_one_side_of_the_conformal_cut():
    """Brute force: the lowest cut at which an image of a new patient is called with a p-value of at
    most alpha, the images of a patient sharing one vote.
    """
    rng = np.random.default_rng(4)
    scores, groups = np.round(rng.normal(size=200), 1), rng.integers(0, 60, 200)
    votes = pd.DataFrame({"score": scores, "group": groups})

    def p_value(cut):
        share = (votes["score"] >= cut).groupby(votes["group"]).mean().sum()
        return (1 + share) / (votes["group"].nunique() + 1)

    cut = conformal_quantile(scores, 0.1, groups)
    called, others = (np.unique(scores[side]) for side in (scores >= cut, scores < cut))
    assert all(p_value(score) <= 0.1 for score in called)
    assert all(p_value(score) > 0.1 for score in others)


def test_a_small_share_of_few_anomalies_is_the_highest_of_them():
    assert lowest_of_share(np.array([1.0, 3.0, 2.0]), 0.1) == 3.0


def test_a_false_positive_rate_of_0_is_a_rule_and_1_is_none():
    assert parse_rule("fpr=0") == FalsePositiveRate(0.0)
    with pytest.raises(UserError):
        parse_rule("fpr=1")


def test_decisions_are_whole_numbers():
    found = Threshold("youden", 2.0).decide([1, 2, 3])
    assert (found.dtype, found.tolist()) == (np.int64, [0, 1, 1])
