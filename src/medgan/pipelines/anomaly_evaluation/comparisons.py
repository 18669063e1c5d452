"""Tests of detectors against baselines. Test labels are read here for the differences and for nothing else."""

from __future__ import annotations

from typing import Any

import pandas as pd

from medgan.evaluation.baseline_tests import Judged, compare_with_baselines
from medgan.evaluation.config import EvaluationConfig
from medgan.evaluation.detectors import joined
from medgan.evaluation.volumes import aggregate_of
from medgan.plots.differences import differences
from medgan.plots.drawing import Drawing, drawing

EVALUATION, SCORES = "evaluation_", "scores_"


def differences_from_baselines(
    splits: pd.DataFrame, config: EvaluationConfig, seed: int, **detectors: Any
) -> tuple[dict[str, Any], Drawing]:
    """The document `detector_tests`, and its picture.

    Args:
        splits: with the test labels.
        config: of the evaluation.
        seed: of the resamples.
        detectors: `evaluation_<name>`, the row of a detector, and `scores_<name>`, its table of scores.
    """
    names = [key.removeprefix(EVALUATION) for key in detectors if key.startswith(EVALUATION)]
    rows = {name: detectors[f"{EVALUATION}{name}"] for name in names}
    judged = {name: Judged(row, joined(detectors[f"{SCORES}{name}"], splits, "test", aggregate_of(row))) for name, row in rows.items()}
    document = compare_with_baselines(judged, config.n_boot, seed)
    return document, drawing(differences, document["tests"], f"AUROC minus that of the baseline, {config.dataset}")
