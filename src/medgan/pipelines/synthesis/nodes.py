"""Drawing images from published generators, looking at them, and judging them against real images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
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
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.plots.grids import image_grid
from medgan.tracking.progress import ProgressBar
from medgan.training.checkpoints import CheckpointFolder
from medgan.training.seeding import digest, generator, seeded
from medgan.training.streaming import Chunk, finished, resumed

Arrays = Mapping[str, NDArray[Any]]
BACKBONE = classifier.Config()


def train_domain_features(
    images: ImageStore, splits: pd.DataFrame, config: SynthesisConfig, seed: int, checkpoints: CheckpointFolder
) -> Iterator[Chunk]:
    """Trains the small classifier whose features the domain FID compares, on the real training split alone."""
    chosen = training_rows(splits, TrainingSet.LABELLED, images.spec.classes)
    with seeded(seed, "domain_features"):
        model = classifier.build(BACKBONE, images.spec)
    batches = BatchStream(StoredImages(images), chosen.rows, seed, chosen.labels)
    key = _features_key(images, splits, config, seed)
    yield from resumed(model, batches, config.domain_features, key, checkpoints, ProgressBar("domain_features"))


def publish_domain_features(
    images: ImageStore, splits: pd.DataFrame, config: SynthesisConfig, seed: int, checkpoints: CheckpointFolder
) -> PublishedModel:
    """The finished feature network."""
    key = _features_key(images, splits, config, seed)
    state = finished(checkpoints, key, "The feature network")
    return PublishedModel(
        "classifier", asdict(BACKBONE), images.spec, state.weights(), {"training": key, "images": images.key, "seed": seed}
    )


def synthesise(published: PublishedModel, config: SynthesisConfig, seed: int) -> dict[str, NDArray[Any]]:
    """`images_per_class` images of each class that the generator knows: `images` (N, H, W, C) uint8 and `labels` (N,)."""
    model = published.build()
    labelled = models.load(published.name).TRAINING_SET is TrainingSet.LABELLED
    classes = range(len(published.spec.classes) if labelled else 1)
    labels = torch.arange(len(classes)).repeat_interleave(config.images_per_class)
    rng = generator(seed, "synthesis", published.name)
    drawn = torch.cat([model.sample(len(part), part, rng) for part in labels.split(250)])  # type: ignore[operator]
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
        features.build().features,
        seed,
    )


def collect_quality(images: ImageStore, *rows: dict[str, Any]) -> dict[str, Any]:
    """The section `quality` of the results."""
    return {"data": images.key, "rows": dict(zip(models.synthesizers(), rows, strict=True))}


def _features_key(images: ImageStore, splits: pd.DataFrame, config: SynthesisConfig, seed: int) -> str:
    parts = splits[["row", "split", "category"]].astype(str).to_numpy().tolist()
    return digest([images.key, digest(parts), asdict(config.domain_features), asdict(BACKBONE), seed])
