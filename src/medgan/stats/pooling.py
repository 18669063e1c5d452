"""Pool results: over the folds of a cross-validation, and over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.stats import bootstrap
from medgan.stats.classification import area_of, auroc


def expected_half_width(n_normal: int, n_anomalous: int, auroc: float) -> float:
    """Compute half the width of the 95 % interval of an AUROC on so many independent cases (Hanley
    & McNeil 1982, eq. 1 and 2).

    An AUROC under 0.5 is taken as its mirror image, for which their exponential model is meant.
    """
    from scipy.special import ndtri

    error = standard_error(max(auroc, 1 - auroc), n_anomalous, n_normal)
    return float(ndtri(0.5 + bootstrap.LEVEL / 2)) * error


def standard_error(area: float, positives: int, negatives: int) -> float:
    """Of an area under a ROC curve, images taken as independent (Hanley & McNeil 1982, eq. 1 and 2,
    with their exponential model).
    """
    both_above, both_below = area / (2 - area), 2 * area**2 / (1 + area)
    spread = (
        area * (1 - area)
        + (positives - 1) * (both_above - area**2)
        + (negatives - 1) * (both_below - area**2)
    )
    return math.sqrt(max(spread, 0.0) / (positives * negatives))


@dataclass(frozen=True)
class FoldMetric:
    """AUROC of one fold."""

    value: float | None
    n_images: int
    n_anomalous: int
    reason: str = ""


@dataclass(frozen=True)
class FoldAverage:
    """AUROC over the folds of a small cohort."""

    auroc: bootstrap.Estimate
    """The mean over folds that hold both classes."""
    per_fold: tuple[FoldMetric, ...]
    spread: float | None
    """Standard deviation between folds."""
    n_folds: int
    n_folds_estimable: int
    n_images: int
    n_subjects: int
    interval_unit: str


def fold_average(
    folds: Sequence[pd.DataFrame], n_resamples: int = 1000, seed: int = 0
) -> FoldAverage:
    """Average the AUROC of each fold: scores of different folds come from different trainings and
    share no scale.

    The interval resamples subjects, each in all folds and repeats that test it. A fold is its test
    images: label, score, group_id, perhaps group_known.

    Raises:
        UserError: there is no fold.
    """
    if not folds:
        raise UserError(
            "There is no fold to average over: run each with --params preprocessing.fold=N first."
        )
    table = pd.concat(folds, ignore_index=True)
    labels, scores = table["label"].to_numpy(), table["score"].to_numpy(dtype=np.float64)
    places = np.split(np.arange(len(table)), np.cumsum([len(fold) for fold in folds])[:-1])
    whole = [fold for fold in places if len(np.unique(labels[fold])) == 2]
    counted = np.isin(np.arange(len(table)), np.concatenate([[-1], *whole]))
    both = (counted & (labels == 1), counted & (labels == 0))
    statistic = bootstrap.WeightedStatistic(partial(_mean_auroc, labels, scores, whole), both)
    each = tuple(_one(labels[fold], scores[fold]) for fold in places)
    values = [one.value for one in each if one.value is not None]
    images = table.get("image_id", table.index.to_series())
    known = bool(table.get("group_known", pd.Series([True])).all())
    return FoldAverage(
        auroc=bootstrap.interval(statistic, table["group_id"].to_numpy(), n_resamples, seed),
        per_fold=each,
        spread=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        n_folds=len(folds),
        n_folds_estimable=len(whole),
        n_images=int(images.nunique()),
        n_subjects=int(table["group_id"].nunique()),
        interval_unit="patient" if known else "image",
    )


def _mean_auroc(
    labels: NDArray[Any],
    scores: bootstrap.Floats,
    folds: Sequence[NDArray[np.int64]],
    weights: bootstrap.Floats,
) -> bootstrap.Floats:
    """Mean over the folds that a resample leaves both classes in."""
    areas = np.stack([auroc(labels[fold], scores[fold], weights[:, fold]) for fold in folds])
    return bootstrap.ratio(np.nansum(areas, axis=0), np.isfinite(areas).sum(0))


def _one(labels: NDArray[Any], scores: bootstrap.Floats) -> FoldMetric:
    sizes = len(labels), int(labels.sum())
    if len(np.unique(labels)) < 2:
        return FoldMetric(None, *sizes, reason=bootstrap.SINGLE_CLASS)
    return FoldMetric(area_of(labels, scores).value, *sizes)


def over_seeds(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge documents of several seeds: metrics become means, what is equal stays, lists of texts
    become one list, anything else becomes a list with one entry for each seed.

    Args:
        rows: of results.json, each with `seeds`; in the order of the seeds.

    Raises:
        UserError: there is no row.
    """
    if not rows:
        raise UserError("There is no row to average over seeds: run `make reproduce` first.")
    seeds = [seed for row in rows for seed in row.get("seeds", ())]
    found: dict[str, Any] = _merged(rows)
    return {**found, "n_seeds": len(seeds), "seeds": seeds} if seeds else found


def _merged(values: Sequence[Any]) -> Any:
    first = values[0]
    if all(value == first for value in values) and not isinstance(first, Mapping):
        return first
    if all(_is_texts(value) for value in values):
        return list(dict.fromkeys(text for value in values for text in value))
    if not all(isinstance(value, Mapping) for value in values):
        return list(values)
    if any("value" in value and "rule" not in value for value in values):
        return mean_metric(values)
    return {
        key: _merged([value[key] for value in values])
        for key in first
        if all(key in value for value in values)
    }


def _is_texts(value: Any) -> bool:
    """Whether it is a list of texts, such as the warnings of a seed."""
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def mean_metric(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Average a metric over seeds, with `per_seed`; without a value where one seed has none.

    What stands beside the value (`n`, `real_vs_real`, `std`) is averaged too where it is a number.
    """
    missing = next((metric for metric in metrics if metric.get("value") is None), None)
    if missing is not None:
        return dict(missing)
    keys = [key for key in metrics[0] if all(key in metric for metric in metrics)]
    means = {key: _mean([metric[key] for metric in metrics]) for key in keys}
    return {**means, "per_seed": [metric["value"] for metric in metrics]}


def _mean(values: Sequence[Any]) -> Any:
    if all(value == values[0] for value in values):
        return values[0]
    if any(value is None for value in values):
        return None  # a seed without an interval leaves the mean without one
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return float(np.mean(values))
    return list(values)
