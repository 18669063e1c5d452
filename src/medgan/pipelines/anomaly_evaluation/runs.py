"""What a run leaves for later ones to be compared with: the scores of its test images, image by image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medgan.evaluation.run_differences import scored_units
from medgan.evaluation.volumes import aggregate_of


def keep_scores(scores: pd.DataFrame, splits: pd.DataFrame, evaluation: Mapping[str, Any]) -> pd.DataFrame:
    """One row for each test image of a detector: unit, group_id, group_known, label, category, score, called (at its frozen threshold)."""
    return scored_units(scores, splits, float(evaluation["threshold"]["value"]), aggregate_of(evaluation))
