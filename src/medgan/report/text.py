"""Figures as words, the same in the terminal and in the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MISSING = "–"
FIGURE_NAMES: Mapping[str, str] = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "psnr": "PSNR",
    "ms_gmsd": "MS-GMSD",
    "lpips": "LPIPS",
    "fid_domain": "Fréchet distance, domain features",
    "kid_domain": "KID, domain features",
    "precision_domain": "Precision, domain features",
    "recall_domain": "Recall, domain features",
    "density_domain": "Density, domain features",
    "coverage_domain": "Coverage, domain features",
    "copied_share_domain": "Suspected training copies, share",
}


ABSENT: Mapping[str, str] = {
    "detectors": "Detectors: not run yet; 'kedro run --pipeline anomaly_evaluation' evaluates what is trained.",
    "classifiers": "Classifier arms: not run yet; 'kedro run --pipeline classifier_training' trains them.",
    "quality": "Image quality: not run yet; 'kedro run --pipeline synthesis' draws the images and measures them.",
}
"""What stands where a section has no results."""
EXPLORATORY_BELOW = 10
HIGHER = ("psnr", "precision", "recall", "density", "coverage")
"""How the keys of quality figures begin that are better the higher they are."""


def not_run(what: str, pipeline: str = "anomaly_evaluation") -> str:
    """What stands where a part has not been run, with the command that makes it."""
    return f"{what}: not run yet; 'kedro run --pipeline {pipeline}' makes it."


def readable(name: str) -> str:
    """`nearest_neighbour` as `nearest neighbour`."""
    return name.replace("_", " ")


def seeds_of(row: Mapping[str, Any]) -> str:
    """`1 seed: exploratory`; a claim takes ten."""
    seeds = row["n_seeds"]
    return f"{seeds} seed{'s' if seeds > 1 else ''}" + (
        ": exploratory" if seeds < EXPLORATORY_BELOW else ""
    )


def grouped_warnings(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    """Each warning once, with the names of the rows that it holds for; no names where it holds for
    all.
    """
    named: dict[str, list[str]] = {}
    for name, row in rows.items():
        for warning in row.get("warnings", ()):
            named.setdefault(warning, []).append(name)
    for warning, names in named.items():
        yield warning, [] if len(names) == len(rows) else names


def number(figure: Mapping[str, Any] | None, digits: int = 3) -> str:
    """The value alone."""
    value = (figure or {}).get("value")
    return MISSING if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # never -0.000


def with_interval(figure: Mapping[str, Any] | None, digits: int = 3) -> str:
    """`0.851 [0.820, 0.880]`."""
    bounds = (figure or {}).get("low"), (figure or {}).get("high")
    if bounds[0] is None or bounds[1] is None:
        return number(figure, digits)
    return f"{number(figure, digits)} [{bounds[0]:.{digits}f}, {bounds[1]:.{digits}f}]"


def signed_interval(figure: Mapping[str, Any] | None, digits: int = 3) -> str:
    """`+0.042 [-0.082, +0.167]` of a difference."""
    value, low, high = ((figure or {}).get(key) for key in ("value", "low", "high"))
    if value is None:
        return MISSING
    bounds = "" if low is None or high is None else f" [{low:+.{digits}f}, {high:+.{digits}f}]"
    return f"{value:+.{digits}f}{bounds}"


def or_reason(figure: Mapping[str, Any] | None, digits: int = 3) -> str:
    """The value with its interval, or why there is none."""
    reason = (figure or {}).get("reason")
    return (
        with_interval(figure, digits)
        if reason is None or (figure or {}).get("value") is not None
        else f"{MISSING} {reason}"
    )


def p_text(p_value: float | None) -> str:
    """`p = 0.029`, or `p < 0.001`."""
    if p_value is None:
        return MISSING
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def percent(figure: Mapping[str, Any]) -> str:
    """`50 %`."""
    return "an unknown share" if figure.get("value") is None else f"{100 * figure['value']:.0f} %"


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def size_of(row: Mapping[str, Any], groups: str = "patient") -> str:
    """`160 images of 60 patients`, or `624 images, patients unknown`; `groups` says what is grouped
    by where it is no patient.
    """
    patients = row.get("n_patients")
    counted = f"{row.get('n_images', 0):,} {row.get('scored_unit', 'image')}s"
    return counted + (
        f" of {patients:,} {groups}s" if patients is not None else f", {groups}s unknown"
    )


def interval_name(row: Mapping[str, Any], groups: str = "patient") -> str:
    """What the intervals of a row resample."""
    return (
        f"95 % {groups} interval"
        if row.get("interval_unit") == "patient"
        else "95 % image interval, likely too narrow"
    )


def notes_of(row: Mapping[str, Any]) -> list[str]:
    """What a reader has to know about a detector to compare it."""
    notes = ["sees the unlabelled mix"] if row.get("sees_mix") else []
    notes += [f"{row['search_steps']} search steps"] if "search_steps" in row else []
    notes += [f"{row['volume_score']['aggregate']} of slices"] if "volume_score" in row else []
    return notes


def pairing_name(key: str) -> str:
    """`PSNR, nearest real image` of `psnr_nearest`; the backbone stays in the name of a perceptual
    distance.
    """
    base, _, pairing = key.rpartition("_")
    if pairing not in ("random", "nearest"):
        return FIGURE_NAMES.get(key, key)
    if base.startswith("lpips_"):
        return f"LPIPS ({base.removeprefix('lpips_')}), {pairing} real image"
    return f"{FIGURE_NAMES.get(base, base)}, {pairing} real image"


def direction(key: str) -> str:
    """Which way a quality figure is better."""
    return "higher" if key.startswith(HIGHER) else "lower"


def shared_class(quality: Mapping[str, Mapping[str, Any]]) -> str:
    """The class that all generators draw, on which they can be compared: the normal one, or
    `overall` where they share none.
    """
    return "normal" if all(classes.get("normal") for classes in quality.values()) else "overall"


def missing_reasons(figures: Iterable[Mapping[str, Any]]) -> list[str]:
    """Why figures are missing, each reason once."""
    return sorted(
        {
            figure["reason"]
            for figure in figures
            if figure.get("value") is None and figure.get("reason")
        }
    )


def best_first(rows: Mapping[str, Mapping[str, Any]], figure: str = "auroc") -> list[str]:
    """Names of rows, the highest figure first, those without one last."""

    def rank(name: str) -> tuple[bool, float, str]:
        value = rows[name].get(figure, {}).get("value")
        return (value is None, -(value or 0.0), name)

    return sorted(rows, key=rank)
