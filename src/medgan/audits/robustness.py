"""Robustness of a detector: the same test images under noise, blur, exposure, JPEG and rotation."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from medgan.audits.results import PerturbationResult, RobustnessResult, Severity
from medgan.audits.scored import ScoredDetector, tested
from medgan.evaluation.volumes import units_of
from medgan.stats.bootstrap import Estimate, estimate, interval, mean_over, resampled
from medgan.stats.classification import area_of
from medgan.stats.differences import Difference, difference

Variant = tuple[str, float]
"""A perturbation and its severity."""
CLEAN: Variant = ("clean", 0.0)
Arrays = Mapping[str, NDArray[Any]]
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
    """Add Gaussian noise; `severity` is its standard deviation in gray levels of 255."""
    return _rounded(image + rng.normal(0.0, severity, image.shape))


def blur(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Blur with a Gaussian; `severity` is its standard deviation as a share of the longer side."""
    from scipy import ndimage

    width = severity * max(image.shape[:2])
    values = image.astype(np.float64)
    return _rounded(ndimage.gaussian_filter(values, (width, width, 0.0), mode="nearest"))


def brightness(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Add `severity` gray levels to half of the images and subtract them from the others.

    Values outside of 0 to 255 are clipped.
    """
    return _rounded(image + severity * _sign(rng))


def contrast(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Stretch half of the images about their mean by the share `severity`, shrink the others."""
    mean = image.mean()
    return _rounded((image - mean) * (1.0 + severity * _sign(rng)) + mean)


def jpeg(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Save as JPEG of quality `severity`, and read again."""
    buffer = io.BytesIO()
    pixels = image[:, :, 0] if image.shape[2] == 1 else image
    Image.fromarray(pixels).save(buffer, "JPEG", quality=int(severity))
    return np.asarray(Image.open(buffer)).reshape(image.shape)


def rotation(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Rotate by `severity` degrees, half of the images to either side; corners repeat the edge."""
    from scipy import ndimage

    angle, values = severity * _sign(rng), image.astype(np.float64)
    return _rounded(ndimage.rotate(values, angle, reshape=False, order=1, mode="nearest"))


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
    """Perturb the images (n, H, W, C) of these rows of the store.

    The same rows give the same pixels in any batch.
    """
    apply = PERTURBATIONS[name].apply
    generators = (np.random.default_rng([seed, crc32(name.encode()), int(row)]) for row in rows)
    changed = [apply(image, severity, rng) for image, rng in zip(images, generators, strict=True)]
    return np.stack(changed) if changed else images


def variants() -> Iterator[Variant]:
    """Every perturbation with each of its severities, in order."""
    for name, kind in PERTURBATIONS.items():
        yield from ((name, severity) for severity in kind.severities)


def robustness_sample(splits: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Draw at most `count` test images at random, without their labels; volumes stay whole.

    The draw depends on the seed and the names of the images, not on their order. The result is in
    the order of `splits`.
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
    detector: ScoredDetector,
    splits: pd.DataFrame,
    n_resamples: int = 1000,
    seed: int = 0,
) -> RobustnessResult:
    """Compute AUROC and flipped decisions under each perturbation, against the same clean images.

    `arrays` are image_id (n,), scores (variants, n) in the order of `variants()`, and `reason`: why
    nothing was scored, or empty.
    """
    reason = str(arrays["reason"])
    if reason:
        return RobustnessResult(f"Not run: {reason}.", {}, reason=reason)
    measured = _Measured.of(arrays, detector, splits)
    areas, changes = measured.aurocs(n_resamples, seed)
    perturbations: dict[str, PerturbationResult] = {}
    for name, kind in PERTURBATIONS.items():
        steps = {}
        for severity in kind.severities:
            variant = (name, severity)
            flips = measured.flips(variant, n_resamples, seed)
            steps[f"{severity:g}"] = Severity(severity, areas[variant], changes[variant], *flips)
        perturbations[name] = PerturbationResult(kind.unit, steps)
    clean, sample = areas[CLEAN], tested(measured.tables[CLEAN])
    sentence = _sentence(perturbations, clean)
    return RobustnessResult(sentence, perturbations, sample, detector.threshold, clean)


@dataclass(frozen=True)
class _Measured:
    """The same test images or volumes, clean and under each perturbation."""

    tables: Mapping[Variant, pd.DataFrame]
    threshold: float

    @classmethod
    def of(cls, arrays: Arrays, detector: ScoredDetector, splits: pd.DataFrame) -> _Measured:
        """The images of the arrays."""
        chosen = splits[splits["image_id"].astype(str).isin(arrays["image_id"])]
        tables = {CLEAN: detector.test(chosen)}
        for variant, scores in zip(variants(), arrays["scores"], strict=True):
            table = pd.DataFrame({"image_id": arrays["image_id"], "score": scores})
            tables[variant] = replace(detector, scores=table).test(chosen)
        return cls(tables, detector.threshold)

    @property
    def patients(self) -> NDArray[Any]:
        """The patient of each image (n,)."""
        return self.tables[CLEAN]["group_id"].to_numpy()

    def aurocs(
        self, n_resamples: int, seed: int
    ) -> tuple[dict[Variant, Estimate], dict[Variant, Difference]]:
        """The AUROC of each table, and its change from that of the clean images."""
        metrics = {
            variant: area_of(table["label"].to_numpy(), table["score"].to_numpy())
            for variant, table in self.tables.items()
        }
        found = resampled(metrics, self.patients, n_resamples, seed)
        areas = {variant: estimate(metrics[variant], one) for variant, one in found.items()}
        return areas, {variant: difference(one, found[CLEAN]) for variant, one in found.items()}

    def flips(self, variant: Variant, n_resamples: int, seed: int) -> tuple[Estimate, int, int]:
        """The share of decisions that flip, and how many become anomalous and normal."""
        tables = (self.tables[CLEAN], self.tables[variant])
        before, after = (table["score"].to_numpy() >= self.threshold for table in tables)
        flipped = interval(mean_over(before != after), self.patients, n_resamples, seed)
        return flipped, int((after & ~before).sum()), int((before & ~after).sum())


def _sentence(perturbations: Mapping[str, PerturbationResult], clean: Estimate) -> str:
    """Summarize the worst case for a reader."""
    if clean.value is None:
        return f"AUROC under perturbation is missing: {clean.reason}."
    steps = [
        (f"{name} {step.severity:g} ({kind.unit})", step.change, step.flipped.value or 0.0)
        for name, kind in perturbations.items()
        for step in kind.severities.values()
    ]
    name, worst, _ = min(steps, key=lambda step: step[1].value or 0.0)
    flipping, _, most = max(steps, key=lambda step: step[2])
    flips = f"most decisions flip under {flipping}: {most:.0%}."
    fall = -(worst.value or 0.0)
    if fall <= 0:
        return f"AUROC ({clean.value:.3f}) falls under no perturbation; {flips}"
    shown = worst.high is not None and worst.high < 0
    chance = "" if shown else ", not shown to be more than chance"
    return f"AUROC falls most under {name}, by {fall:.3f} from {clean.value:.3f}{chance}; {flips}"
