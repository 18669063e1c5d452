import json

import numpy as np
import pandas as pd
import pytest

from medgan.audits.robustness import (
    PERTURBATIONS,
    audit_robustness,
    perturbed,
    robustness_sample,
    variants,
)
from medgan.audits.scored import ScoredDetector
from medgan.files.documents import to_json
from medgan.stats.differences import Difference

RNG = np.random.default_rng(0)
SMOOTH = np.linspace(30, 200, 32, dtype=np.uint8)[None, :, None, None] * np.ones(
    (1, 1, 32, 1), dtype=np.uint8
)
IMAGES = np.concatenate([SMOOTH, RNG.integers(0, 255, (4, 32, 32, 1)).astype(np.uint8)])
ROWS = np.arange(5)


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_a_perturbed_image_depends_on_itself_alone_and_changes_more_with_severity(name):
    severities = PERTURBATIONS[name].severities
    changed = [perturbed(IMAGES, ROWS, name, severity, 7) for severity in severities]
    assert all(images.shape == IMAGES.shape and images.dtype == np.uint8 for images in changed)
    alone = perturbed(IMAGES[3:4], ROWS[3:4], name, severities[1], 7)
    assert np.array_equal(alone[0], changed[1][3])
    far = [np.abs(images.astype(float) - IMAGES).mean() for images in changed]
    assert 0 < far[0] < far[1] < far[2]


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_color_stays_color(name):
    color = RNG.integers(0, 255, (2, 16, 20, 3)).astype(np.uint8)
    assert (
        perturbed(color, np.arange(2), name, PERTURBATIONS[name].severities[0], 0).shape
        == color.shape
    )


def test_noise_and_brightness_are_as_strong_as_they_say():
    grey = np.full((400, 16, 16, 1), 128, dtype=np.uint8)
    noisy = perturbed(grey, np.arange(400), "noise", 8.0, 0).astype(float)
    assert noisy.std() == pytest.approx(8.0, abs=0.2)
    shifts = perturbed(grey, np.arange(400), "brightness", 20.0, 0).astype(int)[:, 0, 0, 0] - 128
    assert set(shifts) == {-20, 20}
    assert 0.4 < (shifts > 0).mean() < 0.6


def cohort(n=300):
    patient = np.arange(n) // 2
    label = patient % 2
    return pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(n)],
            "group_id": [f"p{number}" for number in patient],
            "group_known": True,
            "label": label,
            "category": np.where(label, "viral", "normal"),
            "split": np.where(patient % 3, "test", "val"),
            "row": np.arange(n),
        }
    )


def test_the_sample_knows_no_label_and_no_order_and_keeps_volumes_whole():
    splits = cohort()
    drawn = robustness_sample(splits[["image_id", "split", "row"]], 50, 0)
    assert len(drawn) == 50
    assert (drawn["split"] == "test").all()
    again = robustness_sample(splits.sample(frac=1, random_state=1), 50, 0)
    assert set(again["image_id"]) == set(drawn["image_id"])
    assert set(robustness_sample(splits, 50, 1)["image_id"]) != set(drawn["image_id"])
    assert len(robustness_sample(splits, 10_000, 0)) == (splits["split"] == "test").sum()
    volumes = robustness_sample(splits.assign(volume=splits["group_id"]), 51, 0)
    assert (volumes.groupby("volume").size() == 2).all()
    assert 0 < len(volumes) <= 51


def arrays(splits, scores):
    test = splits["split"] == "test"
    values = [scores[name, severity] for name, severity in variants()]
    return {
        "image_id": splits.loc[test, "image_id"].to_numpy(),
        "scores": np.stack(values)[:, test],
        "reason": np.array(""),
    }


def test_a_fall_is_measured_on_the_same_images_and_flips_are_counted():
    splits = cohort()
    rng = np.random.default_rng(2)
    clean = splits["label"] * 2 + rng.normal(0, 1, len(splits))
    scores = dict.fromkeys(variants(), clean + 0.001)
    scores["noise", 16.0] = rng.normal(0, 1, len(splits))
    scores["blur", 0.04] = clean + 100
    table = splits[["image_id"]].assign(score=clean)
    document = audit_robustness(
        arrays(splits, scores), ScoredDetector(table, 1.0), splits, n_resamples=200
    )
    noise, blur = (
        document.perturbations[name].severities[step]
        for name, step in (("noise", "16"), ("blur", "0.04"))
    )
    test = splits["split"] == "test"
    assert noise.change.high < -0.2
    assert blur.change == Difference(0.0, 0.0, 0.0, p_value=1.0)
    assert blur.n_to_anomalous == (clean[test] < 1).sum()
    assert blur.flipped.value == pytest.approx((clean[test] < 1).mean())
    mild = document.perturbations["jpeg"].severities["80"]
    assert mild.n_to_anomalous + mild.n_to_normal <= 1
    assert "falls most under noise 16" in document.sentence
    json.dumps(to_json(document), allow_nan=False)


def test_a_sample_of_one_class_has_flips_and_no_auroc():
    splits = cohort().assign(label=0, category="normal")
    clean = np.zeros(len(splits))
    document = audit_robustness(
        arrays(splits, dict.fromkeys(variants(), clean)),
        ScoredDetector(splits[["image_id"]].assign(score=clean), 1.0),
        splits,
        n_resamples=100,
    )
    step = document.perturbations["noise"].severities["4"]
    assert step.change.value is None
    assert step.flipped.value == 0.0
    assert "is missing" in document.sentence


def test_what_was_not_run_says_why():
    document = audit_robustness(
        {"reason": np.array("scoring takes 9 s an image")},
        ScoredDetector(pd.DataFrame(), 1.0),
        pd.DataFrame(),
    )
    assert document.sentence == "Not run: scoring takes 9 s an image."
