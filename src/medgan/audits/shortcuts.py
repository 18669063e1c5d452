"""Does a detector do better than what is no disease? Its AUROC against the best shortcut, and
within each site.

A detector that is not shown to beat the best shortcut of its kind on the test images (paired
bootstrap of patients, lower bound of the difference at or below 0) is flagged. The best one is
picked on the test images, which can only make the detector look worse.

A thumbnail and the exposure may show the disease itself: a large opacity is there at 8 x 8 pixels,
and whitens the film. So the detector is also compared with the best shortcut that cannot: the
border, the size of the image, and what is recorded.

Where volumes are judged, the shortcuts that a detector is compared with are read as it is: by the
same aggregate of their slices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.audits.cohort import as_text
from medgan.evaluation.detector import counts, joined
from medgan.evaluation.volumes import MEAN, aggregate_of
from medgan.images.metadata import UNKNOWN
from medgan.stats.bootstrap import Estimate, Floats, Metric, estimates
from medgan.stats.classification import auroc, ranking_metrics
from medgan.stats.differences import difference, resampled
from medgan.stats.strata import FIGURES, Decided, Mask, too_few

KINDS = ("one_class", "probe")
FLAG = "may detect the source"
SITE_FLAG = "does worse within sites than across them"
COARSE = ("thumbnail", "intensity")
"""Shortcuts that may show the disease as well."""
SCOPES = ("any", "not_the_disease")
T = TypeVar("T")
NO_SITE = "no site is recorded"
ONE_SITE = "fewer than two sites with normal and anomalous test images"


@dataclass(frozen=True)
class _Alone:
    """The shortcuts on the test images, those of a volume by one aggregate."""

    tests: Mapping[str, pd.DataFrame]
    """Shortcut to the test images with its scores."""
    measured: Mapping[str, Mapping[str, Estimate]]
    """Kind to shortcut to its AUROC."""

    @classmethod
    def of(
        cls,
        shortcuts: pd.DataFrame,
        splits: pd.DataFrame,
        aggregate: str,
        n_resamples: int,
        seed: int,
    ) -> _Alone:
        """Those that have scores."""
        named = [name for name in shortcuts.columns if "/" in name]
        tests = {
            name: joined(
                shortcuts[["image_id"]].assign(score=shortcuts[name]), splits, "test", aggregate
            )
            for name in named
        }
        areas = {name: _auroc(test, n_resamples, seed) for name, test in tests.items()}
        return cls(
            tests,
            {
                kind: {name: found for name, found in areas.items() if name.startswith(kind)}
                for kind in KINDS
            },
        )


def audit_shortcuts(
    shortcuts: pd.DataFrame,
    reasons: Mapping[str, str],
    scores: Mapping[str, pd.DataFrame],
    rows: Mapping[str, Mapping[str, Any]],
    splits: pd.DataFrame,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Every shortcut's AUROC on the test images, and every detector against the best of them and
    within sites.

    Args:
        shortcuts: the scores that `shortcut_scores` gave.
        reasons: why it could not give others.
        scores: image_id and score for each detector.
        rows: the row of each detector; `sees_mix` decides which kind of shortcut it is compared
            with, `volume_score` how volumes are read.
        splits: with the test labels.
        n_resamples: resamples of patients.
        seed: of the resamples.

    Returns:
        {"shortcuts": {kind: {name: estimate}}, "detectors": {name: {"auroc", "compared_with": kind,
        "against": {kind: {scope: {"shortcut", "auroc", "difference", "no_better",
        "above_chance"}}}, "within_sites", "flags", "sentence"}}, "tested": counts}; a scope is one
        of SCOPES. The shortcuts alone are read by the mean over slices.
    """
    aggregates = {name: aggregate_of(rows[name]) for name in scores}
    alone = {
        aggregate: _Alone.of(shortcuts, splits, aggregate, n_resamples, seed)
        for aggregate in dict.fromkeys([MEAN, *aggregates.values()])
    }
    missing = {
        kind: {
            name: Estimate(None, reason=why)
            for name, why in reasons.items()
            if name.startswith(kind)
        }
        for kind in KINDS
    }
    judged = {}
    for name, table in scores.items():
        test, beside = joined(table, splits, "test", aggregates[name]), alone[aggregates[name]]
        against = {
            kind: {
                scope: _against(
                    test,
                    within_scope(scope, beside.measured[kind]),
                    beside.tests,
                    n_resamples,
                    seed,
                )
                for scope in SCOPES
            }
            for kind in KINDS
        }
        judged[name] = _judged(
            _auroc(test, n_resamples, seed),
            against,
            within_sites(test, n_resamples, seed),
            bool(rows[name].get("sees_mix")),
        )
    told = {
        kind: {
            short(name): found.as_dict()
            for name, found in {**alone[MEAN].measured[kind], **missing[kind]}.items()
        }
        for kind in KINDS
    }
    first = next(iter(alone[MEAN].tests.values()))
    return {"shortcuts": told, "detectors": judged, "tested": counts(first)}


def short(name: str) -> str:
    """`thumbnail` of `probe/thumbnail`."""
    return name.split("/", 1)[1]


def within_scope(scope: str, measured: Mapping[str, T]) -> dict[str, T]:
    """The shortcuts of one of SCOPES: all, or those that cannot show the disease."""
    return {
        name: found
        for name, found in measured.items()
        if scope == "any" or short(name) not in COARSE
    }


def is_no_better(gain: Estimate) -> bool:
    """Whether a detector is not shown to beat a shortcut, by the difference of their AUROCs."""
    return gain.low is None or gain.low <= 0.0


def _auroc(test: pd.DataFrame, n_resamples: int, seed: int) -> Estimate:
    metric = _metric(test)
    return estimates({"auroc": metric}, test["group_id"].to_numpy(), n_resamples, seed)["auroc"]


def _metric(test: pd.DataFrame) -> Metric:
    return ranking_metrics(test["label"].to_numpy(), test["score"].to_numpy())["auroc"]


def _against(
    test: pd.DataFrame,
    measured: Mapping[str, Estimate],
    tests: Mapping[str, pd.DataFrame],
    n_resamples: int,
    seed: int,
) -> dict[str, Any]:
    """A detector against the best shortcut of a kind."""
    known = {name: found for name, found in measured.items() if found.value is not None}
    if not known:
        missing = Estimate(
            None, reason="there is no shortcut of this kind to compare with"
        ).as_dict()
        return {
            "shortcut": None,
            "auroc": missing,
            "difference": missing,
            "no_better": False,
            "above_chance": False,
        }
    best = max(known, key=lambda name: known[name].value or 0.0)
    draws = resampled(
        {"detector": _metric(test), "shortcut": _metric(tests[best])},
        test["group_id"].to_numpy(),
        n_resamples,
        seed,
    )
    gain = difference(draws["detector"], draws["shortcut"])
    return {
        "shortcut": short(best),
        "auroc": known[best].as_dict(),
        "difference": gain.as_dict(),
        "no_better": is_no_better(gain),
        "above_chance": (known[best].low or 0.0) > 0.5,
    }


def _judged(
    own: Estimate,
    against: Mapping[str, Mapping[str, Any]],
    within: Mapping[str, Any],
    sees_mix: bool,
) -> dict[str, Any]:
    kind = "probe" if sees_mix and against["probe"]["any"]["shortcut"] else "one_class"
    lost = within["difference"].get("high")
    flags = [FLAG] * bool(against[kind]["any"]["no_better"]) + [SITE_FLAG] * (
        lost is not None and lost < 0.0
    )
    return {
        "auroc": own.as_dict(),
        "compared_with": kind,
        "against": dict(against),
        "within_sites": dict(within),
        "flags": flags,
        "sentence": _sentence(own, against[kind]),
    }


def _sentence(own: Estimate, against: Mapping[str, Mapping[str, Any]]) -> str:
    best, other = against["any"], against["not_the_disease"]
    if own.value is None or best["difference"]["value"] is None:
        return f"Not compared with any shortcut: {own.reason or best['difference']['reason']}."
    if not best["no_better"]:
        return f"Better than every shortcut of its kind: by {_signed(best['difference'])} than the best, {_named(best)}."
    chance = "" if best["above_chance"] else ", which is itself not shown to beat chance"
    lost = f"Not shown to be better than {_named(best)}{chance} (difference {_signed(best['difference'])}): it {FLAG}"
    if best["shortcut"] in COARSE and not other["no_better"]:
        beaten = f"It does beat what cannot show the disease, by {_signed(other['difference'])}."
        return f"{lost}, or no more of the disease than that shows. {beaten}"
    return f"{lost} and not the disease."


def _named(compared: Mapping[str, Any]) -> str:
    return (
        f"{compared['shortcut'].replace('_', ' ')} alone (AUROC {compared['auroc']['value']:.3f})"
    )


def _signed(gain: Mapping[str, Any]) -> str:
    bounds = "" if gain.get("low") is None else f" [{gain['low']:+.3f}, {gain['high']:+.3f}]"
    return f"{gain['value']:+.3f}{bounds}"


def within_sites(test: pd.DataFrame, n_resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """AUROC within each site, over all sites, and what is lost against the AUROC across sites.

    `pooled` counts only pairs of a normal and an anomalous image of the same site, so what tells
    sites apart adds nothing to it.
    `difference` is `pooled` minus the AUROC of all pairs of the same images.

    Args:
        test: label, score, group_id, and site where it is known.
        n_resamples: resamples of patients.
        seed: of the resamples.
    """
    sites = as_text(test.reindex(columns=["site"])["site"])
    data, patients = Decided.of(test, np.inf), test["group_id"].to_numpy()
    masks = {str(site): (sites == site).to_numpy() for site in sorted(set(sites) - {UNKNOWN})}
    told = {site: _site(data, mask, patients, n_resamples, seed) for site, mask in masks.items()}
    mixed = [mask for mask in masks.values() if len(np.unique(data.labels[mask])) == 2]
    if len(mixed) < 2:
        missing = Estimate(None, reason=ONE_SITE if masks else NO_SITE).as_dict()
        return {"sites": told, "pooled": missing, "difference": missing}
    among = np.logical_or.reduce(mixed)
    pooled = Metric(
        lambda weights: _stratified(data, mixed, weights),
        [among & (data.labels == label) for label in (0, 1)],
    )
    draws = resampled(
        {"pooled": pooled, "overall": FIGURES["auroc"].metric(data, among)},
        patients,
        n_resamples,
        seed,
    )
    return {
        "sites": told,
        "pooled": estimates({"pooled": pooled}, patients, n_resamples, seed)["pooled"].as_dict(),
        "difference": difference(draws["pooled"], draws["overall"]).as_dict(),
    }


def _site(
    data: Decided, mask: Mask, patients: NDArray[Any], n_resamples: int, seed: int
) -> dict[str, Any]:
    metric = FIGURES["auroc"].metric(data, mask)
    found = (
        too_few("auroc", metric)
        or estimates({"auroc": metric}, patients, n_resamples, seed)["auroc"]
    )
    labels = data.labels[mask]
    return {
        "n_normal": int((labels == 0).sum()),
        "n_anomalous": int((labels == 1).sum()),
        "auroc": found.as_dict(),
    }


def _stratified(data: Decided, masks: Sequence[Mask], weights: Floats) -> Floats:
    """Share of the pairs within sites that are in the right order: each site's AUROC weighted by
    its pairs.
    """
    right, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for mask in masks:
        chosen, own = data.among(mask), weights[:, mask]
        positive = chosen.labels == 1
        count = own[:, positive].sum(1) * own[:, ~positive].sum(1)
        right += np.nan_to_num(auroc(chosen.labels, chosen.scores, own)) * count
        pairs += count
    return np.asarray(np.divide(right, pairs, out=np.full(len(weights), np.nan), where=pairs > 0))
