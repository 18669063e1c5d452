"""A model that should not be believed says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medgan.contracts import ImageSpec
from medgan.evaluation.results import DetectorResult
from medgan.inference.cautions import FEW_NORMALS, of_evaluation, of_model
from medgan.models import PublishedModel
from medgan.stats.bootstrap import Estimate
from medgan.stats.thresholds import Threshold
from medgan.words import SMOKE

SOUND = DetectorResult(
    n_images=50,
    n_patients=50,
    interval_unit="patient",
    n_seeds=1,
    seeds=(0,),
    threshold=Threshold("youden", 0.5),
    sees_mix=False,
    labels_used="none",
    metrics={"auroc": Estimate(0.8, 0.7, 0.9)},
)


def model(**card: Any) -> PublishedModel:
    return PublishedModel("bigan", {}, ImageSpec(32, 1, ("normal",)), {}, card)


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"scale": "cpu", "figures": {"diversity": 0.9}}, []),
        ({}, []),
        ({"scale": "smoke"}, [SMOKE]),
        ({"scale": "cpu", "figures": {"diversity": 0.1}}, ["mode collapse"]),
        ({"scale": "smoke", "figures": {"diversity": 0.0}}, [SMOKE, "mode collapse"]),
    ],
)
def test_the_card_tells_a_smoke_run_and_a_collapse(card: dict[str, Any], said: list[str]) -> None:
    found = list(of_model(model(**card)))
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))


@pytest.mark.parametrize(
    ("area", "n_normals", "spread", "said"),
    [
        (Estimate(0.8, 0.7, 0.9), FEW_NORMALS, 1.0, []),
        (Estimate(0.8, 0.7, 0.9), 3, 1.0, ["rests on 3 normal validation images"]),
        (Estimate(0.8, 0.7, 0.9), 1, 1.0, ["rests on 1 normal validation image only"]),
        (Estimate(0.8, 0.7, 0.9), 100, 0.0, ["the same score"]),
        (Estimate(0.6, 0.45, 0.75), 100, 1.0, ["not significantly better than chance"]),
        (Estimate(None, reason="one class"), 100, 1.0, ["not shown to detect any anomaly"]),
    ],
)
def test_the_evaluation_tells_how_little_it_rests_on(
    area: Estimate, n_normals: int, spread: float, said: list[str]
) -> None:
    found = list(of_evaluation(replace(SOUND, metrics={"auroc": area}), n_normals, spread))
    assert len(found) == len(said)
    assert all(part in text for text, part in zip(found, said, strict=True))
