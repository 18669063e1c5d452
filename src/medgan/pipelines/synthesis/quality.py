"""Judging synthetic images: the networks, the real images that all generators share, the metrics."""

from __future__ import annotations

from collections.abc import Callable
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
from medgan.images.splits import TrainingRows, data_hash, training_rows
from medgan.images.store import ImageStore
from medgan.images.transforms import as_tensor, pad_square
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Arrays, RealImages, Synthetic, Trained
from medgan.pipelines.shared import Earlier, reused
from medgan.pipelines.synthesis.config import SynthesisConfig

if TYPE_CHECKING:
    from torch import Tensor

    from medgan.evaluation.real_images import (
        LabelledFeatures,
        LabelledImages,
        Networks,
        QualitySettings,
        RealReference,
        Remember,
    )
    from medgan.metrics.quality import QualityMetric

BACKBONE = "classifier of the real training split"
AT_ONCE = 250
NOT_ASKED = LeftOut("it is not asked for")


@dataclass(frozen=True)
class RealData:
    """The real images, and how synthetic ones are made and compared with them."""

    images: ImageStore
    splits: pd.DataFrame
    config: SynthesisConfig
    seed: int
    features: Trained | LeftOut = NOT_ASKED
    """The network of domain features."""
    lpips_weights: str | None = None

    @property
    def quality(self) -> QualitySettings:
        """How images are compared."""
        from medgan.evaluation.real_images import QualitySettings

        return QualitySettings(self.seed, self.config.paired_images, self.config.neighbours)

    @property
    def training(self) -> TrainingRows:
        """The training images of one finding."""
        known, classes = one_finding(self.splits), self.images.spec.classes
        return training_rows(known, TrainingSet.LABELLED, classes)

    @property
    def held_out(self) -> pd.DataFrame:
        """Rows of the validation and test images of one finding."""
        return one_finding(self.splits[self.splits["split"] != "train"])

    def padded(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Convert drawn images (n, h, w, C) to inputs of networks (n, C, H, W)."""
        return pad_square(as_tensor(pixels), self.images.spec.size)

    def held_out_images(self) -> LabelledImages:
        """Read the images of `held_out`."""
        from medgan.evaluation.real_images import LabelledImages

        rows = self.held_out
        return LabelledImages(
            StoredImages(self.images)(rows["row"].to_numpy()),
            class_labels(rows, self.images.spec.classes),
            rows["group_id"].astype(str).to_numpy(),
            bool(rows["group_known"].all()),
        )

    def networks(self) -> Networks:
        """Load the networks that compare images; an unavailable one says why."""
        from medgan.evaluation.real_images import Networks
        from medgan.metrics.lpips import load_lpips

        config, channels = self.config, self.images.spec.channels
        further = [load_space(name, path, channels) for name, path in config.spaces.items()]
        lpips = load_lpips(config.lpips_backbone, self.lpips_weights)
        return Networks(lpips, [domain_space(self.features), *further])

    def reference(
        self,
        networks: Networks,
        earlier: Arrays | None,
        kept: dict[str, NDArray[Any]] | None = None,
    ) -> RealReference:
        """Describe the real images, with what an earlier run computed; new parts go into `kept`."""
        from medgan.evaluation.real_images import describe_real

        of_data = data_hash(self.images, self.splits)

        def remember(name: str, decided_by: list[Any], make: Callable[[], Arrays]) -> Arrays:
            found = reused(_part(earlier, name), [name, of_data, *decided_by], make)
            if kept is not None:
                kept.update({f"{name}/{key}": value for key, value in found.items()})
            return found

        described = None
        if not isinstance(self.features, LeftOut):
            described = self._described(self.features.model, remember)
        real = self.held_out_images()
        return describe_real(real, networks, self.quality, described, remember)

    def _described(self, network: PublishedModel, remember: Remember) -> LabelledFeatures:
        """The domain features of the training images."""
        from medgan.evaluation.real_images import LabelledFeatures

        learned, read = self.training, StoredImages(self.images)

        def make() -> Arrays:
            names = [f"row {row} of the image store" for row in learned.rows]
            built: Any = network.build()
            return {"features": features_of(built, read, learned.rows, names, AT_ONCE)}

        found = remember("training", [network.key], make)["features"]
        return LabelledFeatures(found, np.asarray(learned.labels))


def describe_real_images(data: RealData, earlier: Earlier) -> RealImages:
    """Compute what all generators are compared with, once.

    Each part is kept with a hash of what decides it: the images and their splits, the weights of
    its network, and the settings. What an earlier run has left is reused.
    """
    old: RealImages | None = earlier("real_images")
    kept: dict[str, NDArray[Any]] = {}
    data.reference(data.networks(), old.statistics if old else None, kept)
    return RealImages(kept)


def assess(synthetic: Arrays, data: RealData, real: RealImages | None = None) -> SynthesisResult:
    """Compare synthetic images of each class with held-out real ones (validation and test).

    Neither the generator nor the feature network has seen these, so copying training images earns
    nothing. Training images serve the search for copies alone.
    """
    from medgan.evaluation.real_images import LabelledImages
    from medgan.evaluation.synthesis import quality_by_class

    networks = data.networks()
    described = data.reference(networks, real.statistics if real else None)
    drawn = LabelledImages(data.padded(synthetic["images"]), synthetic["labels"])
    return quality_by_class(drawn, described, data.images.spec.classes, networks, data.quality)


def domain_space(features: Trained | LeftOut) -> FeatureSpace:
    """The space of the network that is trained here."""
    from medgan.metrics.lpips import Unavailable

    if isinstance(features, LeftOut):
        reason = f"no network of domain features: {features.reason}"
        return FeatureSpace(DOMAIN, BACKBONE, "", Unavailable("domain features", reason))
    network: Any = features.model.build()
    return FeatureSpace(DOMAIN, BACKBONE, features.model.key, network.features)


def _part(arrays: Arrays | None, name: str) -> dict[str, NDArray[Any]] | None:
    """The arrays of one part; None where it is missing."""
    if arrays is None or f"{name}/key" not in arrays:
        return None
    start = f"{name}/"
    return {key.removeprefix(start): arrays[key] for key in arrays if key.startswith(start)}


def with_usefulness(made: Synthetic, learner: Trained | None, data: RealData) -> SynthesisResult:
    """Add what classifiers make of the synthetic images to the metrics of all classes."""
    quality = made.quality
    if isinstance(data.features, LeftOut):
        found = not_useful(f"no classifier of real images: {data.features.reason}")
    elif learner is None:
        found = not_useful("the generator draws one class, and a classifier takes two")
    else:
        found = _useful(made.synthetic, learner.model, data.features.model, data)
    return replace(quality, overall={**quality.overall, **found})


def _useful(
    drawn: Arrays, learner: PublishedModel, features: PublishedModel, data: RealData
) -> dict[str, QualityMetric]:
    real, labels = data.held_out_images(), np.asarray(drawn["labels"])
    groups, known = np.asarray(real.groups), real.patients_known
    learned, places = len(data.training.rows), np.arange(len(labels))
    of_drawn = _probabilities(features, data.padded(drawn["images"]))
    return usefulness(
        Classified(_probabilities(learner, real.images), real.labels, groups, len(labels), known),
        Classified(of_drawn, labels, places, learned, False),
        Classified(_probabilities(features, real.images), real.labels, groups, learned, known),
        features.card["seed"],
    )


def _probabilities(published: PublishedModel, images: Tensor) -> NDArray[np.float64]:
    import torch

    model: Any = published.build()
    parts = [model.probabilities(part) for part in torch.split(images, AT_ONCE)]
    found: NDArray[np.float64] = torch.cat(parts).double().numpy()
    return found
