"""Rows of several trainings that differ in their seed alone, as one row: means over seeds, with what each seed gave.

The interval of a mean is the mean of the seeds' bounds: as wide as that of one training, as if all seeds erred alike on the same test
images, which they nearly do. The spread between seeds is not in it; it stands beside it, as `per_seed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medgan.contracts import Refusal


def over_seeds(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row of several: figures become means, what is equal stays, anything else becomes a list with one entry for each seed.

    Args:
        rows: of results.json, each with `seeds`; in the order of the seeds.

    Raises:
        Refusal: there is no row.
    """
    if not rows:
        raise Refusal("There is no row to average over seeds: run `make reproduce` first.")
    seeds = [seed for row in rows for seed in row.get("seeds", ())]
    found: dict[str, Any] = _merged(rows)
    return {**found, "n_seeds": len(seeds), "seeds": seeds} if seeds else found


def _merged(values: Sequence[Any]) -> Any:
    first = values[0]
    if not all(isinstance(value, Mapping) for value in values):
        return first if all(value == first for value in values) else list(values)
    if any("value" in value and "rule" not in value for value in values):
        return mean_figure(values)
    return {key: _merged([value[key] for value in values]) for key in first if all(key in value for value in values)}


def mean_figure(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of one figure over seeds, with `per_seed`; without a value where one seed has none.

    What stands beside a figure (`n`, `real_vs_real`, `std`) is averaged too where it is a number.
    """
    missing = next((figure for figure in figures if figure.get("value") is None), None)
    if missing is not None:
        return dict(missing)
    keys = [key for key in figures[0] if all(key in figure for figure in figures)]
    return {**{key: _mean([figure[key] for figure in figures]) for key in keys}, "per_seed": [figure["value"] for figure in figures]}


def _mean(values: Sequence[Any]) -> Any:
    if all(value == values[0] for value in values):
        return values[0]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return float(np.mean(values))
    return list(values)
