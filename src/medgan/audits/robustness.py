"""How scores hold when images get worse: how far AUROC falls, and how many decisions flip at the
frozen threshold.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from medgan.evaluation.detector import counts, joined
from medgan.evaluation.volumes import MEAN, units_of
from medgan.stats.bootstrap import Estimate, Floats, Metric, estimates, interval
from medgan.stats.classification import ranking_metrics
from medgan.stats.differences import difference, resampled

Pixels = NDArray[np.uint8]
VERSION = 1
"""Part of the key of cached scores; raise it when a perturbation changes."""


@dataclass(frozen=True)
class Perturbation:
    """A way to make images worse, and how much."""

    apply: Callable[[Pixels, float, np.random.Generator], Pixels]
    severities: tuple[float, ...]
    unit: str
    """What a severity is, with its unit."""


def _rounded(values: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


def _sign(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def noise(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Adds Gaussian noise; `severity` is its standard deviation in grey levels of 255."""
    return _rounded(image + rng.normal(0.0, severity, image.shape))


def blur(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Gaussian blur; `severity` is its standard deviation as a share of the longer side."""
    from scipy import ndimage

    width = severity * max(image.shape[:2])
    return _rounded(
        ndimage.gaussian_filter(image.astype(np.float64), (width, width, 0.0), mode="nearest")
    )


def brightness(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Adds `severity` grey levels to half of the images and takes them away from the others; what
    leaves 0 to 255 is lost.
    """
    return _rounded(image + severity * _sign(rng))


def contrast(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Stretches about the mean of the image by the share `severity`, or shrinks, each for half of
    the images.
    """
    mean = image.mean()
    return _rounded((image - mean) * (1.0 + severity * _sign(rng)) + mean)


def jpeg(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Saves and reads as JPEG of quality `severity`."""
    grey = image.shape[2] == 1
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if grey else image).save(buffer, "JPEG", quality=int(severity))
    return np.asarray(Image.open(buffer)).reshape(image.shape)


def rotation(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Turns by `severity` degrees, to either side for half of the images; corners repeat the
    border.
    """
    from scipy import ndimage

    turned = ndimage.rotate(
        image.astype(np.float64), severity * _sign(rng), reshape=False, order=1, mode="nearest"
    )
    return _rounded(turned)


PERTURBATIONS: Mapping[str, Perturbation] = {
    "noise": Perturbation(noise, (4.0, 8.0, 16.0), "standard deviation, grey levels"),
    "blur": Perturbation(blur, (0.01, 0.02, 0.04), "standard deviation, share of the side"),
    "brightness": Perturbation(brightness, (10.0, 20.0, 40.0), "± grey levels"),
    "contrast": Perturbation(contrast, (0.1, 0.2, 0.4), "± share"),
    "jpeg": Perturbation(jpeg, (80.0, 50.0, 20.0), "quality"),
    "rotation": Perturbation(rotation, (2.0, 5.0, 10.0), "± degrees"),
}
"""Name to perturbation, severities from mild to strong."""


def perturbed(
    images: Pixels, rows: NDArray[np.int64], name: str, severity: float, seed: int
) -> Pixels:
    """Images (n, H, W, C) of these rows of the store, perturbed; the same rows give the same pixels
    in any batch.
    """
    apply = PERTURBATIONS[name].apply
    generators = (np.random.default_rng([seed, crc32(name.encode()), int(row)]) for row in rows)
    changed = [apply(image, severity, rng) for image, rng in zip(images, generators, strict=True)]
    return np.stack(changed) if changed else images


Arrays = Mapping[str, NDArray[Any]]


def variants() -> Iterator[tuple[str, float]]:
    """Every perturbation with each of its severities, in order."""
    return (
        (name, severity) for name, kind in PERTURBATIONS.items() for severity in kind.severities
    )


def robustness_sample(splits: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """At most `count` test images, drawn at random and without their labels, in the order of
    `splits`; volumes stay whole.

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
    n_resamples: int = 1000,
    seed: int = 0,
    aggregate: str = MEAN,
) -> dict[str, Any]:
    """AUROC and flipped decisions under each perturbation, against the same images as they are.

    Args:
        arrays: image_id (n,), scores (variants, n) in the order of `variants()`, and `reason`: why
            nothing was scored, or empty.
        scores: image_id and score of the unperturbed images.
        splits: with the test labels.
        threshold: the frozen one of the detector's row.
        n_resamples: resamples of patients.
        seed: of the resamples.
        aggregate: how volumes are scored, as the row of the detector says.

    Returns:
        {"sentence", "sample": counts, "threshold", "clean": estimate, "perturbations": {name:
        {"unit", "severities": {text: {"severity", "auroc", "change", "flipped": estimate,
        "n_to_anomalous", "n_to_normal"}}}}}, from mild to strong; nothing but the sentence and why
        where nothing was scored.
    """
    reason = str(arrays["reason"])
    if reason:
        return {"sentence": f"Not run: {reason}.", "reason": reason, "perturbations": {}}
    chosen = splits[splits["image_id"].astype(str).isin(arrays["image_id"])]
    clean = joined(scores, chosen, "test", aggregate)
    tables = {
        variant: joined(
            pd.DataFrame({"image_id": arrays["image_id"], "score": values}),
            chosen,
            "test",
            aggregate,
        )
        for variant, values in zip(variants(), arrays["scores"], strict=True)
    }
    labels, patients = clean["label"].to_numpy(), clean["group_id"].to_numpy()
    own = interval(
        ranking_metrics(labels, clean["score"].to_numpy())["auroc"], patients, n_resamples, seed
    )
    areas = {"clean": clean, **{_key(variant): table for variant, table in tables.items()}}
    metrics = {
        name: ranking_metrics(labels, table["score"].to_numpy())["auroc"]
        for name, table in areas.items()
    }
    draws = resampled(metrics, patients, n_resamples, seed) if own.value is not None else {}
    found = estimates(metrics, patients, n_resamples, seed)
    told: dict[str, dict[str, Any]] = {
        name: {"unit": kind.unit, "severities": {}} for name, kind in PERTURBATIONS.items()
    }
    for variant, table in tables.items():
        key = _key(variant)
        change = (
            difference(draws[key], draws["clean"]) if draws else Estimate(None, reason=own.reason)
        )
        told[variant[0]]["severities"][f"{variant[1]:g}"] = {
            "severity": variant[1],
            "auroc": found[key].as_dict(),
            "change": change.as_dict(),
            **_flips(clean, table, threshold, n_resamples, seed),
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


def _flips(
    clean: pd.DataFrame, changed: pd.DataFrame, threshold: float, n_resamples: int, seed: int
) -> dict[str, Any]:
    before, after = (table["score"].to_numpy() >= threshold for table in (clean, changed))
    everything = np.ones(len(clean), dtype=bool)
    share = interval(
        Metric(partial(_share, before != after), [everything]),
        clean["group_id"].to_numpy(),
        n_resamples,
        seed,
    )
    return {
        "flipped": share.as_dict(),
        "n_to_anomalous": int((after & ~before).sum()),
        "n_to_normal": int((before & ~after).sum()),
    }


def _share(flipped: NDArray[np.bool_], weights: Floats) -> Floats:
    share: Floats = weights @ flipped.astype(np.float64) / weights.sum(1)
    return share


def _sentence(told: Mapping[str, Mapping[str, Any]], own: Estimate) -> str:
    """The worst that happened."""
    if own.value is None:
        return f"AUROC under perturbation cannot be had: {own.reason}."
    steps = [
        (f"{name} {step['severity']:g} ({kind['unit']})", step)
        for name, kind in told.items()
        for step in kind["severities"].values()
    ]
    name, worst = min(steps, key=lambda step: step[1]["change"]["value"])
    flipping, most = max(steps, key=lambda step: step[1]["flipped"]["value"])
    flips = f"most decisions flip under {flipping}: {most['flipped']['value']:.0%}."
    if worst["change"]["value"] >= 0:
        return f"AUROC ({own.value:.3f}) falls under no perturbation; {flips}"
    chance = (
        "" if (worst["change"].get("high") or 0.0) < 0.0 else ", not shown to be more than chance"
    )
    return f"AUROC falls most under {name}, by {-worst['change']['value']:.3f} from {own.value:.3f}{chance}; {flips}"
