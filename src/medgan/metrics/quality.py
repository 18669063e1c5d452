"""The value of a metric of synthetic images; field names are the keys of the JSON documents."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class QualityMetric:
    """A metric of synthetic images, with that of real images against real ones."""

    value: float | None
    reason: str = ""
    std: float | None = None
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | float | None = None
    n_real: int | float | None = None
    n_fake: int | float | None = None
    n_training: int | float | None = None
    real_vs_real: float | None = None
    std_real_vs_real: float | None = None
    percentile_95_real_vs_real: float | None = None
    n_real_vs_real: int | float | None = None
    floor: float | None = None
    n_floor: tuple[int | float, ...] | None = None
    k: int | float | None = None
    draws: int | float | None = None
    drawn_from: tuple[int | float, ...] | None = None
    threshold: float | None = None
    median_ratio: float | None = None
    features: int | None = None
    backbone: str | None = None
    per_seed: tuple[float | None, ...] = ()
