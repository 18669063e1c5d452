"""Measure synthetic images, each metric beside that of real images against real images under the
same protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medgan.errors import UserError
from medgan.evaluation.metrics import FEATURES, PAIRED
from medgan.evaluation.results import SynthesisResult
from medgan.metrics.features import FeatureSets
from medgan.metrics.lpips import Unavailable
from medgan.metrics.pairs import PAIRINGS, PairMetric, paired_quality
from medgan.metrics.precision_recall import PUBLISHED, Neighbours
from medgan.metrics.quality import QualityMetric

Quality = dict[str, QualityMetric]
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
        groups = None if self.groups is None else self.groups[chosen]
        return LabelledFeatures(self.features[chosen], self.labels[chosen], groups)


@dataclass(frozen=True)
class DescribedImages:
    """The features of everything that is compared; each image passes the network once."""

    synthetic: LabelledFeatures
    real: LabelledFeatures
    training: LabelledFeatures | None = None

    def of(self, classes: Sequence[int]) -> FeatureSets:
        """What the metrics of these classes rest on."""
        real = self.real.of(classes)
        training = None if self.training is None else self.training.of(classes).features
        synthetic = self.synthetic.of(classes).features
        return FeatureSets(synthetic, real.features, real.groups, training)


@dataclass(frozen=True)
class Networks:
    """The networks that compare images; an unavailable one says why."""

    lpips: PairMetric | Unavailable
    """From `medgan.metrics.lpips.load_lpips`."""
    features: Features | Unavailable
    """Of the domain network, in eval mode."""


@dataclass(frozen=True)
class QualitySettings:
    """How images are compared."""

    seed: int = 0
    """Of the pairs, the halves and the draws."""
    max_images: int = 200
    """Images of each class that paired metrics use (the first ones); the others use all."""
    neighbours: Neighbours = PUBLISHED


def quality_by_class(
    synthetic: LabelledImages,
    real: LabelledImages,
    classes: Sequence[str],
    networks: Networks,
    settings: QualitySettings,
    training: LabelledFeatures | None = None,
) -> SynthesisResult:
    """Measure the quality of each class that was drawn, and of all of them.

    Paired metrics of all classes are the mean over all synthetic images, each paired within its
    class; the others are those of all images of the classes that were drawn.

    Args:
        synthetic: what was drawn.
        real: images that no generator has learned from; halves of them that are compared share no
            patient.
        classes: names of the labels.
        networks: the networks that compare.
        settings: how.
        training: domain features of the generators' training images, to look for copies.
    """
    drawn = [
        label for label in range(len(classes)) if (np.asarray(synthetic.labels) == label).any()
    ]
    described = _described(synthetic, real, training, networks.features)
    paired = {
        label: _paired_metrics(synthetic.of(label), real.of(label), networks.lpips, settings)
        for label in drawn
    }
    domain = {label: _feature_metrics(described, [label], settings) for label in drawn}
    keys = next(iter(paired.values()), {})
    pooled = {key: _pooled([found[key] for found in paired.values()]) for key in keys}
    together = next(iter(domain.values()), {})
    if len(drawn) > 1:
        together = _feature_metrics(described, drawn, settings)
    return SynthesisResult(
        {**pooled, **together},
        {classes[label]: {**paired[label], **domain[label]} for label in drawn},
    )


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


def _feature_metrics(
    described: DescribedImages | Unavailable, classes: Sequence[int], settings: QualitySettings
) -> Quality:
    """The metrics of sets of features, or why there are none."""
    found: Quality = {}
    for metric in FEATURES:
        if metric.key in found:
            continue
        try:
            if isinstance(described, Unavailable):
                raise UserError(described.reason)
            sets = described.of(classes)
            found |= metric.statistic(sets, settings.seed, settings.neighbours)
        except UserError as error:
            found[metric.key] = QualityMetric(value=None, reason=str(error))
    return {metric.key: found[metric.key] for metric in FEATURES}


def _paired_metrics(
    synthetic: Tensor, real: Tensor, lpips: PairMetric | Unavailable, settings: QualitySettings
) -> Quality:
    limit, found = settings.max_images, Quality()
    for declared in PAIRED:
        metric = declared.statistic(lpips)
        for pairing in PAIRINGS:
            found[f"{metric.name}_{pairing}"] = _paired(
                synthetic[:limit], real[:limit], metric, pairing, settings.seed
            )
    return found


def _paired(
    synthetic: Tensor, real: Tensor, metric: PairMetric | Unavailable, pairing: str, seed: int
) -> QualityMetric:
    if isinstance(metric, Unavailable):
        return QualityMetric(value=None, reason=metric.reason)
    rngs = [torch.Generator().manual_seed(seed) for _ in range(2)]
    try:
        values = paired_quality(synthetic, real, metric, pairing, rngs[0])
        compared = paired_quality(real, real, metric, pairing, rngs[1], same_set=True)
    except UserError as error:
        return QualityMetric(value=None, reason=str(error))
    return QualityMetric(
        value=float(values.mean()),
        std=float(values.std(unbiased=False)),
        n=len(values),
        n_real=len(real),
        real_vs_real=float(compared.mean()),
        n_real_vs_real=len(compared),
    )


def _pooled(parts: Sequence[QualityMetric]) -> QualityMetric:
    """The mean over the images of several classes."""
    missing = [part for part in parts if part.value is None]
    if missing:
        return missing[0]
    counts, values, spreads, compared = (
        np.array([getattr(part, name) for part in parts])
        for name in ("n", "value", "std", "real_vs_real")
    )
    mean = float(np.average(values, weights=counts))
    return QualityMetric(
        value=mean,
        std=float(np.sqrt(np.average(spreads**2 + (values - mean) ** 2, weights=counts))),
        n=int(counts.sum()),
        n_real=sum(part.n_real or 0 for part in parts),
        real_vs_real=float(np.average(compared, weights=counts)),
        n_real_vs_real=sum(part.n_real_vs_real or 0 for part in parts),
    )
