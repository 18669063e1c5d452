"""When images were taken, as periods that can be compared."""

from __future__ import annotations

from typing import Any

import pandas as pd

from medgan.images.demographics import UNKNOWN

MOST_YEARS = 6


def periods(dates: pd.Series[Any], like: pd.Series[Any]) -> pd.Series[Any]:
    """The period of each date as text, `unknown` where there is none.

    Args:
        dates: as text, of any part of the data.
        like: the dates of the test images, from which the periods follow: their years where they are 2 to MOST_YEARS, else the time up
            to their median day and the time after it.
    """
    known = _days(like).dropna()
    if known.empty:
        return pd.Series(UNKNOWN, index=dates.index, dtype=object)
    days = _days(dates)
    years = days.dt.year.astype("Int64").astype(str)
    middle: pd.Timestamp = known.sort_values().iloc[(len(known) - 1) // 2].normalize()
    halves = (days.dt.normalize() <= middle).map({True: f"until {middle:%Y-%m-%d}", False: f"after {middle:%Y-%m-%d}"})
    chosen = years if 2 <= known.dt.year.nunique() <= MOST_YEARS else halves
    named: pd.Series[Any] = chosen.astype(object).where(days.notna(), UNKNOWN)
    return named


def _days(dates: pd.Series[Any]) -> pd.Series[Any]:
    """Days; a date that is no date is unknown."""
    return pd.to_datetime(dates.astype(object).where(dates.notna(), None), errors="coerce", format="mixed", utc=True)
