import json

import numpy as np
import pandas as pd
import pytest

from medgan.errors import UserError
from medgan.evaluation.baselines import Judged, choose_baseline, compare_with_baselines
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.protocol import EvaluationConfig
from medgan.pipelines.anomaly_evaluation.scoring.nodes import differences_from_baselines

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
    rows = {
        name: evaluate_detector(table, splits, n_resamples=100, sees_mix=name in MIX)
        for name, table in scores.items()
    }
    return splits, scores, rows


def document(images=2, known=True, **changes):
    splits, scores, rows = cohort(images, known)
    for name, change in changes.items():
        rows[name] |= change
    inputs = {f"evaluation_{name}": row for name, row in rows.items()} | {
        f"scores_{name}": table for name, table in scores.items()
    }
    return differences_from_baselines(splits, EvaluationConfig(n_resamples=200), 0, **inputs)


def test_detectors_are_compared_with_the_baseline_that_sees_no_more():
    found, figure = document()
    assert found["baselines"]["normals only"]["name"] == "nearest_neighbour"
    assert found["baselines"]["normals only"]["chosen_by"] == "highest validation AUROC"
    assert found["baselines"]["sees the mix"] == {
        "name": "mix_vs_normal",
        "chosen_by": "the only baseline",
        "validation_auroc": found["baselines"]["sees the mix"]["validation_auroc"],
    }
    against = {name: test["against"] for name, test in found["tests"].items()}
    assert against == {
        name: "mix_vs_normal" if name in MIX else "nearest_neighbour" for name in EFFECTS
    }
    assert found["tests"]["gan"]["verdict"] == "better than nearest_neighbour"
    assert found["tests"]["healthygan"]["verdict"] == "no difference from mix_vs_normal shown"
    assert found["tests"]["nearest_neighbour"]["verdict"] == "no test: it is the baseline"
    assert found["n_tests"] == 3
    assert all(
        test["p_holm"] >= test["p_value"]
        for test in found["tests"].values()
        if test["p_value"] is not None
    )
    assert len(found["tests"]) == len(EFFECTS), "nulls stay in the table"
    json.dumps(found, allow_nan=False)
    assert figure.draw().axes


@pytest.mark.parametrize(
    ("images", "known", "test"),
    [
        (2, True, "paired patient bootstrap"),
        (1, True, "DeLong"),
        (2, False, "DeLong, images taken as independent: patients are unknown"),
    ],
)
def test_the_test_follows_what_is_independent_and_says_so(images, known, test):
    found, _ = document(images, known)
    assert found["tests"]["gan"]["test"] == test
    assert found["interval_unit"] == ("patient" if known else "image")
    clustered = found["tests"]["gan"]["delong"].get("reason", "")
    assert ("patients have several" in clustered) == (images == 2 and known)
    assert found["tests"]["gan"]["difference"] == {
        key: found["tests"]["gan"]["bootstrap" if clustered else "delong"][key]
        for key in ("value", "low", "high")
    }


def test_the_baseline_is_chosen_on_validation_even_where_test_says_otherwise():
    found, _ = document(autoencoder={"validation_auroc": {"value": 0.99}})
    assert found["baselines"]["normals only"]["name"] == "autoencoder"
    unknown = {"validation_auroc": {"value": None, "reason": "none"}}
    found, _ = document(autoencoder=unknown, nearest_neighbour=unknown)
    assert found["baselines"]["normals only"]["name"] == "nearest_neighbour"
    assert "fixed before" in found["baselines"]["normals only"]["chosen_by"]


def test_without_a_baseline_the_row_says_so():
    splits, scores, rows = cohort(effects={"gan": 1.0, "mix_vs_normal": 1.0})
    tests = {
        name: splits[splits["split"] == "test"].merge(
            scores[name][["image_id", "score"]], on="image_id"
        )
        for name in rows
    }
    judged = {name: Judged(rows[name], tests[name]) for name in rows}
    found = compare_with_baselines(judged, 100)
    assert choose_baseline(rows, False)["name"] is None
    assert (
        found["tests"]["gan"]["difference"]["reason"]
        == "none of nearest_neighbour, autoencoder was run"
    )
    assert (found["n_tests"], found["tests"]["gan"]["p_holm"]) == (0, None)


def test_detectors_on_different_images_are_refused():
    splits, scores, rows = cohort(effects={"gan": 1.0, "autoencoder": 1.0})
    test = splits[splits["split"] == "test"].merge(
        scores["gan"][["image_id", "score"]], on="image_id"
    )
    with pytest.raises(UserError, match="autoencoder and gan were scored on different test images"):
        compare_with_baselines(
            {
                "gan": Judged(rows["gan"], test),
                "autoencoder": Judged(rows["autoencoder"], test[::-1]),
            },
            100,
        )
    with pytest.raises(UserError, match="no detector"):
        compare_with_baselines({})
