"""Plan the training of each model: its data, and the metric that selects its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from medgan import models
from medgan.contracts import TrainingSet
from medgan.evaluation.score_choice import choose_score
from medgan.evaluation.selection import HeldOut, choose_criterion, metrics_of
from medgan.images.config import AugmentationConfig
from medgan.images.loading import VERSION, BatchStream, StoredImages
from medgan.images.splits import TrainingRows, data_hash, training_digest, training_rows
from medgan.images.store import ImageStore
from medgan.ranges import Count
from medgan.training.job import TrainingJob
from medgan.training.pretrained import GivenWeights, PretrainedWeights
from medgan.training.settings import ModelSettings, TrainingConfig
from medgan.training.validation import HeldOutMetrics

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class GanTrainingConfig:
    """Section `gan_training`."""

    judged_images: Count = 400
    """Images that a detector scores at each validation."""


JUDGED_AT_ONCE = 64


@dataclass(frozen=True)
class GanSettings:
    """Settings that determine the training of a model."""

    model: ModelSettings[Any]
    config: GanTrainingConfig
    augmentation: AugmentationConfig
    seed: int
    scale: str = ""
    """Named in the card; the weights do not depend on it beyond the other settings."""
    backbone_weights: str | None = None
    """File of the weights of a model that needs some; None searches torchvision's folder."""


def plan_model(name: str, images: ImageStore, splits: pd.DataFrame, *inputs: Any) -> TrainingJob:
    """Plan the training of one model on its part of the training split: normals, all with labels,
    or normals and the unlabelled mix.

    Its images are changed by what the method wants and the anatomy allows. The inputs are the
    fields of `GanSettings`.
    """
    found = GanSettings(*inputs)
    settings, seed = found.model, found.seed
    augment = found.augmentation.of(settings.augment)
    training_set = models.load(name).TRAINING_SET
    chosen = training_rows(splits, training_set, images.spec.classes)
    training = _allowed(settings.training.in_steps(len(chosen.rows)), found.augmentation)
    judged = name in models.detectors() and training.inspect_every > 0
    choosing = settings.score == "validation" and name in models.composed()
    judge = choose = None
    if judged or choosing:
        held_out = HeldOut.of(splits, found.config.judged_images, seed)
        common: dict[str, Any] = {
            "images": StoredImages(images),
            "held_out": held_out,
            "seed": seed,
        }
        choose = partial(choose_score, **common, batch_size=JUDGED_AT_ONCE) if choosing else None
    if judged:
        criterion = choose_criterion(settings.training.criterion, splits, training_set)
        metrics = partial(metrics_of, **common, batch_size=JUDGED_AT_ONCE)
        judge = HeldOutMetrics(metrics, criterion, held_out.about())
    frozen = _pretrained(name, found)
    given = GivenWeights.find(settings.checkpoint) if settings.checkpoint else None
    batches = BatchStream(
        StoredImages(images), chosen.rows, seed, chosen.labels, chosen.unlabelled_rows, augment
    )
    return TrainingJob(
        name=name,
        model=name,
        config=settings.model,
        spec=images.spec,
        batches=batches,
        training=training,
        seed=seed,
        data=data_hash(images, splits, training_set.value, VERSION, *filter(None, [augment])),
        initial=name,
        held_out=judge,
        card={
            **({} if given else _trained_with(chosen, training_set, found.scale, augment)),
            **_about(images, splits),
            **({"pretrained": [frozen.network, frozen.sha256]} if frozen else {}),
        },
        choose_score=choose,
        pretrained=frozen,
        given=given,
    )


def _allowed(training: TrainingConfig, augmentation: AugmentationConfig) -> TrainingConfig:
    """Leave out the augmentations of a discriminator that the anatomy does not allow."""
    discriminator = training.discriminator
    if discriminator is None:
        return training
    allowed = augmentation.of(discriminator.augment)
    return replace(training, discriminator=replace(discriminator, augment=allowed))


def _pretrained(name: str, found: GanSettings) -> PretrainedWeights | None:
    """Find the weights of the frozen network of a model that has one."""
    if name not in models.pretrained():
        return None
    return PretrainedWeights.find(found.model.model.backbone, found.backbone_weights)


def _trained_with(
    chosen: TrainingRows, training_set: TrainingSet, scale: str, augment: Sequence[str]
) -> dict[str, object]:
    unlabelled = chosen.unlabelled_rows
    return {
        "scale": scale,
        "training_set": training_set.value,
        "training_images": len(chosen.rows),
        "unlabelled_images": 0 if unlabelled is None else len(unlabelled),
        "augmentations": augment,
    }


def _about(images: ImageStore, splits: pd.DataFrame) -> dict[str, object]:
    return {
        "images": images.key,
        "training_split": training_digest(splits),
        "image_size": [images.info.height, images.info.width],
        "intensity": str(images.info.scaling),
        "splits": {
            part: rows["category"].value_counts().sort_index().to_dict()
            for part, rows in splits.groupby("split")
        },
    }
