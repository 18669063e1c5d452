"""How good synthetic images are, each figure beside what real images reach against real images
under the same protocol.

synthetic, real = LabelledImages(drawn, labels), LabelledImages(held_out, labels, patients)
report = quality_by_class(synthetic, real, classes, load_lpips(), network.features, seed)
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

from medgan.errors import UserError
from medgan.metrics.features import FeatureSets
from medgan.metrics.fid import domain_fid
from medgan.metrics.kid import domain_kid
from medgan.metrics.lpips import Unavailable
from medgan.metrics.memorisation import copied_share
from medgan.metrics.pairs import MS_GMSD, PAIRINGS, PSNR, PairMetric, paired_quality
from medgan.metrics.precision_recall import PUBLISHED, Neighbours, domain_overlap

Figures = dict[str, dict[str, Any]]
BACKBONE = "classifier of the real training split"
SUFFIX = "_domain"


@dataclass(frozen=True)
class LabelledFeatures:
    """Features (n, D), the class number of each (n,), and the patient of each (n,) where it
    matters.
    """

    features: NDArray[Any]
    labels: NDArray[Any]
    groups: NDArray[Any] | None = None

    def of(self, classes: Sequence[int]) -> LabelledFeatures:
        """Those of these classes."""
        chosen = np.isin(self.labels, list(classes))
        return LabelledFeatures(
            self.features[chosen],
            self.labels[chosen],
            None if self.groups is None else self.groups[chosen],
        )


@dataclass(frozen=True)
class DescribedImages:
    """The features of everything that is compared; each image passes the network once."""

    synthetic: LabelledFeatures
    real: LabelledFeatures
    training: LabelledFeatures | None = None

    def of(self, classes: Sequence[int]) -> FeatureSets:
        """What the figures of these classes rest on."""
        real = self.real.of(classes)
        training = None if self.training is None else self.training.of(classes).features
        return FeatureSets(
            self.synthetic.of(classes).features, real.features, real.groups, training
        )


def domain_figures(
    sets: FeatureSets | Unavailable, seed: int, neighbours: Neighbours = PUBLISHED
) -> Figures:
    """fid_domain, kid_domain, precision_domain, recall_domain, density_domain, coverage_domain,
    copied_share_domain.

    Args:
        sets: features of the images of one class or of several, or why there are none.
        seed: of halves and draws.
        neighbours: k of precision and recall, and of density and coverage.

    Returns:
        Each figure with its `real_vs_real`, or {"value": None, "reason"}.
    """
    figures: Figures = {}
    for names, measure in _MEASURES.items():
        figures |= {
            f"{name}{SUFFIX}": figure
            for name, figure in _measured(names, measure, sets, seed, neighbours).items()
        }
    return figures


Measure = Callable[[FeatureSets, int, Neighbours], Mapping[str, dict[str, Any]]]


def _measured(
    names: Sequence[str],
    measure: Measure,
    sets: FeatureSets | Unavailable,
    seed: int,
    neighbours: Neighbours,
) -> Mapping[str, dict[str, Any]]:
    try:
        if isinstance(sets, Unavailable):
            raise UserError(sets.reason)
        return measure(sets, seed, neighbours)
    except UserError as refusal:
        return {name: {"value": None, "reason": str(refusal)} for name in names}


def _fid(sets: FeatureSets, seed: int, _: Neighbours) -> dict[str, dict[str, Any]]:
    found = domain_fid(sets, BACKBONE, seed)
    return {"fid": {**found, "n": found["n_fake"], "real_vs_real": found["floor"]}}


_MEASURES: Mapping[tuple[str, ...], Measure] = {
    ("fid",): _fid,
    ("kid",): lambda sets, seed, _: {"kid": domain_kid(sets, BACKBONE, seed)},
    ("precision", "recall", "density", "coverage"): lambda sets, seed, neighbours: domain_overlap(
        sets, BACKBONE, seed, neighbours
    ),
    ("copied_share",): lambda sets, seed, _: {"copied_share": copied_share(sets, BACKBONE, seed)},
}


Features = Callable[[Tensor], Tensor]
"""(N, C, H, W) to (N, D)."""
FEATURES_AT_ONCE = 128


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, C, H, W) in [-1, 1], the class number of each (N,), and the patient of each (N,)
    where patients are known.
    """

    images: Tensor
    labels: NDArray[Any]
    groups: NDArray[Any] | None = None

    def of(self, label: int) -> Tensor:
        """The images of a class."""
        return self.images[torch.from_numpy(np.flatnonzero(self.labels == label))]


def quality_by_class(
    synthetic: LabelledImages,
    real: LabelledImages,
    classes: Sequence[str],
    lpips: PairMetric | Unavailable,
    features: Features | Unavailable,
    seed: int,
    max_images: int = 200,
    *,
    training: LabelledFeatures | None = None,
    neighbours: Neighbours = PUBLISHED,
) -> dict[str, Figures]:
    """The quality of each class that was drawn, and `overall`.

    Args:
        synthetic: what was drawn.
        real: images that no generator has learned from. With their patients, figures of the domain
            features hold halves of them against
            each other that share no patient; paired figures hold each image against all others.
        classes: names of the labels.
        lpips: what `metrics.perceptual.load_lpips` gives.
        features: of the domain network, in eval mode, or why there is none.
        seed: of the pairs, the halves and the draws.
        max_images: of each class that paired figures use (the first ones); the others use all.
        training: domain features of the images that the generators have learned from, to look for
            copies.
        neighbours: see `metrics.manifold`.

    Returns:
        For each class psnr_random, psnr_nearest, ms_gmsd_*, lpips_<backbone>_* and the figures of
        `domain_figures`: each {"value", "n", "real_vs_real"}, the paired ones with the mean over
        pairs and `std`, or {"value": None, "reason"}. Overall, paired figures are the mean over all
        synthetic images, each paired within its class; the others are those of all images of these
        classes.
    """
    drawn = [
        label for label in range(len(classes)) if (np.asarray(synthetic.labels) == label).any()
    ]
    paired = {
        classes[label]: _paired_figures(
            synthetic.of(label), real.of(label), lpips, seed, max_images
        )
        for label in drawn
    }
    described = _described(synthetic, real, training, features)

    def by_features(labels: Sequence[int]) -> Figures:
        return domain_figures(
            described if isinstance(described, Unavailable) else described.of(labels),
            seed,
            neighbours,
        )

    domain = {classes[label]: by_features([label]) for label in drawn}
    pooled = {
        key: _pooled([figures[key] for figures in paired.values()])
        for key in next(iter(paired.values()), {})
    }
    together = by_features(drawn) if len(drawn) > 1 else next(iter(domain.values()), {})
    return {
        "overall": {**pooled, **together},
        **{name: {**figures, **domain[name]} for name, figures in paired.items()},
    }


def _described(
    synthetic: LabelledImages,
    real: LabelledImages,
    training: LabelledFeatures | None,
    features: Features | Unavailable,
) -> DescribedImages | Unavailable:
    if isinstance(features, Unavailable):
        return features
    described = [
        LabelledFeatures(_features(features, part.images), part.labels, part.groups)
        for part in (synthetic, real)
    ]
    return DescribedImages(described[0], described[1], training)


@torch.inference_mode()
def _features(features: Features, images: Tensor) -> NDArray[np.float32]:
    batches = [
        features(batch).float().cpu().numpy()
        for batch in torch.split(images, FEATURES_AT_ONCE)
        if len(batch)
    ]
    return np.concatenate(batches) if batches else np.zeros((0, 1), np.float32)


def _paired_figures(
    synthetic: Tensor, real: Tensor, lpips: PairMetric | Unavailable, seed: int, max_images: int
) -> Figures:
    figures: Figures = {}
    for metric in (PSNR, MS_GMSD, lpips):
        for pairing in PAIRINGS:
            figures[f"{metric.name}_{pairing}"] = _paired(
                synthetic[:max_images], real[:max_images], metric, pairing, seed
            )
    return figures


def _paired(
    synthetic: Tensor, real: Tensor, metric: PairMetric | Unavailable, pairing: str, seed: int
) -> dict[str, Any]:
    if isinstance(metric, Unavailable):
        return _missing(metric.reason)
    try:
        values = paired_quality(
            synthetic, real, metric, pairing, torch.Generator().manual_seed(seed)
        )
        compared = paired_quality(
            real, real, metric, pairing, torch.Generator().manual_seed(seed), same_set=True
        )
    except UserError as refusal:
        return _missing(str(refusal))
    return {
        "value": float(values.mean()),
        "std": float(values.std(unbiased=False)),
        "n": len(values),
        "n_real": len(real),
        "real_vs_real": float(compared.mean()),
        "n_real_vs_real": len(compared),
    }


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
        "real_vs_real": float(
            np.average([figure["real_vs_real"] for figure in figures], weights=counts)
        ),
        "n_real_vs_real": int(others.sum()),
    }


def _missing(reason: str) -> dict[str, Any]:
    return {"value": None, "reason": reason}
