import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from medgan.errors import UserError
from medgan.evaluation.detector import by_patient, evaluate_detector, patient_level
from medgan.evaluation.protocol import EvaluationConfig
from medgan.stats.bootstrap import Estimate, Metric, interval, resolved
from medgan.stats.classification import (
    false_alarms,
    npv,
    ppv,
    predictive_values,
    sensitivity_at_specificity,
)
from medgan.stats.thresholds import (
    FALLBACK_FPR,
    NoAnomalies,
    at_sensitivity,
    at_specificity,
    conformal_quantile,
    decisions_at,
    freeze,
    lowest_of_share,
    normal_quantile,
    parse_rule,
    read_from_test,
    youden,
)
from tests.faults.test_evaluation import a_cohort


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
    assert threshold.value == conformal_quantile(scores, FALLBACK_FPR)
    assert "conformal=0.05" in threshold.rule
    assert "no anomalous" in threshold.rule
    assert not threshold.uses_labels


def test_rules_carry_their_argument_and_whether_labels_were_used():
    labels, scores = np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 4.0, 5.0])
    assert (
        freeze(labels, scores, "fpr=0.5").rule,
        freeze(labels, scores, "fpr=0.5").uses_labels,
    ) == ("fpr=0.5", False)
    assert freeze(labels, scores, "youden").uses_labels
    assert freeze(labels, scores, "youden").decide(np.array([2.9, 3.0])).tolist() == [0, 1]


@pytest.mark.parametrize(
    "rule", ["best", "fpr", "fpr=2", "fpr=x", "youden=1", "", "conformal", "sensitivity=1"]
)
def test_an_unknown_rule_is_refused_by_name(rule):
    with pytest.raises(UserError, match=r"evaluation\.threshold_rule"):
        parse_rule(rule)


def test_validation_without_normals_is_refused():
    with pytest.raises(UserError, match="no normal image"):
        freeze(np.ones(3), np.arange(3.0), "youden")


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
        threshold = freeze(np.zeros(few), np.arange(float(few)), "conformal=0.05")
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
    rates = {"conformal=0.1": [], "fpr=0.1": []}
    for _ in range(1500):
        patients = rng.normal(size=(31, 1)) + rng.normal(size=(31, 4))
        labels, groups = np.zeros(120, dtype=int), np.repeat(np.arange(30), 4)
        for rule, found in rates.items():
            found.append(
                freeze(labels, patients[:30].ravel(), rule, groups).decide(patients[30]).mean()
            )
    assert np.mean(rates["conformal=0.1"]) <= 0.1 + 0.012
    assert np.mean(rates["conformal=0.1"]) < np.mean(rates["fpr=0.1"])


def test_a_sensitivity_is_reached_on_validation_and_needs_anomalous_images():
    assert lowest_of_share(np.arange(20.0), 0.95) == 1.0
    assert lowest_of_share(np.arange(20.0), 1.0) == 0.0
    labels, scores = np.repeat([0, 1], 20), np.arange(40.0)
    assert freeze(labels, scores, "sensitivity=0.95").value == 21.0
    with pytest.raises(NoAnomalies, match="conformal"):
        freeze(np.zeros(5), np.arange(5.0), "sensitivity=0.95")


def part(n, seed, images=1, known=True):
    rng = np.random.default_rng(seed)
    patient = np.arange(n) // images
    return pd.DataFrame(
        {
            "group_id": [f"p{p}" for p in patient],
            "group_known": known,
            "label": patient % 2,
            "score": rng.normal(patient % 2 * 2.0, 1),
        }
    )


def test_every_rule_has_its_frozen_threshold_and_figures_on_test():
    validation, test = part(200, 0), part(200, 1)
    rules = ("youden", "fpr=0.05", "conformal=0.1", "sensitivity=0.9")
    found = resolved(decisions_at(rules, validation, test), test["group_id"], 100)
    assert tuple(found) == rules
    for decision in found.values():
        called = test["score"] >= decision["threshold"]["value"]
        assert decision["sensitivity"]["value"] == pytest.approx(called[test["label"] == 1].mean())
        assert decision["specificity"]["value"] == pytest.approx(
            1 - called[test["label"] == 0].mean()
        )
        assert decision["precision"]["value"] == pytest.approx(test["label"][called].mean())
        assert decision["accuracy"]["value"] == pytest.approx((called == test["label"]).mean())
        assert decision["f1"]["low"] < decision["f1"]["value"] < decision["f1"]["high"]
    assert [found[rule]["labels_used"] for rule in rules] == [
        "threshold",
        "none",
        "none",
        "threshold",
    ]


def test_95_percent_is_reached_on_validation_and_what_it_gives_is_counted_on_test():
    validation, test = part(400, 0), part(400, 1)
    specific = resolved(at_specificity(validation, test), test["group_id"], 100)
    sensitive = resolved(at_sensitivity(validation, test), test["group_id"], 100)
    cut = specific["threshold"]["value"]
    assert (validation["score"][validation["label"] == 0] >= cut).sum() == 10
    assert specific["sensitivity"]["value"] == pytest.approx(
        (test["score"][test["label"] == 1] >= cut).mean()
    )
    cut = sensitive["threshold"]["value"]
    assert (validation["score"][validation["label"] == 1] >= cut).sum() == 190
    alarms = sensitive["false_alarms_per_100_normals"]
    assert alarms["value"] == pytest.approx(100 * (test["score"][test["label"] == 0] >= cut).mean())
    assert alarms["value"] == pytest.approx(100 * (1 - sensitive["specificity"]["value"]))
    assert alarms["low"] == pytest.approx(100 * (1 - sensitive["specificity"]["high"]))


def test_sensitivity_on_the_test_roc_is_that_of_the_lowest_allowed_cut_and_says_what_it_is():
    test = part(201, 3)
    labels, scores = test["label"].to_numpy(), test["score"].to_numpy().round(1)
    normal = scores[labels == 0]
    allowed = [cut for cut in np.unique(scores) if (normal >= cut).mean() <= 0.05]
    ones = np.ones((1, len(labels)))
    assert sensitivity_at_specificity(0.95, labels, scores, ones)[0] == pytest.approx(
        (scores[labels == 1] >= min(allowed)).mean()
    )
    doubled = np.concatenate([labels, labels]), np.concatenate([scores, scores])
    assert sensitivity_at_specificity(0.95, labels, scores, 2 * ones) == sensitivity_at_specificity(
        0.95, *doubled, np.ones((1, 402))
    )
    assert "test images" in read_from_test(test)["remark"]


def test_false_alarms_are_per_100_normals_and_bounded_where_there_is_none():
    labels, decisions = np.repeat([0, 1], 50), np.zeros(100, dtype=int)
    decisions[:5] = 1
    assert interval(false_alarms(labels, decisions), np.arange(100), 100).value == 10.0
    none = interval(false_alarms(labels, np.zeros(100)), np.arange(100), 100)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(100 * (1 - 0.025 ** (1 / 50)))


def test_predictive_values_by_hand():
    """Sensitivity 0.9, specificity 0.8, one in ten anomalous: PPV 0.09 / (0.09 + 0.18), NPV 0.72 /
    (0.72 + 0.01).
    """
    labels = np.repeat([0, 1], 100)
    decisions = np.concatenate([np.repeat([0, 1], [80, 20]), np.repeat([0, 1], [10, 90])])
    found = resolved(predictive_values(labels, decisions, (0.1, 0.5)), np.arange(200), 500)
    assert found["0.1"]["ppv"]["value"] == pytest.approx(0.09 / 0.27)
    assert found["0.1"]["npv"]["value"] == pytest.approx(0.72 / 0.73)
    assert found["0.5"]["ppv"]["value"] == pytest.approx(90 / 110)
    assert found["0.1"]["ppv"]["low"] < 1 / 3 < found["0.1"]["ppv"]["high"]


@pytest.mark.parametrize("prevalence", [0.01, 0.1, 0.5])
def test_a_perfect_specificity_bounds_the_ppv_by_the_prevalence_and_not_by_1(prevalence):
    labels = np.repeat([0, 1], 40)
    decisions = np.concatenate([np.zeros(40), np.repeat([0, 1], 20)])
    values = resolved(predictive_values(labels, decisions, (prevalence,)), np.arange(80), 200)[
        f"{prevalence:g}"
    ]
    worst = 0.025 ** (1 / 40)
    assert (values["ppv"]["value"], values["ppv"]["high"]) == (1.0, 1.0)
    assert values["ppv"]["low"] == pytest.approx(
        float(ppv(prevalence, np.array([0.5]), np.array([worst]))[0])
    )
    turned = resolved(
        predictive_values(1 - labels, 1 - decisions, (prevalence,)), np.arange(80), 200
    )[f"{prevalence:g}"]
    assert turned["npv"]["low"] == pytest.approx(
        float(npv(prevalence, np.array([worst]), np.array([0.5]))[0])
    )


def test_where_nothing_is_called_there_is_no_predictive_value():
    values = resolved(
        predictive_values(np.repeat([0, 1], 5), np.zeros(10), (0.1,)), np.arange(10), 100
    )["0.1"]
    assert values["ppv"]["value"] is None
    assert "anomalous" in values["ppv"]["reason"]
    assert values["npv"]["value"] == pytest.approx(0.9)


def test_a_patient_is_anomalous_if_any_image_is_and_his_score_is_stated():
    table = pd.DataFrame(
        {"group_id": ["b", "a", "b", "a"], "label": [0, 0, 1, 0], "score": [1.0, 2.0, 5.0, 4.0]}
    )
    assert by_patient(table, "mean").to_dict("list") == {
        "group_id": ["a", "b"],
        "score": [3.0, 3.0],
        "label": [0, 1],
        "n_images": [2, 2],
    }
    assert by_patient(table, "max")["score"].tolist() == [4.0, 5.0]
    validation, test = part(300, 0, images=3), part(300, 1, images=3)
    found = patient_level(validation, test, "youden", "mean", 100)
    assert (found["patient_score"], found["n_patients"], found["n_anomalous"]) == ("mean", 100, 50)
    patients = test.groupby("group_id").agg({"score": "mean", "label": "max"})
    called = patients["score"] >= found["threshold"]["value"]
    assert found["sensitivity"]["value"] == pytest.approx(called[patients["label"] == 1].mean())
    assert found["auroc"]["value"] == pytest.approx(norm.cdf(2 * np.sqrt(3 / 2)), abs=0.02)


def test_patients_who_are_unknown_or_have_one_image_give_a_reason():
    for table, reason in ((part(60, 0, 2, known=False), "unknown"), (part(60, 0, 1), "one image")):
        found = patient_level(table, table, "youden")
        assert found["auroc"]["value"] is None
        assert reason in found["auroc"]["reason"]
    every = part(60, 0, 2).assign(label=1)
    assert (
        "every validation patient"
        in patient_level(every, part(60, 1, 2), "youden")["auroc"]["reason"]
    )


def test_the_row_shows_all_of_it_beside_validation():
    splits, scores = a_cohort()
    row = evaluate_detector(
        scores,
        splits,
        n_resamples=100,
        prevalences=(0.2,),
        decision_rules=("fpr=0.1",),
        patient_score="max",
    )
    assert set(row["decisions"]) == {"fpr=0.1"}
    assert set(row["predictive_values"]) == {"0.2"}
    assert row["patient_level"]["patient_score"] == "max"
    assert row["validation"]["auroc"] == row["validation_auroc"]
    assert "flatter" in row["validation"]["remark"]
    assert row["report"]["anomalous"]["recall"] == pytest.approx(row["sensitivity"]["value"])
    assert row["report"]["normal"]["support"] == row["n_images"] - row["n_anomalous"]
    assert row["brier"] == {"value": None, "reason": "not reported: scores are no probabilities"}
    assert row["expected_half_width"]["unit"] == "patient"
    assert set(row["per_category"]["viral"]) == {
        "n_images",
        "auroc",
        "average_precision",
        "sensitivity",
    }
    assert (
        row["sensitivity"]
        == evaluate_detector(scores, splits, n_resamples=100)["decisions"]["youden"]["sensitivity"]
    )


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ({"decision_rules": ("best",)}, "decision_rules"),
        ({"prevalences": (0.0,)}, "prevalences"),
        ({"prevalences": (10,)}, "prevalences"),
        ({"patient_score": "sum"}, "patient_score"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(setting, key):
    with pytest.raises(UserError, match=rf"evaluation\.{key}"):
        EvaluationConfig(**setting)


def test_a_tree_of_figures_keeps_its_form():
    everything = np.ones(6, dtype=bool)
    half = Metric(lambda weights: np.full(len(weights), 0.5), (everything,))
    found = resolved(
        {"a": {"b": half, "n": 3}, "why": Estimate(None, reason="no"), "empty": {}},
        np.arange(6),
        100,
    )
    assert found == {
        "a": {"b": {"value": 0.5, "low": 0.5, "high": 0.5}, "n": 3},
        "why": {"value": None, "reason": "no"},
        "empty": {},
    }


def test_a_difference_is_no_share_and_is_not_cut_at_zero():
    rng = np.random.default_rng(0)
    values = rng.normal(-0.2, 0.1, 50)
    mean = Metric(
        lambda weights: (weights @ values) / weights.sum(1), (np.ones(50, dtype=bool),), share=False
    )
    found = interval(mean, np.arange(50), 1000)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(
        2.01 * values.std(ddof=1) / np.sqrt(50), rel=0.1
    )
    with pytest.raises(ValueError, match="share=False"):
        interval(Metric(mean.statistic, mean.carriers), np.arange(50), 100)
