"""Compare detectors with shortcut baselines, which see only features that are not disease.

A detector that is not shown to beat the best shortcut that saw what it saw, normals alone or the
unlabelled mix (the lower bound of the difference in AUROC is at or below 0), is flagged. The best
shortcut is chosen on the test images, of stored and of scaled pixels, which can only make the
detector look worse.

A thumbnail and the intensity may show the disease itself: a large opacity is visible at 8 x 8
pixels. So the detector is also compared with the best shortcut that cannot: the border, the size of
the image, and what is recorded. (A border that is scaled by the whole image moves a little with a
large finding; counting it here, too, can only make the detector look worse. One that is scaled by
the window around each pixel shows what lies half a window inside, so it does not count here.)

For volumes, the shortcuts are aggregated over slices as the detector is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from medgan.audits.cohort import as_text, column_of
from medgan.audits.results import (
    AgainstShortcut,
    DetectorShortcuts,
    Scopes,
    ShortcutsResult,
    SiteAuroc,
    WithinSites,
)
from medgan.audits.scored import ScoredDetector, tested
from medgan.evaluation.score_table import joined
from medgan.evaluation.volumes import MEAN
from medgan.images.metadata import UNKNOWN
from medgan.images.transforms import INTENSITY, WINDOWED
from medgan.stats.bootstrap import (
    Estimate,
    Floats,
    WeightedStatistic,
    estimate,
    interval,
    ratio,
    resampled,
)
from medgan.stats.classification import area_of, auroc
from medgan.stats.differences import Difference, auroc_difference, difference
from medgan.stats.strata import Stratum, predictions_of

KINDS = ("one_class", "mix", "probe")
FLAG = "may detect the source"
SITE_FLAG = "does worse within sites than across them"
COARSE = (
    *("thumbnail", *(f"thumbnail, {one}" for one in INTENSITY)),
    *("intensity", *(f"intensity, {one}" for one in INTENSITY)),
    *(f"border, {one}" for one in WINDOWED),
)
"""Shortcuts that may show the disease as well."""
SCOPES = ("any", "not_the_disease")
NO_SHORTCUT = "there is no shortcut of this kind to compare with"
NO_SITE = "no site is recorded"
ONE_SITE = "fewer than two sites with normal and anomalous test images"
T = TypeVar("T")


def audit_shortcuts(
    shortcuts: pd.DataFrame,
    reasons: Mapping[str, str],
    detectors: Mapping[str, ScoredDetector],
    splits: pd.DataFrame,
    n_resamples: int = 1000,
    seed: int = 0,
) -> ShortcutsResult:
    """Compute the AUROC of every shortcut of `shortcut_scores`, and compare every detector with the
    best of them that saw what it saw.

    The AUROCs of the shortcuts alone aggregate slices by their mean. `reasons` tell why other
    shortcuts have no scores.
    """
    alone = {
        aggregate: _Shortcuts.of(shortcuts, splits, aggregate, n_resamples, seed)
        for aggregate in {MEAN, *(detector.aggregate for detector in detectors.values())}
    }
    judged = {
        name: _judged(detector.test(splits), detector.sees_mix, alone[detector.aggregate])
        for name, detector in detectors.items()
    }
    absent = {name: Estimate(None, reason=reason) for name, reason in reasons.items()}
    measured = alone[MEAN].aurocs | absent
    by_kind = {
        kind: {short(name): found for name, found in measured.items() if name.startswith(kind)}
        for kind in KINDS
    }
    return ShortcutsResult(by_kind, judged, tested(next(iter(alone[MEAN].tests.values()))))


@dataclass(frozen=True)
class _Shortcuts:
    """The shortcuts on the test images; those of volumes by one aggregate."""

    tests: Mapping[str, pd.DataFrame]
    """Shortcut to the test images with its scores."""
    aurocs: dict[str, Estimate]
    n_resamples: int
    seed: int

    @classmethod
    def of(
        cls,
        shortcuts: pd.DataFrame,
        splits: pd.DataFrame,
        aggregate: str,
        n_resamples: int,
        seed: int,
    ) -> _Shortcuts:
        """The shortcuts that have scores."""
        ids = shortcuts[["image_id"]]
        tests = {
            name: joined(ids.assign(score=shortcuts[name]), splits, "test", aggregate)
            for name in shortcuts.columns
            if "/" in name
        }
        areas = {name: _auroc(test, n_resamples, seed) for name, test in tests.items()}
        return cls(tests, areas, n_resamples, seed)

    def compared(self, test: pd.DataFrame, kind: str) -> Scopes:
        """A detector on the test images against the best shortcut of a kind, in each scope."""
        known = {
            name: found
            for name, found in self.aurocs.items()
            if name.startswith(kind) and found.value is not None
        }
        return Scopes(*(self._against(test, within_scope(scope, known)) for scope in SCOPES))

    def _against(self, test: pd.DataFrame, known: Mapping[str, Estimate]) -> AgainstShortcut:
        if not known:
            missing = Difference(None, reason=NO_SHORTCUT)
            return AgainstShortcut(None, missing.estimate, missing, False, False)
        best = max(known, key=lambda name: known[name].value or 0.0)
        labels, own, groups = (test[name].to_numpy() for name in ("label", "score", "group_id"))
        other = self.tests[best]["score"].to_numpy()
        gain = auroc_difference(labels, own, other, groups, self.n_resamples, self.seed)
        above_chance = (known[best].low or 0.0) > 0.5
        return AgainstShortcut(short(best), known[best], gain, is_no_better(gain), above_chance)


def _auroc(test: pd.DataFrame, n_resamples: int, seed: int) -> Estimate:
    labels, scores, groups = (test[name].to_numpy() for name in ("label", "score", "group_id"))
    return interval(area_of(labels, scores), groups, n_resamples, seed)


def short(name: str) -> str:
    """`thumbnail` of `probe/thumbnail`."""
    return name.split("/", 1)[1]


def within_scope(scope: str, measured: Mapping[str, T]) -> dict[str, T]:
    """The shortcuts of one of SCOPES: all, or those that cannot show the disease."""
    if scope == "any":
        return dict(measured)
    return {name: found for name, found in measured.items() if short(name) not in COARSE}


def is_no_better(gain: Estimate) -> bool:
    """Whether a detector is not shown to beat a shortcut, by the difference of their AUROCs."""
    return gain.low is None or gain.low <= 0.0


def _judged(test: pd.DataFrame, sees_mix: bool, alone: _Shortcuts) -> DetectorShortcuts:
    resampling = alone.n_resamples, alone.seed
    own, within = _auroc(test, *resampling), within_sites(test, *resampling)
    against = {kind: alone.compared(test, kind) for kind in KINDS}
    kind = "mix" if sees_mix and against["mix"].any.shortcut else "one_class"
    lost = within.difference.high
    flags = [FLAG] * against[kind].any.no_better + [SITE_FLAG] * (lost is not None and lost < 0.0)
    return DetectorShortcuts(own, kind, against, within, flags, _sentence(own, against[kind]))


def _sentence(own: Estimate, against: Scopes) -> str:
    best, other = against.any, against.not_the_disease
    if own.value is None or best.difference.value is None:
        return f"Not compared with any shortcut: {own.reason or best.difference.reason}."
    gain = _signed(best.difference)
    if not best.no_better:
        return f"Better than every shortcut of its kind: by {gain} than the best, {_named(best)}."
    chance = "" if best.above_chance else ", which is itself not shown to beat chance"
    lost = f"Not shown to be better than {_named(best)}{chance} (difference {gain}): it {FLAG}"
    if best.shortcut in COARSE and other is not None and not other.no_better:
        return (
            f"{lost}, or no more of the disease than that shows. It does beat what cannot show the "
            f"disease, by {_signed(other.difference)}."
        )
    return f"{lost} and not the disease."


def _named(compared: AgainstShortcut) -> str:
    name = str(compared.shortcut).replace("_", " ")
    return f"{name} alone (AUROC {compared.auroc.value:.3f})"


def _signed(gain: Estimate) -> str:
    bounds = "" if gain.low is None else f" [{gain.low:+.3f}, {gain.high:+.3f}]"
    return f"{gain.value:+.3f}{bounds}"


def within_sites(test: pd.DataFrame, n_resamples: int = 1000, seed: int = 0) -> WithinSites:
    """Compute AUROC within each site, over all sites, and its difference from that across sites.

    `pooled` counts only pairs of a normal and an anomalous image of the same site, so what tells
    sites apart adds nothing to it. `difference` is `pooled` minus the AUROC of all pairs of the
    same images.
    """
    levels, patients = as_text(column_of(test, "site")), test["group_id"].to_numpy()
    predictions = predictions_of(test, np.inf)
    sites = {
        site: Stratum(predictions, (levels == site).to_numpy())
        for site in sorted(set(levels) - {UNKNOWN})
    }
    told = {
        name: SiteAuroc(
            site.count(0),
            site.count(1),
            site.too_few("auroc") or interval(site.metric("auroc"), patients, n_resamples, seed),
        )
        for name, site in sites.items()
    }
    mixed = [site for site in sites.values() if site.count(0) and site.count(1)]
    if len(mixed) < 2:
        missing = Difference(None, reason=ONE_SITE if sites else NO_SITE)
        return WithinSites(told, missing.estimate, missing)
    overall = Stratum(predictions, np.logical_or.reduce([site.mask for site in mixed]))
    metrics = {"pooled": _pooled(mixed), "overall": overall.metric("auroc")}
    draws = resampled(metrics, patients, n_resamples, seed)
    pooled = estimate(metrics["pooled"], draws["pooled"])
    return WithinSites(told, pooled, difference(draws["pooled"], draws["overall"]))


def _pooled(sites: Sequence[Stratum]) -> WeightedStatistic:
    """The AUROC within sites: that of each site weighted by its pairs of images."""

    def statistic(weights: Floats) -> Floats:
        right, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for site in sites:
            own, labels = weights[:, site.mask], site.all.labels[site.mask]
            count = own[:, labels == 1].sum(1) * own[:, labels == 0].sum(1)
            area = auroc(labels, site.all.scores[site.mask], own)
            right += np.nan_to_num(area) * count
            pairs += count
        return ratio(right, pairs)

    among, labels = np.logical_or.reduce([site.mask for site in sites]), sites[0].all.labels
    return WeightedStatistic(statistic, [among & (labels == label) for label in (0, 1)])
