import numpy as np
import pytest

from medgan.contracts import Refusal
from medgan.evaluation.thresholds import FALLBACK_FPR, freeze, normal_quantile, parse_rule, youden


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
    threshold = freeze(np.zeros(100, dtype=int), scores, "youden")
    assert threshold.value == normal_quantile(scores, FALLBACK_FPR)
    assert "fpr=0.05" in threshold.rule
    assert "no anomalous" in threshold.rule
    assert not threshold.uses_labels


def test_rules_carry_their_argument_and_whether_labels_were_used():
    labels, scores = np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 4.0, 5.0])
    assert (freeze(labels, scores, "fpr=0.5").rule, freeze(labels, scores, "fpr=0.5").uses_labels) == ("fpr=0.5", False)
    assert freeze(labels, scores, "youden").uses_labels
    assert freeze(labels, scores, "youden").decide(np.array([2.9, 3.0])).tolist() == [0, 1]


@pytest.mark.parametrize("rule", ["best", "fpr", "fpr=2", "fpr=x", "youden=1", ""])
def test_an_unknown_rule_is_refused_by_name(rule):
    with pytest.raises(Refusal, match=r"evaluation\.threshold_rule"):
        parse_rule(rule)


def test_validation_without_normals_is_refused():
    with pytest.raises(Refusal, match="no normal image"):
        freeze(np.ones(3), np.arange(3.0), "youden")
