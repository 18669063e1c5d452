"""How scores hold when images get worse: how far AUROC falls, and how many decisions flip at the frozen threshold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.evaluation.detectors import counts, joined
from medgan.evaluation.differences import difference, resampled
from medgan.evaluation.figures import ranking_metrics
from medgan.evaluation.intervals import Estimate, Floats, Metric, estimates, interval
from medgan.evaluation.perturbations import PERTURBATIONS
from medgan.evaluation.volumes import MEAN, units_of

Arrays = Mapping[str, NDArray[Any]]


def variants() -> Iterator[tuple[str, float]]:
    """Every perturbation with each of its severities, in order."""
    return ((name, severity) for name, kind in PERTURBATIONS.items() for severity in kind.severities)


def robustness_sample(splits: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """At most `count` test images, drawn at random and without their labels, in the order of `splits`; volumes stay whole.

    The draw follows from the seed and the names of the images, whatever their order.
    """
    test = splits[splits["split"] == "test"]
    unit = units_of(test)
    names = np.sort(unit.unique())
    order = np.random.default_rng([seed, crc32(b"robustness sample")]).permutation(len(names))
    sizes = unit.value_counts()[names[order]].to_numpy()
    whole = np.cumsum(sizes) <= count
    whole[0] = True
    return test[unit.isin(names[order][whole])]


def audit_robustness(
    arrays: Arrays,
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    threshold: float,
    n_boot: int = 1000,
    seed: int = 0,
    aggregate: str = MEAN,
) -> dict[str, Any]:
    """AUROC and flipped decisions under each perturbation, against the same images as they are.

    Args:
        arrays: image_id (n,), scores (variants, n) in the order of `variants()`, and `reason`: why nothing was scored, or empty.
        scores: image_id and score of the unperturbed images.
        splits: with the test labels.
        threshold: the frozen one of the detector's row.
        n_boot: resamples of patients.
        seed: of the resamples.
        aggregate: how volumes are scored, as the row of the detector says.

    Returns:
        {"sentence", "sample": counts, "threshold", "clean": estimate, "perturbations": {name: {"unit", "severities": {text: {"severity",
        "auroc", "change", "flipped": estimate, "n_to_anomalous", "n_to_normal"}}}}}, from mild to strong; nothing but the sentence and why
        where nothing was scored.
    """
    reason = str(arrays["reason"])
    if reason:
        return {"sentence": f"Not run: {reason}.", "reason": reason, "perturbations": {}}
    chosen = splits[splits["image_id"].astype(str).isin(arrays["image_id"])]
    clean = joined(scores, chosen, "test", aggregate)
    tables = {
        variant: joined(pd.DataFrame({"image_id": arrays["image_id"], "score": values}), chosen, "test", aggregate)
        for variant, values in zip(variants(), arrays["scores"], strict=True)
    }
    labels, patients = clean["label"].to_numpy(), clean["group_id"].to_numpy()
    own = interval(ranking_metrics(labels, clean["score"].to_numpy())["auroc"], patients, n_boot, seed)
    areas = {"clean": clean, **{_key(variant): table for variant, table in tables.items()}}
    metrics = {name: ranking_metrics(labels, table["score"].to_numpy())["auroc"] for name, table in areas.items()}
    draws = resampled(metrics, patients, n_boot, seed) if own.value is not None else {}
    found = estimates(metrics, patients, n_boot, seed)
    told: dict[str, dict[str, Any]] = {name: {"unit": kind.unit, "severities": {}} for name, kind in PERTURBATIONS.items()}
    for variant, table in tables.items():
        key = _key(variant)
        change = difference(draws[key], draws["clean"]) if draws else Estimate(None, reason=own.reason)
        told[variant[0]]["severities"][f"{variant[1]:g}"] = {
            "severity": variant[1],
            "auroc": found[key].as_dict(),
            "change": change.as_dict(),
            **_flips(clean, table, threshold, n_boot, seed),
        }
    return {
        "sentence": _sentence(told, own),
        "sample": counts(clean),
        "threshold": threshold,
        "clean": own.as_dict(),
        "perturbations": told,
    }


def _key(variant: tuple[str, float]) -> str:
    return f"{variant[0]} {variant[1]:g}"


def _flips(clean: pd.DataFrame, changed: pd.DataFrame, threshold: float, n_boot: int, seed: int) -> dict[str, Any]:
    before, after = (table["score"].to_numpy() >= threshold for table in (clean, changed))
    everything = np.ones(len(clean), dtype=bool)
    share = interval(Metric(partial(_share, before != after), [everything]), clean["group_id"].to_numpy(), n_boot, seed)
    return {"flipped": share.as_dict(), "n_to_anomalous": int((after & ~before).sum()), "n_to_normal": int((before & ~after).sum())}


def _share(flipped: NDArray[np.bool_], weights: Floats) -> Floats:
    share: Floats = weights @ flipped.astype(np.float64) / weights.sum(1)
    return share


def _sentence(told: Mapping[str, Mapping[str, Any]], own: Estimate) -> str:
    """The worst that happened."""
    if own.value is None:
        return f"AUROC under perturbation cannot be had: {own.reason}."
    steps = [(f"{name} {step['severity']:g} ({kind['unit']})", step) for name, kind in told.items() for step in kind["severities"].values()]
    name, worst = min(steps, key=lambda step: step[1]["change"]["value"])
    flipping, most = max(steps, key=lambda step: step[1]["flipped"]["value"])
    flips = f"most decisions flip under {flipping}: {most['flipped']['value']:.0%}."
    if worst["change"]["value"] >= 0:
        return f"AUROC ({own.value:.3f}) falls under no perturbation; {flips}"
    chance = "" if (worst["change"].get("high") or 0.0) < 0.0 else ", not shown to be more than chance"
    return f"AUROC falls most under {name}, by {-worst['change']['value']:.3f} from {own.value:.3f}{chance}; {flips}"
