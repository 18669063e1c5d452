"""Judging synthetic images: the networks, the real images that all generators share, the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import TrainingSet
from medgan.evaluation.embeddings import features_of
from medgan.evaluation.results import LeftOut, SynthesisResult
from medgan.evaluation.spaces import DOMAIN, FeatureSpace, load_space
from medgan.evaluation.usefulness import Classified, not_useful, usefulness
from medgan.images.labels import class_labels, one_finding
from medgan.images.loading import StoredImages
from medgan.images.splits import data_hash, training_rows
from medgan.images.store import ImageStore
from medgan.images.transforms import as_tensor, pad_square
from medgan.models import PublishedModel
from medgan.pipelines.cache import Earlier, reused
from medgan.pipelines.outputs import RealImages, Synthetic, Trained
from medgan.pipelines.synthesis.config import SynthesisConfig

if TYPE_CHECKING:
    from torch import Tensor

    from medgan.evaluation.real_images import (
        LabelledFeatures,
        LabelledImages,
        Networks,
        QualitySettings,
        RealReference,
    )
    from medgan.metrics.quality import QualityMetric

Arrays = Mapping[str, NDArray[Any]]
BACKBONE = "classifier of the real training split"
AT_ONCE = 250


@dataclass(frozen=True)
class Settings:
    """Settings that determine the synthetic images and their metrics."""

    config: SynthesisConfig
    seed: int
    lpips_weights: str | None = None

    @property
    def quality(self) -> QualitySettings:
        """How images are compared."""
        from medgan.evaluation.real_images import QualitySettings

        return QualitySettings(self.seed, self.config.paired_images, self.config.neighbours)


def describe_real_images(
    features: Trained | LeftOut,
    images: ImageStore,
    splits: pd.DataFrame,
    settings: Settings,
    earlier: Earlier,
) -> RealImages:
    """Compute what all generators are compared with, once.

    Each part is kept with a hash of what decides it: the images and their splits, the weights of
    its network, and the settings. What an earlier run has left is reused.
    """
    network = features if isinstance(features, LeftOut) else features.model
    old: RealImages | None = earlier("real_images")
    kept: dict[str, NDArray[Any]] = {}
    networks = networks_of(network, images, settings)
    reference(images, splits, network, networks, settings, old.statistics if old else None, kept)
    return RealImages(kept)


def assess(
    synthetic: Arrays,
    images: ImageStore,
    splits: pd.DataFrame,
    features: PublishedModel | LeftOut,
    settings: Settings,
    real: RealImages | None = None,
) -> SynthesisResult:
    """Compare synthetic images of each class with held-out real ones (validation and test).

    Neither the generator nor the feature network has seen these, so copying training images earns
    nothing. Training images serve the search for copies alone.
    """
    from medgan.evaluation.real_images import LabelledImages
    from medgan.evaluation.synthesis import quality_by_class

    networks = networks_of(features, images, settings)
    described = reference(
        images, splits, features, networks, settings, real.statistics if real else None
    )
    drawn = LabelledImages(
        pad_square(as_tensor(synthetic["images"]), images.spec.size), synthetic["labels"]
    )
    return quality_by_class(drawn, described, images.spec.classes, networks, settings.quality)


def networks_of(
    features: PublishedModel | LeftOut, images: ImageStore, settings: Settings
) -> Networks:
    """Load the networks that compare images; an unavailable one says why."""
    from medgan.evaluation.real_images import Networks
    from medgan.metrics.lpips import load_lpips

    config, channels = settings.config, images.spec.channels
    further = [load_space(name, path, channels) for name, path in config.spaces.items()]
    lpips = load_lpips(config.lpips_backbone, settings.lpips_weights)
    return Networks(lpips, [domain_space(features), *further])


def domain_space(features: PublishedModel | LeftOut) -> FeatureSpace:
    """The space of the network that is trained here."""
    from medgan.metrics.lpips import Unavailable

    if isinstance(features, LeftOut):
        reason = f"no network of domain features: {features.reason}"
        return FeatureSpace(DOMAIN, BACKBONE, "", Unavailable("domain features", reason))
    network: Any = features.build()
    return FeatureSpace(DOMAIN, BACKBONE, features.key, network.features)


def reference(
    images: ImageStore,
    splits: pd.DataFrame,
    features: PublishedModel | LeftOut,
    networks: Networks,
    settings: Settings,
    earlier: Arrays | None,
    kept: dict[str, NDArray[Any]] | None = None,
) -> RealReference:
    """Describe the real images, with what an earlier run computed; new parts go into `kept`."""
    from medgan.evaluation.real_images import describe_real

    of_data = data_hash(images, splits)

    def remember(name: str, decided_by: list[Any], make: Callable[[], Arrays]) -> Arrays:
        found = reused(_part(earlier, name), [name, of_data, *decided_by], make)
        if kept is not None:
            kept.update({f"{name}/{key}": value for key, value in found.items()})
        return found

    real = held_out(images, splits)
    described = None
    if not isinstance(features, LeftOut):
        described = _training(features, images, splits, remember)
    return describe_real(real, networks, settings.quality, described, remember)


def _part(arrays: Arrays | None, name: str) -> dict[str, NDArray[Any]] | None:
    """The arrays of one part; None where it is missing."""
    if arrays is None or f"{name}/key" not in arrays:
        return None
    start = f"{name}/"
    return {key.removeprefix(start): arrays[key] for key in arrays if key.startswith(start)}


def held_out(images: ImageStore, splits: pd.DataFrame) -> LabelledImages:
    """The validation and test images of one finding."""
    from medgan.evaluation.real_images import LabelledImages

    rows = one_finding(splits[splits["split"] != "train"])
    return LabelledImages(
        StoredImages(images)(rows["row"].to_numpy()),
        class_labels(rows, images.spec.classes),
        rows["group_id"].astype(str).to_numpy(),
        bool(rows["group_known"].all()),
    )


def _training(
    features: PublishedModel,
    images: ImageStore,
    splits: pd.DataFrame,
    remember: Callable[[str, list[Any], Callable[[], Arrays]], Arrays],
) -> LabelledFeatures:
    from medgan.evaluation.real_images import LabelledFeatures

    chosen = training_rows(one_finding(splits), TrainingSet.LABELLED, images.spec.classes)

    def make() -> Arrays:
        network: Any = features.build()
        names = [f"row {row} of the image store" for row in chosen.rows]
        stored = StoredImages(images)
        return {"features": features_of(network, stored, chosen.rows, names, AT_ONCE)}

    found = remember("training", [features.key], make)
    return LabelledFeatures(found["features"], np.asarray(chosen.labels))


def with_usefulness(
    made: Synthetic,
    learner: Trained | None,
    features: Trained | LeftOut,
    images: ImageStore,
    splits: pd.DataFrame,
) -> SynthesisResult:
    """Add what classifiers make of the synthetic images to the metrics of all classes."""
    quality = made.quality
    if isinstance(features, LeftOut):
        found = not_useful(f"no classifier of real images: {features.reason}")
    elif learner is None:
        found = not_useful("the generator draws one class, and a classifier takes two")
    else:
        found = _useful(made, learner.model, features.model, images, splits)
    return replace(quality, overall={**quality.overall, **found})


def _useful(
    made: Synthetic,
    learner: PublishedModel,
    features: PublishedModel,
    images: ImageStore,
    splits: pd.DataFrame,
) -> dict[str, QualityMetric]:
    real, drawn = held_out(images, splits), made.synthetic
    groups = np.asarray(real.groups)
    synthetic = pad_square(as_tensor(drawn["images"]), images.spec.size)
    labels = np.asarray(drawn["labels"])
    learned = len(
        training_rows(one_finding(splits), TrainingSet.LABELLED, images.spec.classes).rows
    )
    known = real.patients_known
    return usefulness(
        Classified(_probabilities(learner, real.images), real.labels, groups, len(labels), known),
        Classified(
            _probabilities(features, synthetic), labels, np.arange(len(labels)), learned, False
        ),
        Classified(_probabilities(features, real.images), real.labels, groups, learned, known),
        features.card["seed"],
    )


def _probabilities(published: PublishedModel, images: Tensor) -> NDArray[np.float64]:
    import torch

    model: Any = published.build()
    parts = [model.probabilities(part) for part in torch.split(images, AT_ONCE)]
    found: NDArray[np.float64] = torch.cat(parts).double().numpy()
    return found
