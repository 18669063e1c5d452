"""The share of anomaly maps inside a box."""

import numpy as np
import pandas as pd
import pytest

from medgan.errors import UserError
from medgan.evaluation.protocol import Region
from medgan.evaluation.regions import NO_ANOMALOUS, region_share

MIDDLE = Region("lungs", top=0.25, left=0.25, bottom=0.25, right=0.25)


def table(labels: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"label": labels, "group_id": [f"p{n}" for n in range(len(labels))]})


def test_the_share_is_that_of_the_mass_inside_by_class() -> None:
    maps = np.zeros((4, 8, 8))
    maps[0, 3, 3] = 1.0  # inside alone
    maps[1, 3, 3], maps[1, 0, 0] = 3.0, 1.0
    maps[2, 0, 0] = 2.0  # outside alone
    maps[3, 7, 7] = 5.0
    found = region_share(maps, table([1, 1, 0, 0]), MIDDLE, 50)
    assert found.area == 0.25
    assert (found.anomalous.value, found.normal.value) == (pytest.approx(0.875), 0.0)
    assert found.anomalous.low < 0.875 < found.anomalous.high


def test_a_map_without_information_has_the_area_of_the_box_also_as_a_logit() -> None:
    flat = np.full((6, 16, 16), -3.0)
    found = region_share(flat, table([0, 0, 0, 1, 1, 1]), MIDDLE, 50)
    assert found.anomalous.value == found.normal.value == 0.25
    shifted = np.random.default_rng(0).normal(size=(6, 16, 16))
    one, other = (
        region_share(maps, table([0, 0, 0, 1, 1, 1]), MIDDLE, 50) for maps in (shifted, shifted - 9)
    )
    assert one.anomalous.value == pytest.approx(other.anomalous.value)


def test_what_cannot_be_had_says_why_and_a_box_without_area_is_refused() -> None:
    found = region_share(np.ones((2, 8, 8)), table([0, 0]), MIDDLE, 50)
    assert (found.anomalous.value, found.anomalous.reason) == (None, NO_ANOMALOUS)
    with pytest.raises(UserError, match=r"evaluation\.region has no area"):
        Region("lungs", 0.5, 0.1, 0.5, 0.9)
    with pytest.raises(UserError, match=r"evaluation\.region"):
        Region("lungs", 0.1, 0.1, -0.5, 0.1)
