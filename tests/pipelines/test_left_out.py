"""Models that need anomalies are left out of a data set of normals, and the rest goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from medgan.errors import NotEnoughData, UserError
from medgan.evaluation.results import LeftOut
from medgan.pipelines.gathering import gathered
from medgan.pipelines.shared import publish_model, train_model
from medgan.training.settings import ComputeConfig

LACK = LeftOut("all images are normal")


def lacking(name: str, *inputs: Any) -> Any:
    raise NotEnoughData(LACK.reason)


def refused(name: str, *inputs: Any) -> Any:
    raise UserError("the training split has no normal image")


def test_a_model_that_lacks_data_is_not_trained_and_is_published_as_left_out() -> None:
    training: Any = None
    assert list(train_model(lacking, "acgan", lambda kind, model="": None, ComputeConfig())) == []
    assert publish_model(lacking, "acgan", training) == LACK


def test_so_is_a_model_that_lacks_another_model() -> None:
    training: Any = None
    assert (
        list(
            train_model(
                refused, "gan", lambda kind, model="": None, ComputeConfig(), "images", LACK
            )
        )
        == []
    )
    assert publish_model(refused, "gan", training, "images", LACK) == LACK


def test_another_error_still_ends_the_run() -> None:
    with pytest.raises(UserError, match="no normal image"):
        list(train_model(refused, "bigan", lambda kind, model="": None, ComputeConfig()))


@dataclass(frozen=True)
class Made:
    """Outputs of models."""

    trained: Mapping[str, Any]


def test_a_node_of_a_model_that_is_left_out_is_not_called() -> None:
    def evaluate(trained: Any, images: Any) -> Any:
        raise AssertionError

    assert gathered(evaluate)(trained=LACK, images="images") == LACK


def test_a_node_of_all_models_gets_the_others_and_the_reasons() -> None:
    def compare(
        evaluations: Mapping[str, Any], made: Made, left_out: Mapping[str, str]
    ) -> tuple[Any, ...]:
        return dict(evaluations), dict(made.trained), dict(left_out)

    inputs = {
        "evaluations.bigan": 1,
        "evaluations.healthygan": LACK,
        "made.trained.acgan": LACK,
        "made.trained.bigan": 2,
    }
    found = gathered(compare, made=Made)(**inputs)
    reasons = {"healthygan": LACK.reason, "acgan": LACK.reason}
    assert found == ({"bigan": 1}, {"bigan": 2}, reasons)


def test_nothing_is_left_of_a_mapping_where_all_are_left_out() -> None:
    def compare(arms: Mapping[str, Any]) -> Mapping[str, Any]:
        return arms

    assert gathered(compare)(**{"arms.real": LACK, "arms.gan": LACK}) == {}


def test_one_input_may_be_kept_as_left_out() -> None:
    def synthesize(trained: Any, features: Any) -> tuple[Any, Any]:
        return trained, features

    found = gathered(synthesize, keeps="features")(trained="bigan", features=LACK)
    assert found == ("bigan", LACK)
