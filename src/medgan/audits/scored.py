"""The input of the audits: a detector with its scores and its result."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from medgan.audits.results import Tested
from medgan.errors import UserError
from medgan.evaluation.results import DetectorResult
from medgan.evaluation.score_table import counts, joined
from medgan.evaluation.volumes import MEAN


@dataclass(frozen=True)
class ScoredDetector:
    """The scores of a detector, and what was frozen on validation."""

    scores: pd.DataFrame
    """image_id and score."""
    threshold: float
    aggregate: str = MEAN
    """How the scores of slices become one of their volume."""
    sees_mix: bool = False

    @classmethod
    def of(cls, scores: pd.DataFrame, row: DetectorResult) -> ScoredDetector:
        """The detector of a row of the results.

        Raises:
            UserError: the row has no single threshold, such as a mean over seeds.
        """
        if row.threshold.value is None:
            raise UserError(
                "The audits need a detector with one frozen threshold: run 'kedro run' again."
            )
        return cls(scores, row.threshold.value, row.aggregate, row.sees_mix)

    def test(self, splits: pd.DataFrame) -> pd.DataFrame:
        """The test images or volumes of a split with their scores."""
        return joined(self.scores, splits, "test", self.aggregate)


def tested(test: pd.DataFrame) -> Tested:
    """Count test images or volumes, and their patients."""
    return Tested(**counts(test))
