"""What each model trains on; `medgan.pipelines.jobs` does the rest."""

from __future__ import annotations

from typing import Any

import pandas as pd

from medgan import models
from medgan.images.loading import BatchStream, StoredImages
from medgan.images.splits import training_rows
from medgan.images.store import ImageStore
from medgan.pipelines.jobs import TrainingJob, data_hash
from medgan.training.settings import ModelSettings


def plan_model(name: str, images: ImageStore, splits: pd.DataFrame, settings: ModelSettings[Any], seed: int) -> TrainingJob:
    """The job of one model: its part of the training split - normals, all with labels, or normals and the unlabelled mix."""
    training_set = models.load(name).TRAINING_SET
    chosen = training_rows(splits, training_set, images.spec.classes)
    return TrainingJob(
        name=name,
        model=name,
        config=settings.model,
        spec=images.spec,
        batches=BatchStream(StoredImages(images), chosen.rows, seed, chosen.labels, chosen.unlabelled_rows),
        training=settings.training,
        seed=seed,
        data=data_hash(images, splits, training_set.value),
        initial=name,
        card={
            "training_set": training_set.value,
            "training_images": len(chosen.rows),
            "images": images.key,
            "image_size": [images.info.height, images.info.width],
        },
    )
