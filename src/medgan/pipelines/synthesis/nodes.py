"""Drawing images from published generators, looking at them, and judging them against real images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan import models
from medgan.contracts import TrainingSet
from medgan.evaluation.quality import quality_by_class
from medgan.images.loading import BatchStream, StoredImages, TensorImages
from medgan.images.splits import class_labels, training_rows
from medgan.images.store import ImageStore
from medgan.images.transforms import as_tensor, as_uint8
from medgan.metrics.perceptual import load_lpips
from medgan.models import PublishedModel, classifier
from medgan.pipelines.jobs import TrainingJob, data_hash
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.plots.grids import image_grid
from medgan.training.seeding import generator

Arrays = Mapping[str, NDArray[Any]]
DRAWN_AT_ONCE = 250


def plan_domain_features(name: str, images: ImageStore, splits: pd.DataFrame, config: SynthesisConfig, seed: int) -> TrainingJob:
    """The small classifier whose features the domain FID compares; it learns on the real training split alone."""
    chosen = training_rows(splits, TrainingSet.LABELLED, images.spec.classes)
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


def synthesise(published: PublishedModel, config: SynthesisConfig, seed: int) -> dict[str, NDArray[Any]]:
    """`images_per_class` images of each class that the generator knows: `images` (N, H, W, C) uint8 and `labels` (N,)."""
    model = published.build()
    labelled = models.load(published.name).TRAINING_SET is TrainingSet.LABELLED
    classes = range(len(published.spec.classes) if labelled else 1)
    labels = torch.arange(len(classes)).repeat_interleave(config.images_per_class)
    rng = generator(seed, "synthesis", published.name)
    drawn = torch.cat([model.sample(len(part), part, rng) for part in torch.split(labels, DRAWN_AT_ONCE)])  # type: ignore[operator]
    return {"images": as_uint8(drawn), "labels": labels.numpy()}


def sample_grid(synthetic: Arrays, images: ImageStore, config: SynthesisConfig) -> Figure:
    """The first synthetic images of each class, a row or more each."""
    labels = synthetic["labels"]
    shown = np.concatenate([np.flatnonzero(labels == label)[: config.grid_per_class] for label in np.unique(labels)])
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
    """Synthetic images of each class against real *test* images, which no generator has seen: copying training images earns nothing.

    Beside each figure stands that of the real training images under the same protocol, as many of each class as there are synthetic ones.
    """
    classes = images.spec.classes
    drawn = TensorImages(as_tensor(synthetic["images"]))
    test, train = (splits[splits["split"] == part] for part in ("test", "train"))
    train = train.groupby("category", sort=False).head(config.images_per_class)
    read = StoredImages(images)
    return quality_by_class(
        drawn.images,
        synthetic["labels"],
        read(test["row"].to_numpy()),
        class_labels(test, classes),
        read(train["row"].to_numpy()),
        class_labels(train, classes),
        classes,
        load_lpips(config.lpips_backbone, lpips_weights),
        features.build().features,  # type: ignore[arg-type]
        seed,
    )


def collect_quality(images: ImageStore, *rows: dict[str, Any]) -> dict[str, Any]:
    """The section `quality` of the results."""
    return {"data": images.key, "rows": dict(zip(models.synthesizers(), rows, strict=True))}
