"""Figures of a detector in groups of patients, and the gaps between them: at the frozen threshold,
never at one of the group's own.

A figure that rests on fewer than MINIMUM images is not shown: the 95 % interval of a sensitivity of
.9 has a width of .27 at 20 images and .17 at 50 (Wilson). Of each grouping and figure the largest
gap is given; its p value is Holm's over all pairs of groups of the detector, so that it pays for
the search for the largest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from medgan.audits.cohort import OTHER, as_text, few_levels
from medgan.evaluation.detector import counts, joined
from medgan.evaluation.volumes import MEAN
from medgan.images.metadata import AGE_BANDS, UNKNOWN
from medgan.stats.bootstrap import Estimate, estimates
from medgan.stats.differences import Draws, difference, holm, p_value, resampled
from medgan.stats.strata import FIGURES, INSUFFICIENT, MINIMUM, Decided, Mask, too_few

MOST_YEARS = 6


def periods(dates: pd.Series[Any], like: pd.Series[Any]) -> pd.Series[Any]:
    """The period of each date as text, `unknown` where there is none.

    Args:
        dates: as text, of any part of the data.
        like: the dates of the test images, from which the periods follow: their years where they
            are 2 to MOST_YEARS, else the time up
            to their median day and the time after it.
    """
    known = _days(like).dropna()
    if known.empty:
        return pd.Series(UNKNOWN, index=dates.index, dtype=object)
    days = _days(dates)
    years = days.dt.year.astype("Int64").astype(str)
    middle: pd.Timestamp = known.sort_values().iloc[(len(known) - 1) // 2].normalize()
    halves = (days.dt.normalize() <= middle).map(
        {True: f"until {middle:%Y-%m-%d}", False: f"after {middle:%Y-%m-%d}"}
    )
    chosen = years if 2 <= known.dt.year.nunique() <= MOST_YEARS else halves
    named: pd.Series[Any] = chosen.astype(object).where(days.notna(), UNKNOWN)
    return named


def _days(dates: pd.Series[Any]) -> pd.Series[Any]:
    """Days; a date that is no date is unknown."""
    return pd.to_datetime(
        dates.astype(object).where(dates.notna(), None), errors="coerce", format="mixed", utc=True
    )


COLUMNS = ("sex", "age_band", "site", "view", "scanner", "sequence", "period")
SHIFTS = ("site", "scanner", "period")
"""Groups that a detector may not have been trained on: each is compared with all others
together.
"""
NOTHING_KNOWN = (
    "No sex, age, site, view, scanner, sequence or date that differs between test images is recorded: whether the detector serves all "
    "groups alike cannot be measured."
)
TOO_SMALL = f"No two groups are large enough to be compared: each needs {MINIMUM} images of the class that a figure rests on."
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Group:
    """Test images of one level of a grouping."""

    column: str
    level: str
    mask: Mask

    @property
    def comparable(self) -> bool:
        """Whether its images have more in common than that something is not known of them, or
        rare.
        """
        return self.level != UNKNOWN and not self.level.startswith(OTHER)

    def key(self, figure: str) -> str:
        """Names a figure of the group."""
        return f"{self.column}={self.level}: {figure}"


def audit_subgroups(
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    threshold: float,
    n_resamples: int = 1000,
    seed: int = 0,
    leakage: Mapping[str, Any] | None = None,
    aggregate: str = MEAN,
) -> dict[str, Any]:
    """Sensitivity, specificity and AUROC of every group of test images, and the gaps between
    groups.

    Args:
        scores: image_id and score.
        splits: with the test labels, and sex, age_band, site, view, scanner, sequence and date
            where they are known.
        threshold: the frozen one of the detector's row.
        n_resamples: resamples of patients.
        seed: of the resamples.
        leakage: the leakage audit of the split, whose verdict is restated.
        aggregate: how volumes are scored, as the row of the detector says.

    Returns:
        {"sentence", "groups": {column: {level: counts and estimates}}, "gaps": {column: {figure:
        estimate, "between", "p", "p_holm"}}, "shifts": {column: {level: estimate of its AUROC minus
        that of all others}}, "not_measured": {column: reason}, "leakage", "threshold", "minimum",
        "tested": counts}.
    """
    test = joined(scores, splits, "test", aggregate)
    patients, data = test["group_id"].to_numpy(), Decided.of(test, threshold)
    columns, not_measured = _columns(test)
    groups = [
        Group(name, level, (column == level).to_numpy())
        for name, column in columns.items()
        for level in _levels(column)
    ]
    metrics = {
        group.key(figure): FIGURES[figure].metric(data, group.mask)
        for group in groups
        for figure in FIGURES
    }
    missing = {
        group.key(figure): too_few(figure, metrics[group.key(figure)])
        for group in groups
        for figure in FIGURES
    }
    enough = {key: metric for key, metric in metrics.items() if missing[key] is None}
    found = {**missing, **estimates(enough, patients, n_resamples, seed)}
    gaps = _gaps(groups, resampled(enough, patients, n_resamples, seed))
    return {
        "sentence": _sentence(gaps, bool(groups)),
        "groups": {
            name: {
                group.level: _told(group, test, splits, found)
                for group in groups
                if group.column == name
            }
            for name in columns
        },
        "gaps": gaps,
        "shifts": _shifts(groups, data, patients, n_resamples, seed),
        "not_measured": not_measured,
        "leakage": restated(leakage),
        "threshold": threshold,
        "minimum": MINIMUM,
        "tested": counts(test),
    }


def _columns(test: pd.DataFrame) -> tuple[dict[str, pd.Series[Any]], dict[str, str]]:
    """The groupings that can be looked at, and why the others cannot."""
    found = {name: few_levels(_column(test, test, name)) for name in COLUMNS}
    reasons = {name: _unusable(column) for name, column in found.items()}
    return {name: column for name, column in found.items() if not reasons[name]}, {
        name: why for name, why in reasons.items() if why
    }


def _column(table: pd.DataFrame, test: pd.DataFrame, name: str) -> pd.Series[Any]:
    if name == "period":
        return periods(
            table.reindex(columns=["date"])["date"], test.reindex(columns=["date"])["date"]
        )
    return as_text(table.reindex(columns=[name])[name])


def _unusable(column: pd.Series[Any]) -> str:
    levels = column.unique().tolist()
    if levels == [UNKNOWN]:
        return "not recorded for any test image"
    return f"the same for all test images ({levels[0]})" if len(levels) == 1 else ""


def _levels(column: pd.Series[Any]) -> list[str]:
    order = {band: place for place, band in enumerate(AGE_BANDS)}
    return sorted(
        map(str, column.unique()),
        key=lambda level: (level == UNKNOWN, level.startswith(OTHER), order.get(level, 0), level),
    )


def _told(
    group: Group, test: pd.DataFrame, splits: pd.DataFrame, found: Mapping[str, Estimate | None]
) -> dict[str, Any]:
    chosen, training = test[group.mask], splits[splits["split"] == "train"]
    figures = {
        figure: estimate.as_dict()
        for figure in FIGURES
        if (estimate := found[group.key(figure)]) is not None
    }
    return {
        "n_images": len(chosen),
        "n_patients": int(chosen["group_id"].nunique()) if chosen["group_known"].all() else None,
        "n_anomalous": int((chosen["label"] == 1).sum()),
        "n_normal": int((chosen["label"] == 0).sum()),
        "training_images": int((_column(training, test, group.column) == group.level).sum())
        if group.comparable
        else None,
        **figures,
    }


def _gaps(groups: Sequence[Group], draws: Mapping[str, Draws]) -> dict[str, Any]:
    """The largest gap of each grouping and figure."""
    pairs = [
        (one, other, figure) for figure in FIGURES for one, other in _pairs(groups, figure, draws)
    ]
    raw = [
        p_value(draws[one.key(figure)], draws[other.key(figure)]) for one, other, figure in pairs
    ]
    judged = list(
        zip(pairs, raw, holm({str(place): p for place, p in enumerate(raw)}).values(), strict=True)
    )
    columns = dict.fromkeys(group.column for group in groups)
    return {
        column: {
            figure: _largest(
                [
                    (pair, p, adjusted)
                    for pair, p, adjusted in judged
                    if pair[0].column == column and pair[2] == figure
                ],
                draws,
            )
            for figure in FIGURES
        }
        for column in columns
    }


def _pairs(
    groups: Sequence[Group], figure: str, draws: Mapping[str, Draws]
) -> Iterator[tuple[Group, Group]]:
    usable = [group for group in groups if group.comparable and group.key(figure) in draws]
    return ((one, other) for one, other in combinations(usable, 2) if one.column == other.column)


def _largest(
    judged: Sequence[tuple[tuple[Group, Group, str], float, float]], draws: Mapping[str, Draws]
) -> dict[str, Any]:
    """The pair with the largest difference, the better group first."""
    if not judged:
        return Estimate(
            None, reason=f"{INSUFFICIENT}: fewer than two groups have enough images"
        ).as_dict()
    (one, other, figure), p, adjusted = max(judged, key=lambda found: abs(_value(found[0], draws)))
    better, worse = (one, other) if _value((one, other, figure), draws) >= 0 else (other, one)
    gap = difference(draws[better.key(figure)], draws[worse.key(figure)]).as_dict()
    return {
        **gap,
        "between": [better.level, worse.level],
        "p": p,
        "p_holm": adjusted,
        "pairs": len(judged),
    }


def _value(pair: tuple[Group, Group, str], draws: Mapping[str, Draws]) -> float:
    one, other, figure = pair
    return draws[one.key(figure)][0] - draws[other.key(figure)][0]


def _sentence(gaps: Mapping[str, Mapping[str, Any]], any_group: bool) -> str:
    """What a reader should take along."""
    if not any_group:
        return NOTHING_KNOWN
    known = [
        (column, figure, gap)
        for column, figures in gaps.items()
        for figure, gap in figures.items()
        if gap["value"] is not None
    ]
    if not known:
        return TOO_SMALL
    shown = sorted(
        (entry for entry in known if entry[2]["p_holm"] < SIGNIFICANT),
        key=lambda entry: -entry[2]["value"],
    )
    column, figure, gap = shown[0] if shown else max(known, key=lambda entry: entry[2]["value"])
    better, worse = gap["between"]
    size = f"{figure} of {column.replace('_', ' ')} {worse} is {gap['value']:.3f} below that of {better} ({_p(gap['p_holm'])}, Holm)"
    lead = (
        f"{len(shown)} of {len(known)} largest gaps are shown not to be chance"
        if shown
        else "No gap between groups is shown"
    )
    return f"{lead}; the largest{' of them' if shown else ''}: {size}."


def _p(value: float) -> str:
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.2g}"


def _shifts(
    groups: Sequence[Group], data: Decided, patients: Any, n_resamples: int, seed: int
) -> dict[str, Any]:
    """AUROC of each site, scanner or period minus that of all others together."""
    chosen = [group for group in groups if group.column in SHIFTS and group.comparable]
    sides = {
        (group.column, group.level): [
            FIGURES["auroc"].metric(data, mask) for mask in (group.mask, ~group.mask)
        ]
        for group in chosen
    }
    small = {
        key: next(filter(None, (too_few("auroc", metric) for metric in pair)), None)
        for key, pair in sides.items()
    }
    named = {
        f"{key}{place}": metric
        for key, pair in sides.items()
        if small[key] is None
        for place, metric in enumerate(pair)
    }
    draws = resampled(named, patients, n_resamples, seed)
    found = {
        key: why or difference(draws[f"{key}0"], draws[f"{key}1"]) for key, why in small.items()
    }
    columns = dict.fromkeys(group.column for group in chosen)
    return {
        column: {
            level: estimate.as_dict() for (name, level), estimate in found.items() if name == column
        }
        for column in columns
    }


def restated(leakage: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the leakage audit of the split said, as a sentence."""
    if leakage is None:
        return {
            "verdict": None,
            "sentence": "The leakage audit of this split is not there: leakage is unknown.",
        }
    shared = {name: int(found["count"]) for name, found in leakage.get("shared", {}).items()}
    kept = f"{shared.get('patients', 0)} patients and {shared.get('pixels', 0)} pictures stand in two parts"
    dropped = int(leakage.get("dropped", 0))
    mended = f"; {dropped} images were left out for it" if dropped else ""
    return {
        "verdict": leakage["verdict"],
        "sentence": f"Leakage audit of the split: {leakage['verdict']} ({kept}{mended}).",
    }
