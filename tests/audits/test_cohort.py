import json

import numpy as np
import pandas as pd
import pytest

from medgan.audits.cohort import demographics, few_levels, flow, reference_standard, table_one
from medgan.audits.data_results import Ages, Count, ImagesPerPatient, LeftOut, Size
from medgan.errors import UserError
from medgan.evaluation.examples import random_errors
from medgan.evaluation.protocol import EvaluationConfig, LabelNoise, RobustnessConfig
from medgan.files.documents import to_json
from medgan.stats.bootstrap import Estimate
from medgan.stats.classification import auroc


def splits(known=True):
    patient = np.repeat(np.arange(40), 3)
    label = patient % 2
    return pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(120)],
            "group_id": [f"p{number}" for number in patient],
            "group_known": known,
            "label": label,
            "category": np.where(label, "viral", "normal"),
            "split": np.array(["train", "train", "val", "test"])[patient % 4],
            "role": np.where(patient % 8 == 0, "mix", None),
            "sex": np.where(patient < 10, "F", np.where(patient < 30, "M", None)),
            "age": np.where(patient < 20, patient.astype(float), np.nan),
            "age_band": np.where(patient < 20, "6-17", "unknown"),
        }
    )


def test_nothing_gets_lost_in_the_flow():
    quarantine = pd.DataFrame(
        {"path": ["a", "b", "c"], "code": ["UNREADABLE", "CONSTANT", "UNREADABLE"]}
    )
    exclusions = pd.DataFrame({"path": ["d"], "reason": ["label unclear"]})
    told = flow(splits(), quarantine, exclusions, dropped=7)
    assert told.listed == 120 + 7 + 3 + 1
    assert list(told.quarantined.reasons.items()) == [("UNREADABLE", 2), ("CONSTANT", 1)]
    assert (
        told.usable - told.dropped.images
        == told.kept.images
        == sum(part.images for part in told.parts.values())
    )
    assert told.parts["train"].unlabelled_mix == Size(15, 5)
    assert told.kept.patients == 40
    assert flow(splits(known=False), quarantine, exclusions).kept.patients is None
    empty = flow(splits(), quarantine[:0], exclusions[:0])
    assert (empty.listed, empty.excluded) == (120, LeftOut(0, {}))


def test_people_are_counted_once_and_images_each():
    told = demographics(splits())
    everyone = told.parts["all"]
    assert told.unit == "patient"
    assert everyone.sex == {"F": Count(10, 0.25), "M": Count(20, 0.5), "unknown": Count(10, 0.25)}
    assert everyone.age == Ages(20, 9.5, 4.75, 14.25, 0.0, 19.0)
    assert everyone.categories["viral"] == Count(60, 0.5)
    assert everyone.missing["age"] == Count(60, 0.5)
    assert everyone.images_per_patient == ImagesPerPatient(3.0, 3)
    assert demographics(splits(known=False)).parts["all"].sex["F"].n == 30
    json.dumps(to_json(told), allow_nan=False)


def test_table_one_reads_like_one():
    table = table_one(demographics(splits())).set_index(["characteristic", "level"])
    assert list(table.columns) == ["train", "val", "test", "all"]
    assert table.loc[("sex, patients", "F"), "all"] == "10 (25%)"
    assert table.loc[("age in years, median (IQR)", ""), "all"] == "9.5 (4.75 to 14.25)"
    assert (table.loc[("site, images", "")] == "not reported").all()


def test_an_empty_part_is_no_error():
    told = demographics(splits().assign(split="train"))
    assert told.parts["test"].images == 0
    assert told.parts["test"].age is None
    table_one(told)


def test_rare_levels_are_one():
    values = pd.Series([*"aaaabbb", "c", "d"])
    assert few_levels(values, 2).unique().tolist() == ["a", "b", "other (2 values)"]
    assert few_levels(values, 3).unique().tolist() == ["a", "b", "c", "d"]


def test_noise_at_random_pulls_the_auroc_as_the_formula_says():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 40_000)
    scores = truth + rng.normal(0, 1, 40_000)
    labels = np.where(rng.random(40_000) < np.where(truth == 1, 0.1, 0.3), 1 - truth, truth)
    noise = LabelNoise(
        anomalous=float((truth[labels == 1] == 0).mean()),
        normal=float((truth[labels == 0] == 1).mean()),
    )
    ones = np.ones((1, len(truth)))
    observed, right = (float(auroc(kind, scores, ones)[0]) for kind in (labels, truth))
    told = reference_standard("two readers", noise, {"a": Estimate(observed, None, 0.99)})
    corrected = told.label_noise.auroc_if_labels_were_right["a"]
    assert corrected.value == pytest.approx(right, abs=0.01)
    assert observed < right - 0.05
    assert (corrected.low, corrected.high) == (None, 1.0)
    assert told.label_noise.ceiling == 1 - (noise.anomalous + noise.normal) / 2


def test_what_is_not_reported_says_so():
    told = reference_standard(None, None, {"a": Estimate(None, reason="one class")})
    assert to_json(told) == {
        "reference_standard": "not reported",
        "label_noise": {"reported": "not reported"},
    }


def test_settings_are_refused_by_name():
    with pytest.raises(UserError, match=r"evaluation\.label_noise"):
        LabelNoise(0.6, 0.5)
    with pytest.raises(UserError, match=r"evaluation\.robustness\.images"):
        RobustnessConfig(images=3)
    with pytest.raises(UserError, match=r"evaluation\.random_errors"):
        EvaluationConfig(random_errors=0)


def test_random_errors_are_errors_and_repeat_whatever_the_order():
    rng = np.random.default_rng(0)
    test = pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(300)],
            "label": rng.integers(0, 2, 300),
            "score": rng.random(300),
        }
    )
    drawn = random_errors(test, 0.5, 20, 3)
    assert drawn["kind"].value_counts().to_dict() == {"false negative": 10, "false positive": 10}
    misses, alarms = (drawn[drawn["kind"] == kind] for kind in ("false negative", "false positive"))
    assert ((misses["label"] == 1) & (misses["score"] < 0.5)).all()
    assert ((alarms["label"] == 0) & (alarms["score"] >= 0.5)).all()
    assert (
        random_errors(test.sample(frac=1, random_state=1), 0.5, 20, 3)["image_id"].tolist()
        == drawn["image_id"].tolist()
    )
    assert set(random_errors(test, 0.5, 20, 4)["image_id"]) != set(drawn["image_id"])
    assert (
        misses["score"].min() > test.loc[test["label"] == 1, "score"].min()
        or misses["score"].mean() > 0.1
    )
    assert random_errors(test, -1.0, 20, 0)["kind"].eq("false positive").all()
