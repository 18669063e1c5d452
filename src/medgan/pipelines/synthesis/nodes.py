"""Drawing images from published generators, looking at them, and judging them against real
images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import TrainingSet
from medgan.evaluation.embeddings import features_of
from medgan.evaluation.results import LeftOut, Section, SynthesisResult
from medgan.images.labels import class_labels, one_finding
from medgan.images.loading import BatchStream, StoredImages
from medgan.images.splits import data_hash, training_rows
from medgan.images.store import ImageStore
from medgan.images.transforms import as_tensor, as_uint8, crop_padding, pad_square
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Figures, Synthetic, Trained
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.plots.grids import image_grid
from medgan.training.job import TrainingJob
from medgan.training.runtime import generator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from medgan.evaluation.synthesis import Features, LabelledFeatures
    from medgan.metrics.lpips import Unavailable

Arrays = Mapping[str, NDArray[Any]]
DRAWN_AT_ONCE = 250


@dataclass(frozen=True)
class Settings:
    """Settings that determine the synthetic images and their metrics."""

    config: SynthesisConfig
    seed: int
    lpips_weights: str | None = None


def plan_domain_features(
    name: str, images: ImageStore, splits: pd.DataFrame, config: SynthesisConfig
) -> TrainingJob:
    """The small classifier whose features the domain FID compares; it learns on the real training
    split alone, with a seed of its own.
    """
    from medgan.models import classifier

    seed = config.domain_features_seed

    chosen = training_rows(one_finding(splits), TrainingSet.LABELLED, images.spec.classes)
    return TrainingJob(
        name=name,
        model="classifier",
        config=classifier.Config(),
        spec=images.spec,
        batches=BatchStream(StoredImages(images), chosen.rows, seed, chosen.labels),
        training=config.domain_features,
        seed=seed,
        data=data_hash(images, splits),
        initial=name,
    )


def synthesize(
    trained: Trained,
    features: Trained | LeftOut,
    images: ImageStore,
    splits: pd.DataFrame,
    settings: Settings,
) -> Synthetic:
    """Draw images of each class that the generator knows, show the first of them, and measure their
    quality.
    """
    drawn = draw(trained.model, settings.config, settings.seed)
    network = features if isinstance(features, LeftOut) else features.model
    quality = assess(drawn, images, splits, network, settings)
    grid = sample_grid(drawn, images, settings.config)
    return Synthetic(drawn, quality, grid, origin=_origin(trained.model))


def _origin(published: PublishedModel) -> dict[str, Any] | None:
    """Say which images a generator has learned from; unknown of one of an earlier version."""
    known = published.card.get("training_split")
    return known and {"training_split": known}


def draw(published: PublishedModel, config: SynthesisConfig, seed: int) -> dict[str, NDArray[Any]]:
    """`images_per_class` images of each class that the generator knows: `images` (N, H, W, C) uint8
    and `labels` (N,).

    Images have the size of the stored ones: the padding around them is taken off, so that it cannot
    tell them from real ones.
    """
    import torch

    model = published.build()
    labels = torch.arange(len(published.drawable)).repeat_interleave(config.images_per_class)
    rng = generator(seed, "synthesis", published.name)
    parts = torch.split(labels, DRAWN_AT_ONCE)
    drawn = torch.cat([model.sample(len(part), part, rng) for part in parts])  # type: ignore[operator]
    return {
        "images": np.ascontiguousarray(
            as_uint8(crop_padding(drawn, *published.card["image_size"]))
        ),
        "labels": labels.numpy(),
    }


def sample_grid(synthetic: Arrays, images: ImageStore, config: SynthesisConfig) -> Figure:
    """The first synthetic images of each class, a row or more each."""
    labels = synthetic["labels"]
    shown = np.concatenate(
        [np.flatnonzero(labels == label)[: config.grid_per_class] for label in np.unique(labels)]
    )
    titles = [images.spec.classes[label] for label in labels[shown]]
    return image_grid(synthetic["images"][shown], titles, columns=8)


def assess(
    synthetic: Arrays,
    images: ImageStore,
    splits: pd.DataFrame,
    features: PublishedModel | LeftOut,
    settings: Settings,
) -> SynthesisResult:
    """Compare synthetic images of each class with held-out real ones (validation and test).

    Neither the generator nor the feature network has seen these, so copying training images earns
    nothing. Training images serve the search for copies alone.
    """
    from medgan.evaluation.synthesis import (
        LabelledImages,
        Networks,
        QualitySettings,
        quality_by_class,
    )
    from medgan.metrics.lpips import load_lpips

    held_out, config = one_finding(splits[splits["split"] != "train"]), settings.config
    stored, classes = StoredImages(images), images.spec.classes
    drawn = pad_square(as_tensor(synthetic["images"]), images.spec.size)
    real = LabelledImages(
        stored(held_out["row"].to_numpy()),
        class_labels(held_out, classes),
        held_out["group_id"].astype(str).to_numpy(),
    )
    return quality_by_class(
        LabelledImages(drawn, synthetic["labels"]),
        real,
        classes,
        Networks(load_lpips(config.lpips_backbone, settings.lpips_weights), _features(features)),
        QualitySettings(settings.seed, config.paired_images, config.neighbours),
        _described_training(features, stored, splits, classes),
    )


def _features(features: PublishedModel | LeftOut) -> Features | Unavailable:
    from medgan.metrics.lpips import Unavailable

    if isinstance(features, LeftOut):
        reason = f"no network of domain features: {features.reason}"
        return Unavailable("domain features", reason)
    network: Any = features.build()
    found: Features = network.features
    return found


def _described_training(
    features: PublishedModel | LeftOut,
    stored: StoredImages,
    splits: pd.DataFrame,
    classes: Sequence[str],
) -> LabelledFeatures | None:
    from medgan.evaluation.synthesis import LabelledFeatures

    if isinstance(features, LeftOut):
        return None
    network: Any = features.build()
    chosen = training_rows(one_finding(splits), TrainingSet.LABELLED, classes)
    names = [f"row {row} of the image store" for row in chosen.rows]
    return LabelledFeatures(
        features_of(network, stored, chosen.rows, names, DRAWN_AT_ONCE), np.asarray(chosen.labels)
    )


def compare_generators(
    images: ImageStore,
    splits: pd.DataFrame,
    synthetic: Mapping[str, Synthetic],
    left_out: Mapping[str, str] | None = None,
) -> tuple[Section[SynthesisResult], Figures]:
    """Collect the section `quality` of the results, and the sample grids."""
    rows = {name: made.quality for name, made in synthetic.items()}
    grids = Figures({name: made.samples for name, made in synthetic.items()})
    return Section(data_hash(images, splits), rows, left_out or {}), grids
