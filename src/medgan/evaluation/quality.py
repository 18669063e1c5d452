"""How good synthetic images are, each figure beside what real images reach against real images under the same protocol.

report = quality_by_class(synthetic, its_labels, real, its_labels, other, its_labels, classes, load_lpips(), network.features, seed)
report["overall"]["psnr_nearest"]   # {"value", "n", "real_vs_real"}, or {"value": None, "reason"}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medgan.contracts import Refusal
from medgan.metrics.frechet import domain_fid
from medgan.metrics.pairing import MS_GMSD, PAIRINGS, PSNR, PairMetric, paired_quality
from medgan.metrics.perceptual import Unavailable

Features = Callable[[Tensor], Tensor]
"""(N, C, H, W) to (N, D)."""
Figures = dict[str, dict[str, Any]]
FEATURES_AT_ONCE = 128
DOMAIN_BACKBONE = "classifier of the real training split"
LEAST_IMAGES = 2


@dataclass(frozen=True)
class ImageSets:
    """Synthetic images, and the real images of the same class that they are compared with: each (N, C, H, W) in [-1, 1].

    `real_other` are other real images, which take the place of the synthetic ones for the real-vs-real figures: from other patients, or the
    figure looks better than it is. Where there are none, `real` is compared with itself, no image with itself.
    """

    synthetic: Tensor
    real: Tensor
    real_other: Tensor | None = None


def quality_report(
    synthetic: Tensor,
    real: Tensor,
    real_other: Tensor | None,
    lpips: PairMetric | Unavailable,
    features: Features | Unavailable,
    seed: int,
    max_images: int = 200,
) -> Figures:
    """The quality of the images of one class.

    Args:
        synthetic: (N, C, H, W) in [-1, 1].
        real: see `ImageSets`.
        real_other: see `ImageSets`.
        lpips: what `metrics.perceptual.load_lpips` gives.
        features: of the domain network, in eval mode, or why there is none.
        seed: of the pairs and the halves.
        max_images: of these sets that paired figures use (the first ones); Fréchet distances use all.

    Returns:
        psnr_random, psnr_nearest, ms_gmsd_*, lpips_<backbone>_*, fid_domain: each {"value", "n", "real_vs_real"}, the paired ones with the
        mean over pairs and `std`, or {"value": None, "reason"}.
    """
    sets = ImageSets(synthetic, real, real_other)
    return {**_paired_figures(sets, lpips, seed, max_images), "fid_domain": _domain(sets, features, seed)}


def quality_by_class(
    synthetic: Tensor,
    synthetic_labels: NDArray[Any],
    real: Tensor,
    real_labels: NDArray[Any],
    real_other: Tensor | None,
    other_labels: NDArray[Any] | None,
    classes: Sequence[str],
    lpips: PairMetric | Unavailable,
    features: Features | Unavailable,
    seed: int,
    max_images: int = 200,
) -> dict[str, Figures]:
    """`quality_report` for each class that was drawn, and `overall`.

    Overall, paired figures are the mean over all synthetic images, each paired within its class; the Fréchet distance is that of all images
    of these classes.
    """
    drawn = [label for label in range(len(classes)) if (np.asarray(synthetic_labels) == label).any()]

    def chosen(labels: Sequence[int]) -> ImageSets:
        others = None if real_other is None or other_labels is None else real_other[_among(other_labels, labels)]
        return ImageSets(synthetic[_among(synthetic_labels, labels)], real[_among(real_labels, labels)], others)

    parts = [chosen([label]) for label in drawn]
    rows = {
        classes[label]: quality_report(*_unpacked(part), lpips, features, seed, max_images)
        for label, part in zip(drawn, parts, strict=True)
    }
    paired = [key for key in next(iter(rows.values()), {}) if key != "fid_domain"]
    pooled = {key: _pooled([row[key] for row in rows.values()]) for key in paired}
    return {"overall": {**pooled, "fid_domain": _domain(chosen(drawn), features, seed)}, **rows}


def _unpacked(sets: ImageSets) -> tuple[Tensor, Tensor, Tensor | None]:
    return sets.synthetic, sets.real, sets.real_other


def _among(labels: NDArray[Any], wanted: Sequence[int]) -> Tensor:
    return torch.from_numpy(np.flatnonzero(np.isin(labels, list(wanted))))


def _paired_figures(sets: ImageSets, lpips: PairMetric | Unavailable, seed: int, max_images: int) -> Figures:
    figures: Figures = {}
    for metric in (PSNR, MS_GMSD, lpips):
        for pairing in PAIRINGS:
            figures[f"{metric.name}_{pairing}"] = _paired(sets, metric, pairing, seed, max_images)
    return figures


def _paired(sets: ImageSets, metric: PairMetric | Unavailable, pairing: str, seed: int, max_images: int) -> dict[str, Any]:
    if isinstance(metric, Unavailable):
        return _missing(metric.reason)
    synthetic, real = sets.synthetic[:max_images], sets.real[:max_images]
    others, same_set = (real, True) if sets.real_other is None else (sets.real_other[:max_images], False)
    try:
        values = paired_quality(synthetic, real, metric, pairing, torch.Generator().manual_seed(seed))
        compared = paired_quality(others, real, metric, pairing, torch.Generator().manual_seed(seed), same_set=same_set)
    except Refusal as refusal:
        return _missing(str(refusal))
    return {
        "value": float(values.mean()),
        "std": float(values.std(unbiased=False)),
        "n": len(values),
        "n_real": len(real),
        "real_vs_real": float(compared.mean()),
        "n_real_vs_real": len(compared),
    }


def _domain(sets: ImageSets, features: Features | Unavailable, seed: int) -> dict[str, Any]:
    if isinstance(features, Unavailable):
        return _missing(features.reason)
    try:
        others = None if sets.real_other is None else _features(features, sets.real_other)
        found = domain_fid(_features(features, sets.real), _features(features, sets.synthetic), others, DOMAIN_BACKBONE, seed)
    except Refusal as refusal:
        return _missing(str(refusal))
    return {**found, "n": found["n_fake"], "real_vs_real": found["floor"]}


@torch.inference_mode()
def _features(features: Features, images: Tensor) -> NDArray[np.float32]:
    if len(images) < LEAST_IMAGES:
        raise Refusal(f"A Fréchet distance needs at least {LEAST_IMAGES} images on each side, there are {len(images)}: draw more images.")
    return np.concatenate([features(batch).float().cpu().numpy() for batch in torch.split(images, FEATURES_AT_ONCE)])


def _pooled(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean over the images of several classes."""
    missing = [figure["reason"] for figure in figures if figure["value"] is None]
    if missing:
        return _missing(missing[0])
    counts = np.array([figure["n"] for figure in figures])
    others = np.array([figure["n_real_vs_real"] for figure in figures])
    mean = float(np.average([figure["value"] for figure in figures], weights=counts))
    spread = [figure["std"] ** 2 + (figure["value"] - mean) ** 2 for figure in figures]
    return {
        "value": mean,
        "std": float(np.sqrt(np.average(spread, weights=counts))),
        "n": int(counts.sum()),
        "n_real": int(sum(figure["n_real"] for figure in figures)),
        "real_vs_real": float(np.average([figure["real_vs_real"] for figure in figures], weights=counts)),
        "n_real_vs_real": int(others.sum()),
    }


def _missing(reason: str) -> dict[str, Any]:
    return {"value": None, "reason": reason}
