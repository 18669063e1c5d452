"""Two runs side by side: paired where they can be, said so where not, and intervals that hold what
they promise.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from medgan.evaluation.compare_runs import (
    COLUMNS,
    COMBINED,
    PAIRED,
    PAIRED_IMAGES,
    UNPAIRED,
    RunMetrics,
    compare_runs,
    differing,
    mover,
)
from medgan.evaluation.metrics import DETECTOR
from medgan.evaluation.score_table import judged, units_in
from medgan.stats.bootstrap import Estimate
from medgan.stats.thresholds import Threshold


def table(seed=0, n=200, patients=50, gain=1.0, known=True):
    rng = np.random.default_rng(99)  # the same images in every run
    group = rng.integers(0, patients, n)
    label = (group % 2).astype(int)
    shared = rng.normal(0, 1, n)
    score = gain * label + shared + np.random.default_rng(seed).normal(0, 0.3, n)
    return pd.DataFrame(
        {
            "unit": [f"i{number:03d}" for number in range(n)],
            "group_id": [f"p{number}" for number in group],
            "group_known": known,
            "label": label,
            "category": np.where(label, "viral", "normal"),
            "score": score,
            "called": (score > 0.5).astype(int),
        }
    )


def run(name, part, metrics=None):
    stored = dict.fromkeys((metric.key for metric in DETECTOR), Estimate(0.5, 0.4, 0.6))
    return RunMetrics(name, metrics or {"bigan": stored}, {} if part is None else {"bigan": part})


def of(first, second, metric="auroc"):
    found = compare_runs(first, second, 400, 0).detectors["bigan"]
    return found.how, found.figures[metric].difference


def test_the_same_images_are_paired_whatever_their_order():
    shuffled = of(run("a", table(0)), run("b", table(1).sample(frac=1, random_state=0)))
    assert shuffled[0] == PAIRED
    assert shuffled == of(run("a", table(0)), run("b", table(1)))
    assert of(run("a", table(0, known=False)), run("b", table(1, known=False)))[0] == PAIRED_IMAGES


def test_pairing_narrows_the_interval_and_finds_what_is_better():
    a, b = table(0), table(1, gain=1.6)
    _, paired = of(run("a", a), run("b", b))
    how, apart = of(run("a", a), run("b", b.assign(unit=b["unit"] + "x")))
    assert how == UNPAIRED
    assert paired.value == pytest.approx(apart.value)
    assert paired.low > 0
    assert paired.high - paired.low < 0.6 * (apart.high - apart.low)


def test_a_change_of_sign_changes_the_difference_alone():
    a, b = run("a", table(0)), run("b", table(1, gain=1.6))
    forward, backward = of(a, b)[1], of(b, a)[1]
    assert forward.value == pytest.approx(-backward.value)
    assert forward.low == pytest.approx(-backward.high)


def test_a_run_and_itself_do_not_differ():
    _, change = of(run("a", table(0)), run("b", table(0)))
    assert (change.value, change.low, change.high) == (0, 0, 0)


@pytest.mark.parametrize("change", [{"label": 1}, {"group_id": "other"}])
def test_other_labels_or_patients_are_not_paired(change):
    b = table(1)
    b.loc[0, list(change)] = (
        list(change.values()) if b.loc[0, "label"] != 1 or "label" not in change else [0]
    )
    assert of(run("a", table(0)), run("b", b))[0] == UNPAIRED


def test_without_scores_the_stored_intervals_are_combined():
    how, change = of(run("a", None), run("b", table(0)))
    assert how == COMBINED
    assert (change.value, change.low) == (0, pytest.approx(-np.hypot(0.1, 0.1)))
    unequal = mover(Estimate(0.8, 0.7, 0.85), Estimate(0.9, 0.87, 0.95))
    assert (unequal.low, unequal.high) == (
        pytest.approx(0.1 - np.hypot(0.03, 0.05)),
        pytest.approx(0.1 + np.hypot(0.05, 0.1)),
    )


def test_what_a_run_does_not_have_is_said():
    assert mover(Estimate(None, reason="x"), Estimate(1.0)).value is None
    assert mover(Estimate(0.5), Estimate(0.7)).low is None
    other = RunMetrics("b", {"dcgan": {}}, {})
    found = compare_runs(run("a", None), other)
    assert (found.only_a, found.only_b, found.detectors) == (["bigan"], ["dcgan"], {})


def test_settings_that_differ_are_listed():
    assert differing({"seed": "0", "scale": "cpu"}, {"seed": "1", "scale": "cpu", "new": "x"}) == {
        "new": [None, "x"],
        "seed": ["0", "1"],
    }


def test_units_are_volumes_where_there_are_volumes():
    splits = (
        table(0, n=8, patients=4)
        .rename(columns={"unit": "image_id"})
        .drop(columns=["score", "called"])
    )
    splits = splits.assign(split="test", volume=["a", "a", "b", "b", None, None, None, None])
    validation = splits[:1].assign(image_id="v", split="val", volume=None)
    scores = splits[["image_id"]].assign(score=np.arange(8.0))
    scores = pd.concat([scores, pd.DataFrame({"image_id": ["v"], "score": [0.0]})])
    result = SimpleNamespace(aggregate="mean", threshold=Threshold("youden", 2.0))
    units = units_in(judged(scores, pd.concat([splits, validation]), result), "test", result)
    assert set(COLUMNS) <= set(units.columns)
    assert set(units["unit"]) == {"a", "b", *splits["image_id"][4:]}
    assert units.set_index("unit")["called"].to_dict()["a"] == 0
    assert units.set_index("unit")["score"].to_dict()["b"] == 2.5


def test_intervals_of_the_difference_cover():
    """200 simulated pairs of runs on 40 patients with three images each; the true difference of two
    equal detectors is 0.
    """
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        label = np.repeat(np.arange(40) % 2, 3)
        patient = np.repeat(rng.normal(0, 0.7, 40), 3)
        frame = pd.DataFrame(
            {
                "unit": np.arange(120),
                "group_id": np.repeat(np.arange(40), 3).astype(str),
                "group_known": True,
                "label": label,
            }
        )
        parts = []
        for _ in range(2):
            score = label + patient + rng.normal(0, 1, 120)
            parts.append(frame.assign(category="x", score=score, called=(score > 0.5).astype(int)))
        _, found = of(run("a", parts[0]), run("b", parts[1]))
        covered += found.low <= 0 <= found.high
    assert 0.90 <= covered / 200 <= 0.99
