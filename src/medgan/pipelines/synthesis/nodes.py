"""Drawing images from published generators, looking at them, and judging them against real
images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan import models
from medgan.contracts import FeatureExtractor, TrainingSet
from medgan.evaluation.embeddings import features_of
from medgan.evaluation.synthesis import LabelledFeatures, LabelledImages, quality_by_class
from medgan.images.labels import class_labels, one_finding
from medgan.images.loading import BatchStream, StoredImages
from medgan.images.splits import data_hash, training_rows
from medgan.images.store import ImageStore
from medgan.images.transforms import as_tensor, as_uint8, crop_padding, pad_square
from medgan.metrics.lpips import load_lpips
from medgan.models import PublishedModel, classifier
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.plots.grids import image_grid
from medgan.training.job import TrainingJob
from medgan.training.runtime import generator

Arrays = Mapping[str, NDArray[Any]]
DRAWN_AT_ONCE = 250


def plan_domain_features(
    name: str, images: ImageStore, splits: pd.DataFrame, config: SynthesisConfig, seed: int
) -> TrainingJob:
    """The small classifier whose features the domain FID compares; it learns on the real training
    split alone.
    """
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
    published: PublishedModel, config: SynthesisConfig, seed: int
) -> dict[str, NDArray[Any]]:
    """`images_per_class` images of each class that the generator knows: `images` (N, H, W, C) uint8
    and `labels` (N,).

    Images have the size of the stored ones: the padding around them is taken off, so that it cannot
    tell them from real ones.
    """
    model = published.build()
    labels = torch.arange(len(published.drawable)).repeat_interleave(config.images_per_class)
    rng = generator(seed, "synthesis", published.name)
    parts = torch.split(labels, DRAWN_AT_ONCE)
    drawn = torch.cat([model.sample(len(part), part, rng) for part in parts])  # type: ignore[operator]
    return {
        "images": as_uint8(crop_padding(drawn, *published.card["image_size"])),
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
    features: PublishedModel,
    config: SynthesisConfig,
    lpips_weights: str | None,
    seed: int,
) -> dict[str, Any]:
    """Synthetic images of each class against held-out real ones (validation and test): neither the
    generator nor the feature network has seen these, so copying training images earns nothing.
    Beside each figure stands real against real, under the same protocol.
    Training images serve the search for copies alone.
    """
    held_out = one_finding(splits[splits["split"] != "train"])
    network = features.build()
    stored = StoredImages(images)
    return quality_by_class(
        LabelledImages(
            pad_square(as_tensor(synthetic["images"]), images.spec.size), synthetic["labels"]
        ),
        LabelledImages(
            stored(held_out["row"].to_numpy()),
            class_labels(held_out, images.spec.classes),
            held_out["group_id"].astype(str).to_numpy(),
        ),
        images.spec.classes,
        load_lpips(config.lpips_backbone, lpips_weights),
        network.features,  # type: ignore[arg-type]
        seed,
        config.paired_images,
        training=_described_training(network, stored, splits, images.spec.classes),  # type: ignore[arg-type]
        neighbours=config.neighbours,
    )


def _described_training(
    network: FeatureExtractor, stored: StoredImages, splits: pd.DataFrame, classes: Sequence[str]
) -> LabelledFeatures:
    chosen = training_rows(one_finding(splits), TrainingSet.LABELLED, classes)
    names = [f"row {row} of the image store" for row in chosen.rows]
    return LabelledFeatures(
        features_of(network, stored, chosen.rows, names, DRAWN_AT_ONCE), np.asarray(chosen.labels)
    )


def collect_quality(
    images: ImageStore, splits: pd.DataFrame, *rows: dict[str, Any]
) -> dict[str, Any]:
    """The section `quality` of the results."""
    return {
        "data": data_hash(images, splits),
        "rows": dict(zip(models.synthesizers(), rows, strict=True)),
    }
