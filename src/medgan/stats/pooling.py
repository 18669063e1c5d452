"""Small cohorts: what their size lets one expect, and figures over the folds of a
cross-validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.stats.bootstrap import LEVEL, SINGLE_CLASS, Estimate, Floats, Metric, interval
from medgan.stats.classification import auroc, standard_error

PERFECT = "an AUROC of exactly 0 or 1 has an exact bound instead"


def expected_half_width(n_normal: int, n_anomalous: int, auroc: float) -> float:
    """Half the width of the 95 % interval to expect of an AUROC on so many independent cases
    (Hanley & McNeil 1982, eq. 1 and 2).

    An AUROC under 0.5 is taken as its mirror image, for which their exponential model is meant.
    """
    from scipy.special import ndtri

    return float(ndtri(0.5 + LEVEL / 2)) * standard_error(
        max(auroc, 1 - auroc), n_anomalous, n_normal
    )


def half_width_of(test: pd.DataFrame, found: Estimate) -> dict[str, Any]:
    """The half-width to expect for this n, cases being patients where they are known: images of one
    patient add little.
    """
    unit = "patient" if test["group_known"].all() else "image"
    normal, anomalous = (
        int(test.loc[test["label"] == kind, "group_id"].nunique()) for kind in (0, 1)
    )
    sizes = {"n_normal": normal, "n_anomalous": anomalous, "unit": unit}
    if found.value is None or found.value in (0.0, 1.0):
        return {"value": None, "reason": found.reason or PERFECT, **sizes}
    return {"value": expected_half_width(normal, anomalous, found.value), **sizes}


def fold_average(
    folds: Sequence[pd.DataFrame], n_resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """AUROC of each fold, then their mean: scores of different folds come from different trainings
    and share no scale.

    The interval resamples subjects: one that is drawn twice counts twice in every fold that tests
    him, in all repeats.

    Args:
        folds: for each fold its test images: label, score, group_id, and group_known (taken as
            known if left out).
        n_resamples: resamples of subjects.
        seed: of the resamples.

    Returns:
        `auroc` (the mean over folds that hold both classes, with its interval), `per_fold`,
        `spread` (standard deviation between folds), `n_folds`, `n_folds_estimable`, `n_images`,
        `n_subjects` and `interval_unit`.

    Raises:
        UserError: there is no fold.
    """
    if not folds:
        raise UserError(
            "There is no fold to average over: run each with --params preprocessing.fold=N first."
        )
    together = pd.concat(folds, ignore_index=True)
    labels, scores = together["label"].to_numpy(), together["score"].to_numpy(dtype=np.float64)
    number = np.repeat(np.arange(len(folds)), [len(fold) for fold in folds])
    places = [np.flatnonzero(number == fold) for fold in range(len(folds))]
    whole = [fold for fold in places if len(np.unique(labels[fold])) == 2]
    counted = np.isin(number, [number[fold[0]] for fold in whole])
    metric = Metric(
        partial(_mean_auroc, labels, scores, whole),
        (counted & (labels == 1), counted & (labels == 0)),
    )
    found = interval(metric, together["group_id"].to_numpy(), n_resamples, seed)
    each = [_one(labels[fold], scores[fold]) for fold in places]
    values = [figure["value"] for figure in each if figure["value"] is not None]
    known = "group_known" not in together or bool(together["group_known"].all())
    return {
        "auroc": found.as_dict(),
        "per_fold": each,
        "spread": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "n_folds": len(folds),
        "n_folds_estimable": len(whole),
        "n_images": int(together["image_id"].nunique())
        if "image_id" in together
        else len(together),
        "n_subjects": int(together["group_id"].nunique()),
        "interval_unit": "patient" if known else "image",
    }


def _mean_auroc(
    labels: NDArray[Any], scores: Floats, folds: Sequence[NDArray[np.int64]], weights: Floats
) -> Floats:
    """Mean over the folds that a resample leaves both classes in."""
    areas = np.stack([auroc(labels[fold], scores[fold], weights[:, fold]) for fold in folds])
    there = np.isfinite(areas).sum(0)
    mean: Floats = np.divide(
        np.nansum(areas, axis=0), there, out=np.full(areas.shape[1], np.nan), where=there > 0
    )
    return mean


def _one(labels: NDArray[Any], scores: Floats) -> dict[str, Any]:
    sizes = {"n_images": len(labels), "n_anomalous": int(labels.sum())}
    if len(np.unique(labels)) < 2:
        return {"value": None, "reason": SINGLE_CLASS, **sizes}
    return {"value": float(auroc(labels, scores, np.ones((1, len(labels))))[0]), **sizes}


def over_seeds(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row of several: figures become means, what is equal stays, anything else becomes a list
    with one entry for each seed.

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
    if not all(isinstance(value, Mapping) for value in values):
        return first if all(value == first for value in values) else list(values)
    if any("value" in value and "rule" not in value for value in values):
        return mean_figure(values)
    return {
        key: _merged([value[key] for value in values])
        for key in first
        if all(key in value for value in values)
    }


def mean_figure(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of one figure over seeds, with `per_seed`; without a value where one seed has none.

    What stands beside a figure (`n`, `real_vs_real`, `std`) is averaged too where it is a number.
    """
    missing = next((figure for figure in figures if figure.get("value") is None), None)
    if missing is not None:
        return dict(missing)
    keys = [key for key in figures[0] if all(key in figure for figure in figures)]
    return {
        **{key: _mean([figure[key] for figure in figures]) for key in keys},
        "per_seed": [figure["value"] for figure in figures],
    }


def _mean(values: Sequence[Any]) -> Any:
    if all(value == values[0] for value in values):
        return values[0]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return float(np.mean(values))
    return list(values)
