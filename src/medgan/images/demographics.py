"""Ages in the bands that every table and subgroup figure uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

UNKNOWN = "unknown"
AGE_BANDS = ("0-1", "2-5", "6-17", "18-39", "40-64", "65+", UNKNOWN)
"""Bands of completed years of age, youngest first."""
_STARTS = (2.0, 6.0, 18.0, 40.0, 65.0)
"""Where the second band and those after it begin."""
OLDEST = 120.0
"""Years; an age over it is an error of entry, and unknown."""


def age_bands(ages: Sequence[float | None] | ArrayLike) -> NDArray[np.object_]:
    """The band of each age in years (n,): (n,) names of AGE_BANDS. Missing, negative and ages over 120 are `unknown`."""
    years: NDArray[Any] = np.asarray(ages, dtype=np.float64)
    known = (years >= 0.0) & (years <= OLDEST)
    places = np.where(known, np.searchsorted(_STARTS, years, side="right"), len(AGE_BANDS) - 1)
    return np.asarray(AGE_BANDS, dtype=object)[places]


def age_band(age: float | None) -> str:
    """The band of one age in years."""
    return str(age_bands([age])[0])
