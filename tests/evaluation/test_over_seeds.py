from __future__ import annotations

import pytest

from medgan.contracts import Refusal
from medgan.evaluation.over_seeds import mean_figure, over_seeds


def row(seed: int, value: float | None, threshold: float = 1.0) -> dict[str, object]:
    auroc = {"value": value, "low": value - 0.1, "high": value + 0.05} if value is not None else {"value": None, "reason": "one class"}
    cut = {"rule": "youden", "value": threshold}
    return {"auroc": auroc, "threshold": cut, "n_images": 9, "confusion_matrix": [[seed]], "sees_mix": False, "n_seeds": 1, "seeds": [seed]}


def test_figures_are_averaged_equal_things_stay_and_the_rest_becomes_a_list() -> None:
    found = over_seeds([row(0, 0.8, 1.0), row(1, 0.9, 2.0)])
    assert found["auroc"] == {"value": pytest.approx(0.85), "low": pytest.approx(0.75), "high": pytest.approx(0.9), "per_seed": [0.8, 0.9]}
    assert found["threshold"] == {"rule": "youden", "value": [1.0, 2.0]}
    assert (found["n_images"], found["sees_mix"], found["n_seeds"], found["seeds"]) == (9, False, 2, [0, 1])
    assert found["confusion_matrix"] == [[[0]], [[1]]]


def test_one_seed_without_a_figure_leaves_none_and_says_why() -> None:
    assert over_seeds([row(0, 0.8), row(1, None)])["auroc"] == {"value": None, "reason": "one class"}


def test_what_stands_beside_a_figure_is_averaged_too() -> None:
    found = mean_figure([{"value": 1.0, "n": 5, "real_vs_real": 0.2}, {"value": 3.0, "n": 5, "real_vs_real": 0.4}])
    assert found == {"value": 2.0, "n": 5, "real_vs_real": pytest.approx(0.3), "per_seed": [1.0, 3.0]}


def test_no_row_is_refused() -> None:
    with pytest.raises(Refusal, match="make reproduce"):
        over_seeds([])
