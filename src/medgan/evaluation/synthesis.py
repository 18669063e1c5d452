"""Measure synthetic images, each metric beside that of real images against real images under the
same protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medgan.errors import UserError
from medgan.evaluation.metrics import COPIES, DIVERSITY, FEATURES, Metric, QualityMeasure
from medgan.evaluation.real_images import (
    LabelledFeatures,
    LabelledImages,
    Networks,
    QualitySettings,
    RealReference,
    features_in,
    measures_of_pairs,
)
from medgan.evaluation.results import SynthesisResult
from medgan.evaluation.spaces import DOMAIN, FeatureSpace
from medgan.metrics.diversity import scales, similarities
from medgan.metrics.features import FeatureSets
from medgan.metrics.lpips import Unavailable
from medgan.metrics.pairs import PairMetric
from medgan.metrics.quality import QualityMetric

Quality = dict[str, QualityMetric]
STANDARD_ERRORS = 1.96
"""Half the width of a 95 % interval of a mean."""


def quality_by_class(
    synthetic: LabelledImages,
    real: RealReference,
    classes: Sequence[str],
    networks: Networks,
    settings: QualitySettings,
) -> SynthesisResult:
    """Measure the quality of each class that was drawn, and of all of them.

    Metrics of pairs of all classes are the mean over all synthetic images, each paired within its
    class; the others are those of all images of the classes that were drawn.

    Args:
        synthetic: what was drawn.
        real: the real images, as `describe_real` describes them with the same networks and
            settings; halves of them that are compared share no patient.
        classes: names of the labels.
        networks: the networks that compare.
        settings: how.
    """
    drawn = [label for label in range(len(classes)) if np.isin(label, synthetic.labels)]
    paired = {
        label: _pair_metrics(synthetic.of(label).images, real, label, networks.lpips, settings)
        for label in drawn
    }
    featured: dict[int, Quality] = {label: {} for label in drawn}
    together: Quality = {}
    for space in networks.spaces:
        described = _described(synthetic, space)
        for label in drawn:
            featured[label] |= _feature_metrics(described, real, space, [label], settings)
        if len(drawn) > 1:
            together |= _feature_metrics(described, real, space, drawn, settings)
    keys = next(iter(paired.values()), {})
    pooled = {key: _pooled([found[key] for found in paired.values()]) for key in keys}
    return SynthesisResult(
        {**pooled, **(together or next(iter(featured.values()), {}))},
        {classes[label]: {**paired[label], **featured[label]} for label in drawn},
    )


def _described(synthetic: LabelledImages, space: FeatureSpace) -> LabelledFeatures | Unavailable:
    """Each image passes the network once."""
    if isinstance(space.features, Unavailable):
        return space.features
    return LabelledFeatures(features_in(space.features, synthetic.images), synthetic.labels)


def _metrics_of(space: FeatureSpace) -> Sequence[Metric[QualityMeasure]]:
    """The metrics of a space; one whose weights are missing has a single row, which says why."""
    if space.key == DOMAIN:
        return (*FEATURES, COPIES)
    return FEATURES[:1] if isinstance(space.features, Unavailable) else FEATURES


def _feature_metrics(
    synthetic: LabelledFeatures | Unavailable,
    real: RealReference,
    space: FeatureSpace,
    classes: Sequence[int],
    settings: QualitySettings,
) -> Quality:
    """The metrics of sets of features, or why there are none."""
    found: Quality = {}
    for metric in _metrics_of(space):
        if metric.key in found:
            continue
        try:
            if isinstance(synthetic, Unavailable):
                raise UserError(synthetic.reason)
            sets = _sets(synthetic, real, space, classes)
            found |= metric.statistic(sets, space.backbone, settings.seed, settings.neighbours)
        except UserError as error:
            found[metric.key] = QualityMetric(value=None, reason=str(error))
    return {f"{metric.key}_{space.key}": found[metric.key] for metric in _metrics_of(space)}


def _sets(
    synthetic: LabelledFeatures, real: RealReference, space: FeatureSpace, classes: Sequence[int]
) -> FeatureSets:
    ours, known = real.features[space.key].of(classes), space.key == DOMAIN and real.training
    training = known.of(classes).features if known else None
    features = synthetic.of(classes).features
    known_patients = real.images.patients_known
    return FeatureSets(features, ours.features, ours.groups, training, known_patients)


def _pair_metrics(
    synthetic: Tensor,
    real: RealReference,
    label: int,
    lpips: PairMetric | Unavailable,
    settings: QualitySettings,
) -> Quality:
    """The metrics of pairs: with a real image each, and of synthetic images with each other."""
    limit, found = settings.max_images, Quality()
    ours, theirs = synthetic[:limit], real.images.of(label).images[:limit]
    for key, with_real in measures_of_pairs(ours, theirs, lpips, settings.seed).items():
        measured = _mean_beside(with_real, real.pairs.get(f"{label}.{key}"))
        found[key] = replace(measured, n_real=measured.n and len(theirs))
    among = partial(similarities, synthetic, None, settings.seed)
    key = DIVERSITY.key
    similar = _mean_beside(among, real.pairs.get(f"{label}.{key}"))
    fitting = f"MS-SSIM, {scales(min(synthetic.shape[-2:]))} of 5 scales"
    found[key] = similar if similar.value is None else replace(similar, backbone=fitting)
    return found


def _mean_beside(measure: Callable[[], Tensor], between_real: NDArray[Any] | None) -> QualityMetric:
    """The mean over independent pairs with its interval, beside that of pairs of real images."""
    try:
        values = measure()
        if between_real is None:
            raise UserError("Fewer than two held-out real images of this class can be compared.")
    except UserError as error:
        return QualityMetric(value=None, reason=str(error))
    mean, std, n = float(values.mean()), float(values.std(unbiased=False)), len(values)
    margin = STANDARD_ERRORS * std / np.sqrt(max(n - 1, 1))
    return QualityMetric(
        value=mean,
        std=std,
        low=max(0.0, float(mean - margin)),
        high=float(mean + margin),
        resampled="pairs",
        n=n,
        real_vs_real=float(between_real.mean()),
        n_real_vs_real=len(between_real),
    )


def _pooled(parts: Sequence[QualityMetric]) -> QualityMetric:
    """The mean over the pairs of several classes, which are independent."""
    missing = [part for part in parts if part.value is None]
    if missing or len(parts) == 1:
        return (missing or parts)[0]
    counts, values, spreads, compared, high = (
        np.array([getattr(part, name) for part in parts])
        for name in ("n", "value", "std", "real_vs_real", "high")
    )
    mean = float(np.average(values, weights=counts))
    margin = float(np.sqrt(np.square(counts / counts.sum() * (high - values)).sum()))
    return replace(
        parts[0],
        value=mean,
        std=float(np.sqrt(np.average(spreads**2 + (values - mean) ** 2, weights=counts))),
        low=max(0.0, mean - margin),
        high=mean + margin,
        n=int(counts.sum()),
        n_real=sum(part.n_real or 0 for part in parts) or None,
        real_vs_real=float(np.average(compared, weights=counts)),
        n_real_vs_real=sum(part.n_real_vs_real or 0 for part in parts),
    )
