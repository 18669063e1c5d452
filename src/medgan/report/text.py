"""Values as text, the same in the report, the terminal, the tables and the pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from medgan.evaluation.metrics import AUROC, Metric
from medgan.evaluation.results import (
    FAILED,
    ClassifierResult,
    DetectorResult,
    Measured,
    Results,
    SynthesisResult,
)
from medgan.metrics.quality import QualityMetric
from medgan.stats.bootstrap import Estimate

MISSING = "–"
EXPLORATORY_BELOW = 10
"""Results of fewer seeds are called exploratory."""
Value = Estimate | QualityMetric | float | None


def not_run(what: str, pipeline: str = "anomaly_evaluation") -> str:
    """State that a part has not been run, with the command that runs it."""
    return f"{what}: not run yet; run 'kedro run --pipeline {pipeline}'."


ABSENT: Mapping[str, str] = {
    "detectors": not_run("Detectors"),
    "classifiers": not_run("Classifier arms", "classifier_training"),
    "quality": not_run("Image quality", "synthesis"),
}
"""What stands in place of a section of the results without rows."""


def value_of(found: Value) -> float | None:
    """The bare number."""
    return found if found is None or isinstance(found, int | float) else found.value


def number(found: Value, digits: int = 3, sign: str = "") -> str:
    """`0.851`; never -0.000."""
    value = value_of(found)
    return MISSING if value is None else f"{round(value, digits) + 0.0:{sign}.{digits}f}"


def with_interval(found: Value, digits: int = 3, sign: str = "") -> str:
    """`0.851 [0.820, 0.880]`."""
    shown = number(found, digits, sign)
    low, high = getattr(found, "low", None), getattr(found, "high", None)
    if shown == MISSING or low is None or high is None:
        return shown
    return f"{shown} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def signed_interval(found: Value, digits: int = 3) -> str:
    """`+0.042 [-0.082, +0.167]` of a difference."""
    return with_interval(found, digits, "+")


def reason_of(found: Value) -> str:
    """Why a value is missing; empty where it is there."""
    return getattr(found, "reason", "") if value_of(found) is None else ""


def or_reason(found: Value, digits: int = 3) -> str:
    """The value with its interval, or why it is missing."""
    return f"{with_interval(found, digits)} {reason_of(found)}".rstrip()


def p_text(p_value: float | None) -> str:
    """`p = 0.029`, or `p < 0.001`."""
    if p_value is None:
        return MISSING
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def percent(found: Value) -> str:
    """`50 %`."""
    value = value_of(found)
    return "an unknown share" if value is None else f"{100 * value:.0f} %"


def seeds_text(seeds: int) -> str:
    """`1 seed: exploratory`; ten seeds and more are not."""
    plural, note = "s" * (seeds > 1), ": exploratory" * (seeds < EXPLORATORY_BELOW)
    return f"{seeds} seed{plural}{note}"


def size_of(row: DetectorResult | ClassifierResult, groups: str = "patient") -> str:
    """`160 images of 60 patients`; `groups` names the unit where it is not a patient."""
    unit = row.scored_unit if isinstance(row, DetectorResult) else "image"
    known = row.n_patients is not None
    patients = f" of {row.n_patients:,} {groups}s" if known else f", {groups}s unknown"
    return f"{row.n_images:,} {unit}s{patients}"


def interval_name(row: DetectorResult | ClassifierResult, groups: str = "patient") -> str:
    """The unit that the intervals of a row resample."""
    if row.interval_unit == "patient":
        return f"95 % {groups} interval"
    return "95 % image interval, likely too narrow"


def notes_of(row: DetectorResult) -> list[str]:
    """What a reader has to know about a detector to compare it with others."""
    notes = [FAILED] if row.failed else []
    notes += ["sees the unlabelled mix"] if row.sees_mix else []
    notes += [] if row.search_steps is None else [f"{row.search_steps} search steps"]
    notes += [] if row.volume_score is None else [f"{row.volume_score.aggregate} of slices"]
    return notes


def grouped_warnings(rows: Mapping[str, DetectorResult]) -> Iterator[tuple[str, list[str]]]:
    """Each warning once, with the rows that it holds for; no names where it holds for all."""
    named: dict[str, list[str]] = {}
    for name, row in rows.items():
        for warning in row.warnings:
            named.setdefault(warning, []).append(name)
    for warning, names in named.items():
        yield warning, [] if len(names) == len(rows) else names


def absent(results: Results, section: str) -> str:
    """Say why a section of the results has no row: left out, or not run."""
    reasons = sorted(set(results.left_out.get(section, {}).values()))
    what = ABSENT[section].partition(":")[0]
    return f"{what}: left out: {'; '.join(reasons)}." if reasons else ABSENT[section]


def left_out_sentences(results: Results) -> Iterator[str]:
    """Say which models and arms were left out, once for each reason."""
    named: dict[str, dict[str, None]] = {}
    for found in results.left_out.values():
        for name, reason in found.items():
            named.setdefault(reason, {})[name] = None
    for reason, names in named.items():
        yield f"Left out: {', '.join(names)}: {reason}."


def direction(metric: Metric[Any]) -> str:
    """Which way a metric is better."""
    return "higher" if metric.higher_is_better else "lower"


def shared_class(quality: Mapping[str, SynthesisResult]) -> str:
    """The class on which all generators can be compared: `normal`, else `overall`."""
    return "normal" if all(found.of("normal") for found in quality.values()) else "overall"


def missing_reasons(values: Iterable[Value]) -> list[str]:
    """Why values are missing, each reason once."""
    return sorted({reason_of(found) for found in values} - {""})


def best_first(rows: Mapping[str, Measured], metric: Metric[Any] | str = AUROC) -> list[str]:
    """Names of rows, the highest value first, those without one last."""

    def rank(name: str) -> tuple[bool, float, str]:
        value = rows[name].metric(metric).value
        return value is None, -(value or 0.0), name

    return sorted(rows, key=rank)
