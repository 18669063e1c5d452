import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from medgan.evaluation.patients import by_patient, evaluate_patients, freeze_patients
from medgan.evaluation.protocol import Protocol

PROTOCOL = Protocol(n_resamples=100)


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


def patient_level(validation, test):
    return evaluate_patients(test, freeze_patients(validation, PROTOCOL), PROTOCOL)


def test_a_patient_is_anomalous_if_any_image_is_and_the_score_is_stated():
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
    found = patient_level(validation, test)
    assert (found.patient_score, found.n_patients, found.n_anomalous) == ("mean", 100, 50)
    patients = test.groupby("group_id").agg({"score": "mean", "label": "max"})
    called = patients["score"] >= found.threshold.value
    assert found.sensitivity.value == pytest.approx(called[patients["label"] == 1].mean())
    assert found.auroc.value == pytest.approx(norm.cdf(2 * np.sqrt(3 / 2)), abs=0.02)


def test_patients_who_are_unknown_or_have_one_image_give_a_reason():
    for table, reason in ((part(60, 0, 2, known=False), "unknown"), (part(60, 0, 1), "one image")):
        found = patient_level(table, table)
        assert found.auroc.value is None
        assert reason in found.auroc.reason
    every = part(60, 0, 2).assign(label=1)
    assert "every validation patient" in patient_level(every, part(60, 1, 2)).auroc.reason
