"""What is computed of real images alone: their features in each space, and how alike they are.

All generators of a data set are compared with the same real images, so this is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medgan.errors import UserError
from medgan.evaluation.metrics import DIVERSITY
from medgan.evaluation.spaces import Features, FeatureSpace
from medgan.metrics.diversity import similarities
from medgan.metrics.lpips import Unavailable
from medgan.metrics.pairs import METRICS, PAIRINGS, PairMetric, paired_quality
from medgan.metrics.precision_recall import PUBLISHED, Neighbours
from medgan.progress import progress_bar

FEATURES_AT_ONCE = 64
BAR_AFTER = 10.0
"""Seconds until the progress is shown."""
Arrays = Mapping[str, NDArray[Any]]
Remember = Callable[[str, list[Any], Callable[[], Arrays]], Arrays]
"""Name of a part, what decides it, and how it is made, to the part: made now, or before."""


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, C, H, W) in [-1, 1], the class number of each (N,), and the patient of each (N,)
    where patients are known.
    """

    images: Tensor
    labels: NDArray[Any]
    groups: NDArray[Any] | None = None
    patients_known: bool = True
    """Whether groups are patients; else they keep copies of one image together."""

    def of(self, label: int) -> LabelledImages:
        """Those of a class."""
        chosen = np.flatnonzero(self.labels == label)
        groups = None if self.groups is None else self.groups[chosen]
        images = self.images[torch.from_numpy(chosen)]
        return replace(self, images=images, labels=self.labels[chosen], groups=groups)


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
class Networks:
    """The networks that compare images; an unavailable one says why."""

    lpips: PairMetric | Unavailable
    """From `medgan.metrics.lpips.load_lpips`."""
    spaces: Sequence[FeatureSpace]
    """Networks in eval mode."""


@dataclass(frozen=True)
class QualitySettings:
    """How images are compared."""

    seed: int = 0
    """Of the pairs, the halves and the draws."""
    max_images: int = 200
    """Images of each class that paired metrics use (the first ones); the others use all."""
    neighbours: Neighbours = PUBLISHED


@dataclass(frozen=True)
class RealReference:
    """Real images, and what is computed of them alone."""

    images: LabelledImages
    """That no generator has learned from."""
    features: Mapping[str, LabelledFeatures]
    """By the key of a space that is available."""
    pairs: Mapping[str, NDArray[Any]]
    """`<label>.<metric>` to its values of pairs of real images."""
    training: LabelledFeatures | None = None
    """Domain features of the images that the generators have learned from."""


def _new(name: str, decided_by: list[Any], make: Callable[[], Arrays]) -> Arrays:
    return make()


def describe_real(
    real: LabelledImages,
    networks: Networks,
    settings: QualitySettings,
    training: LabelledFeatures | None = None,
    remember: Remember = _new,
) -> RealReference:
    """Compute the features of real images that no generator has learned from, and their similarity
    to each other. `training` are domain features of the training images; `remember` keeps parts of
    earlier runs.
    """
    features = {
        space.key: LabelledFeatures(
            remember(space.key, [space.identity], partial_features(space, real.images))["features"],
            real.labels,
            real.groups,
        )
        for space in networks.spaces
        if not isinstance(space.features, Unavailable)
    }
    decided_by = [settings.seed, settings.max_images, networks.lpips.name]
    pairs = remember("pairs", decided_by, lambda: _pairs_of(real, networks.lpips, settings))
    return RealReference(real, features, pairs, training)


def partial_features(space: FeatureSpace, images: Tensor) -> Callable[[], Arrays]:
    """Return a function that computes the features of images in an available space."""
    network: Any = space.features
    return lambda: {"features": features_in(network, images)}


@torch.inference_mode()
def features_in(features: Features, images: Tensor) -> NDArray[np.float32]:
    """Compute features (N, D) of images (N, C, H, W), in batches; a bar shows what takes long."""
    batches = []
    with progress_bar("features", "image", len(images), delay=BAR_AFTER) as bar:
        for batch in torch.split(images, FEATURES_AT_ONCE) if len(images) else ():
            batches.append(features(batch).float().cpu().numpy())
            bar.update(len(batch))
    return np.concatenate(batches) if batches else np.zeros((0, 1), np.float32)


def measures_of_pairs(
    images: Tensor,
    real: Tensor,
    lpips: PairMetric | Unavailable,
    seed: int,
    *,
    same_set: bool = False,
) -> dict[str, Callable[[], Tensor]]:
    """Return what computes each metric of images with real ones: `<metric>_<pairing>` to a function
    that returns (N,), or raises `UserError` where there are no pairs or no LPIPS.
    """

    def measure(metric: PairMetric | Unavailable, pairing: str) -> Tensor:
        if isinstance(metric, Unavailable):
            raise UserError(metric.reason)
        rng = torch.Generator().manual_seed(seed)
        return paired_quality(images, real, metric, pairing, rng, same_set=same_set)

    return {
        f"{metric.name}_{pairing}": partial(measure, metric, pairing)
        for metric in (*METRICS, lpips)
        for pairing in PAIRINGS
    }


def _pairs_of(
    real: LabelledImages, lpips: PairMetric | Unavailable, settings: QualitySettings
) -> Arrays:
    found: dict[str, NDArray[Any]] = {}
    for label in np.unique(real.labels):
        ours = real.of(label)
        few = ours.images[: settings.max_images]
        measures = measures_of_pairs(few, few, lpips, settings.seed, same_set=True)
        measures[DIVERSITY.key] = partial(similarities, ours.images, ours.groups, settings.seed)
        for key, measure in measures.items():
            with suppress(UserError):
                found[f"{label}.{key}"] = measure().numpy()
    return found
