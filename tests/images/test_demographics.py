from __future__ import annotations

import math

import pytest

from medgan.images.demographics import AGE_BANDS, age_band, age_bands


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (0, "0-1"), (1.99, "0-1"), (2, "2-5"), (5.9, "2-5"), (6, "6-17"), (17.5, "6-17"), (18, "18-39"),
        (40, "40-64"), (64.9, "40-64"), (65, "65+"), (120, "65+"),
        (121, "unknown"), (411, "unknown"), (-1, "unknown"), (None, "unknown"), (math.nan, "unknown"), (math.inf, "unknown"),
    ],
)  # fmt: skip
def test_every_age_has_one_band(age: float | None, band: str) -> None:
    assert age_band(age) == band


def test_a_column_has_the_bands_of_its_ages() -> None:
    assert age_bands([0.5, None, 70.0]).tolist() == ["0-1", "unknown", "65+"]
    assert set(age_bands(range(-1, 130))) == set(AGE_BANDS)
    assert age_bands([]).tolist() == []
