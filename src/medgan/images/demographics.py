"""Ages as they are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

OLDEST = 120.0
"""Years; above it an age is a mistake of the record, and counts as unknown."""
AGE_BANDS = {"0-1": 2.0, "2-5": 6.0, "6-17": 18.0, "18-39": 40.0, "40-64": 65.0, "65+": np.inf}
"""Name -> first age in years that is above the band."""
UNKNOWN = "unknown"


def known_age(ages: pd.Series[Any]) -> pd.Series[Any]:
    """Ages in years, NaN where they are missing, negative or over OLDEST."""
    return ages.where(ages.between(0.0, OLDEST))


def age_band(ages: pd.Series[Any]) -> pd.Series[Any]:
    """The name of the band of each age in years; `unknown` for what is missing, negative or over OLDEST."""
    bands = pd.cut(known_age(ages), [0.0, *AGE_BANDS.values()], right=False, labels=list(AGE_BANDS))
    return bands.astype(object).where(bands.notna(), UNKNOWN)
