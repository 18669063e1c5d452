"""Metrics of a detector in groups of test images, and the gaps between groups.

All groups are decided at the frozen threshold, never at one of their own. Of each grouping and
metric the largest gap is reported. Its p-value is corrected over all pairs of groups and metrics of
the detector, since the largest gap is searched for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from medgan.audits.cohort import OTHER, as_text, column_of, few_levels, in_order, leakage_verdict
from medgan.audits.results import Gap, SubgroupMetrics, SubgroupsResult
from medgan.audits.scored import ScoredDetector, tested
from medgan.evaluation.score_table import patients_in
from medgan.images.leakage import LeakageAudit
from medgan.images.metadata import UNKNOWN
from medgan.stats.bootstrap import Estimate, Resampled, estimate, resampled
from medgan.stats.classification import Predictions
from medgan.stats.differences import Difference, difference, holm, paired_difference
from medgan.stats.strata import INSUFFICIENT, METRICS, MINIMUM, Stratum, predictions_of
from medgan.words import readable

MOST_YEARS = 6
COLUMNS = ("sex", "age_band", "site", "view", "scanner", "sequence", "period")
SHIFTS = ("site", "scanner", "period")
"""Groups that a detector may not have been trained on: each is compared with all others."""
NOTHING_KNOWN = (
    "No sex, age, site, view, scanner, sequence or date that differs between test images is "
    "recorded: whether the detector serves all groups alike cannot be measured."
)
TOO_SMALL = (
    f"No two groups are large enough to be compared: each needs {MINIMUM} images of the class that "
    "a metric rests on."
)
TOO_FEW_GROUPS = f"{INSUFFICIENT}: fewer than two groups have enough images"
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Group(Stratum):
    """The test images of one level of a grouping."""

    column: str
    level: str

    @property
    def comparable(self) -> bool:
        """Whether its images share a known value, not only that it is unknown or rare."""
        return self.level != UNKNOWN and not self.level.startswith(OTHER)

    def key(self, metric: str) -> tuple[str, str, str]:
        """The key of one of its metrics."""
        return self.column, self.level, metric


@dataclass(frozen=True)
class _Pair:
    """Two groups of a grouping and their difference in a metric; the better group is first."""

    metric: str
    better: Group
    worse: Group
    difference: Difference

    @classmethod
    def of(cls, metric: str, one: Group, other: Group, draws: Mapping[Any, Resampled]) -> _Pair:
        """The pair, ordered by the metric."""
        first, second = draws[one.key(metric)], draws[other.key(metric)]
        if first.value < second.value:
            one, other, first, second = other, one, second, first
        return cls(metric, one, other, difference(first, second))

    def gap(self, p_holm: float | None, pairs: int) -> Gap:
        """The difference of the pair as the largest of so many."""
        found, between = self.difference, (self.better.level, self.worse.level)
        own = vars(found.estimate)
        return Gap(**own, between=between, p=found.p_value, p_holm=p_holm, pairs=pairs)


def audit_subgroups(
    detector: ScoredDetector,
    splits: pd.DataFrame,
    leakage: LeakageAudit | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> SubgroupsResult:
    """Compute sensitivity, specificity and AUROC of every group of test images, and their gaps.

    Groups are those of sex, age_band, site, view, scanner, sequence and date in `splits`, where
    they are known.
    """
    test = detector.test(splits)
    patients = test["group_id"].to_numpy()
    columns, not_measured = _columns(test)
    groups = _groups(columns, predictions_of(test, detector.threshold))
    metrics = {
        group.key(name): group.metric(name)
        for group in groups
        for name in METRICS
        if not group.too_few(name)
    }
    drawn = resampled(metrics, patients, n_resamples, seed)
    found = {key: estimate(metrics[key], one) for key, one in drawn.items()}
    gaps = _gaps(groups, drawn)
    return SubgroupsResult(
        _sentence(gaps, bool(groups)),
        {name: _measured(name, groups, test, splits, found) for name in columns},
        gaps,
        _shifts(groups, patients, n_resamples, seed),
        not_measured,
        leakage_verdict(leakage),
        detector.threshold,
        MINIMUM,
        tested(test),
    )


def _columns(test: pd.DataFrame) -> tuple[dict[str, pd.Series[Any]], dict[str, str]]:
    """The groupings of the test images, and why others cannot be measured."""
    found = {name: few_levels(_column(test, test, name)) for name in COLUMNS}
    reasons = {name: _unusable(column) for name, column in found.items()}
    usable = {name: column for name, column in found.items() if not reasons[name]}
    return usable, {name: reason for name, reason in reasons.items() if reason}


def _groups(columns: Mapping[str, pd.Series[Any]], predictions: Predictions) -> list[Group]:
    return [
        Group(predictions, (column == level).to_numpy(), name, level)
        for name, column in columns.items()
        for level in in_order(column)
    ]


def _column(table: pd.DataFrame, test: pd.DataFrame, name: str) -> pd.Series[Any]:
    if name == "period":
        return periods(column_of(table, "date"), column_of(test, "date"))
    return as_text(column_of(table, name))


def _unusable(column: pd.Series[Any]) -> str:
    levels = column.unique().tolist()
    if levels == [UNKNOWN]:
        return "not recorded for any test image"
    return f"the same for all test images ({levels[0]})" if len(levels) == 1 else ""


def periods(dates: pd.Series[Any], like: pd.Series[Any]) -> pd.Series[Any]:
    """The period of each date as text, `unknown` where there is none.

    Args:
        dates: dates as text, of any part of the data.
        like: the dates of the test images, which decide the periods: their years where there are 2
            to MOST_YEARS, else the time up to their median day and the time after it.
    """
    known = _days(like).dropna()
    if known.empty:
        return pd.Series(UNKNOWN, index=dates.index, dtype=object)
    days = _days(dates)
    if 2 <= known.dt.year.nunique() <= MOST_YEARS:
        chosen = days.dt.year.astype("Int64").astype(str)
    else:
        middle: pd.Timestamp = known.sort_values().iloc[(len(known) - 1) // 2].normalize()
        names = {True: f"until {middle:%Y-%m-%d}", False: f"after {middle:%Y-%m-%d}"}
        chosen = (days.dt.normalize() <= middle).map(names)
    return chosen.astype(object).where(days.notna(), UNKNOWN)


def _days(dates: pd.Series[Any]) -> pd.Series[Any]:
    """Convert text to days; what is not a date becomes missing."""
    text = dates.astype(object).where(dates.notna(), None)
    return pd.to_datetime(text, errors="coerce", format="mixed", utc=True)


def _measured(
    column: str,
    groups: Sequence[Group],
    test: pd.DataFrame,
    splits: pd.DataFrame,
    found: Mapping[Any, Estimate],
) -> dict[str, SubgroupMetrics]:
    """The metrics of each level of a grouping."""
    training = _column(splits[splits["split"] == "train"], test, column)
    return {
        group.level: SubgroupMetrics(
            n_images=int(group.mask.sum()),
            n_patients=patients_in(test[group.mask]),
            n_anomalous=group.count(1),
            n_normal=group.count(0),
            training_images=int((training == group.level).sum()) if group.comparable else None,
            **{name: group.too_few(name) or found[group.key(name)] for name in METRICS},
        )
        for group in groups
        if group.column == column
    }


def _gaps(groups: Sequence[Group], draws: Mapping[Any, Resampled]) -> dict[str, dict[str, Gap]]:
    """The largest gap of each grouping and metric, its p-value corrected over all pairs."""
    pairs = list(_pairs(groups, draws))
    adjusted = holm({place: pair.difference.p_value for place, pair in enumerate(pairs)})
    gaps: dict[str, dict[str, Gap]] = {}
    for column in dict.fromkeys(group.column for group in groups):
        gaps[column] = {}
        for metric in METRICS:
            own = {
                place: pair.difference.value or 0.0
                for place, pair in enumerate(pairs)
                if (pair.better.column, pair.metric) == (column, metric)
            }
            widest = max(own, key=lambda place: own[place], default=None)
            gaps[column][metric] = (
                Gap(None, reason=TOO_FEW_GROUPS)
                if widest is None
                else pairs[widest].gap(adjusted.get(widest), len(own))
            )
    return gaps


def _pairs(groups: Sequence[Group], draws: Mapping[Any, Resampled]) -> Iterator[_Pair]:
    for metric in METRICS:
        usable = [group for group in groups if group.comparable and group.key(metric) in draws]
        for one, other in combinations(usable, 2):
            if one.column == other.column:
                yield _Pair.of(metric, one, other, draws)


def _sentence(gaps: Mapping[str, Mapping[str, Gap]], any_group: bool) -> str:
    """Summarize the gaps for a reader."""
    if not any_group:
        return NOTHING_KNOWN
    known = [
        (gap.value, f"{metric} of {readable(column)}", gap.between, gap.p_holm)
        for column, metrics in gaps.items()
        for metric, gap in metrics.items()
        if gap.value is not None and gap.between is not None
    ]
    if not known:
        return TOO_SMALL
    shown = [one for one in known if one[3] is not None and one[3] < SIGNIFICANT]
    value, what, (better, worse), p_holm = max(shown or known, key=lambda one: one[0])
    size = f"{what} {worse} is {value:.3f} below that of {better} ({_p_text(p_holm)})"
    if not shown:
        return f"No gap between groups is shown; the largest: {size}."
    lead = f"{len(shown)} of {len(known)} largest gaps are shown not to be chance"
    return f"{lead}; the largest of them: {size}."


def _p_text(p_holm: float | None) -> str:
    if p_holm is None:
        return "no interval"
    return f"{'p < 0.0001' if p_holm < 1e-4 else f'p = {p_holm:.2g}'}, Holm"


def _shifts(
    groups: Sequence[Group], patients: Any, n_resamples: int, seed: int
) -> dict[str, dict[str, Difference]]:
    """AUROC of each site, scanner or period minus that of all others together."""
    shifts: dict[str, dict[str, Difference]] = {}
    for group in groups:
        if group.column not in SHIFTS or not group.comparable:
            continue
        others = Stratum(group.all, ~group.mask)
        missing = group.too_few("auroc") or others.too_few("auroc")
        if missing:
            shift = Difference(None, reason=missing.reason)
        else:
            own, rest = group.metric("auroc"), others.metric("auroc")
            shift = paired_difference(own, rest, patients, n_resamples, seed)
        shifts.setdefault(group.column, {})[group.level] = shift
    return shifts
