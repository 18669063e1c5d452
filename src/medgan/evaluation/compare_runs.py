"""Two runs side by side: every figure of every detector in both, and the difference with its
interval.

Where both runs scored the same images of the same patients the difference is paired: both figures
on the same resamples of patients, so that what the images have in common cancels. Where the images
differ, each run's patients are resampled by themselves. Where the scores of a run are not at hand,
its stored intervals are combined as those of independent estimates (MOVER, Donner & Zou 2012):

    d = b - a,   low = d - sqrt((b - low_b)^2 + (high_a - a)^2),   high = d + sqrt((high_b - b)^2 +
    (a - low_a)^2)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from medgan.evaluation.detector import joined
from medgan.evaluation.results import DETECTOR_FIGURES
from medgan.evaluation.volumes import MEAN, units_of
from medgan.stats.bootstrap import Estimate, Metric
from medgan.stats.classification import decision_metrics, ranking_metrics
from medgan.stats.differences import difference, resampled

COLUMNS = ("unit", "group_id", "group_known", "label", "category", "score", "called")
PAIRED = "paired: the same images of the same patients, resampled alike for both"
PAIRED_IMAGES = "paired: the same images, resampled alike for both; patients are unknown, so the intervals are likely too narrow"
UNPAIRED = "not paired: the test images differ, so each run is resampled by itself, as if no patient were in both"
COMBINED = "not paired: the scores of a run are not at hand, so the stored intervals are combined as if independent (MOVER)"
ABSENT = "not estimable: one of the runs does not have it"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class RunFigures:
    """What a run says of its detectors."""

    name: str
    rows: Mapping[str, Row]
    """Detector to its figures, {value, low, high} each."""
    scores: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Detector to its test images, as COLUMNS has them; without those whose scores were not
    kept.
    """
    settings: Mapping[str, str] = field(default_factory=dict)
    """What decided the run, flat."""


def scored_units(
    scores: pd.DataFrame, splits: pd.DataFrame, threshold: float, aggregate: str = MEAN
) -> pd.DataFrame:
    """The test images of a detector, or its volumes as `aggregate` scores them, as COLUMNS has
    them.
    """
    test = joined(scores, splits, "test", aggregate)
    called = (test["score"] >= threshold).astype(np.int64)
    return test.assign(unit=units_of(test), called=called)[list(COLUMNS)].reset_index(drop=True)


def compare_runs(
    first: RunFigures, second: RunFigures, n_resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Every detector that both runs have.

    Returns:
        `detectors`: name to {`how`, `figures`: {name: {`a`, `b`, `difference`}}}, the difference
        being second minus first; `only_a`, `only_b`: detectors of one run alone; `settings`: what
        differs, {name: [a, b]}.
    """
    shared = [name for name in first.rows if name in second.rows]
    return {
        "a": first.name,
        "b": second.name,
        "detectors": {name: _compared(name, first, second, n_resamples, seed) for name in shared},
        "only_a": sorted(set(first.rows) - set(second.rows)),
        "only_b": sorted(set(second.rows) - set(first.rows)),
        "settings": differing(first.settings, second.settings),
        "n_resamples": n_resamples,
    }


def differing(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, list[str | None]]:
    """Settings whose values are not equal; None where a run does not have one."""
    names = sorted({*first, *second})
    return {
        name: [first.get(name), second.get(name)]
        for name in names
        if first.get(name) != second.get(name)
    }


def _compared(
    name: str, first: RunFigures, second: RunFigures, n_resamples: int, seed: int
) -> dict[str, Any]:
    a, b = (_units(run, name) for run in (first, second))
    if a is None or b is None:
        how, differences = (
            COMBINED,
            {
                figure: mover(first.rows[name].get(figure), second.rows[name].get(figure))
                for figure in DETECTOR_FIGURES
            },
        )
    else:
        how = _pairing(a, b)
        differences = _resampled_differences(a, b, how == UNPAIRED, n_resamples, seed)
    figures = {
        figure: {
            "a": dict(first.rows[name].get(figure, {"value": None, "reason": ABSENT})),
            "b": dict(second.rows[name].get(figure, {"value": None, "reason": ABSENT})),
            "difference": differences[figure].as_dict(),
        }
        for figure in DETECTOR_FIGURES
    }
    return {
        "how": how,
        "n_images": [_count(part, "unit") for part in (a, b)],
        "n_patients": [_patients(part) for part in (a, b)],
        "figures": figures,
    }


def _units(run: RunFigures, name: str) -> pd.DataFrame | None:
    """The scores of a detector in the order of the images."""
    found = run.scores.get(name)
    return None if found is None else found.sort_values("unit", ignore_index=True)


def _pairing(a: pd.DataFrame, b: pd.DataFrame) -> str:
    facts = ["unit", "group_id", "label"]
    if not a[facts].astype(str).equals(b[facts].astype(str)):
        return UNPAIRED
    return PAIRED if bool(a["group_known"].all() and b["group_known"].all()) else PAIRED_IMAGES


def _count(part: pd.DataFrame | None, column: str) -> int | None:
    return None if part is None else int(part[column].nunique())


def _patients(part: pd.DataFrame | None) -> int | None:
    return (
        _count(part, "group_id") if part is not None and bool(part["group_known"].all()) else None
    )


def _metrics(part: pd.DataFrame) -> dict[str, Metric]:
    labels = part["label"].to_numpy()
    found = {
        **ranking_metrics(labels, part["score"].to_numpy()),
        **decision_metrics(labels, part["called"].to_numpy()),
    }
    return {name: found[name] for name in DETECTOR_FIGURES}


def _resampled_differences(
    a: pd.DataFrame, b: pd.DataFrame, apart: bool, n_resamples: int, seed: int
) -> dict[str, Estimate]:
    """Second minus first; `apart` gives the second resamples of its own."""
    of_a, of_b = (
        resampled(_metrics(part), part["group_id"].to_numpy(), n_resamples, stream)
        for part, stream in ((a, seed), (b, seed + 1 if apart else seed))
    )
    return {name: difference(of_b[name], of_a[name]) for name in DETECTOR_FIGURES}


def mover(first: Row | None, second: Row | None) -> Estimate:
    """The difference second minus first of two independent figures, from their own intervals."""
    a, b = first or {}, second or {}
    if a.get("value") is None or b.get("value") is None:
        return Estimate(None, reason=ABSENT)
    change = b["value"] - a["value"]
    if any(figure.get(bound) is None for figure in (a, b) for bound in ("low", "high")):
        return Estimate(change, reason="no interval: one of the runs has none")
    below = math.hypot(b["value"] - b["low"], a["high"] - a["value"])
    above = math.hypot(b["high"] - b["value"], a["value"] - a["low"])
    return Estimate(change, change - below, change + above)
