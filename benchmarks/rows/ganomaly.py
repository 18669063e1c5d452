"""Train and apply a GAN detector with as many weights as anomalib's GANomaly under its Engine.

Ours is EGBAD (`bigan`), the nearest of our methods: a generator, an encoder, a discriminator. It
reads the store that preprocessing has made of the same files.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.paired import Case, NotCompared
from benchmarks.rows.films import FOLDER, films
from benchmarks.rows.steps import FOREVER, operations
from benchmarks.scale import Scale
from medgan.contracts import ImageSpec
from medgan.images.loading import BatchStream, StoredImages
from medgan.images.resizing import fit_square
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.models import bigan
from medgan.sources.readers.decoding import read_picture
from medgan.training.loop import train
from medgan.training.settings import TrainingConfig

SIZE, BATCH, LATENTS, FEATURES, CHANNELS = 64, 32, 64, 32, 3
SPEC = ImageSpec(SIZE, CHANNELS)
OTHER_METHOD = NotCompared("they are different methods, with random weights at the start")


def training(scale: Scale) -> Case:
    """anomalib's GANomaly: an epoch."""
    paths, other = _films(scale), _ganomaly(_films(scale))
    stream = _stream(paths)
    model = bigan.build(bigan.Config(LATENTS, _width(other.weights), cycle=False), SPEC)
    config = TrainingConfig(
        {"adversarial": len(paths) // BATCH}, BATCH, report_every=FOREVER, checkpoint_every=FOREVER
    )
    work = f"An epoch of training on {len(paths)} images of {SIZE} px, {other.weights:,} weights"
    return _case(work, lambda: [None for _ in train(model, stream, config)], other.fit)


def prediction(scale: Scale) -> Case:
    """anomalib's GANomaly: scores."""
    paths, other = _films(scale), _ganomaly(_films(scale))
    other.fit()
    stream = _stream(paths)
    model = bigan.build(bigan.Config(LATENTS, _width(other.weights), cycle=False), SPEC).eval()

    def scores() -> list[Any]:
        return [model.score(batch.images, batch.rng) for batch in stream.epoch(BATCH)]

    work = f"Scores of {len(paths)} images of {SIZE} px, {other.weights:,} weights"
    return _case(work, scores, other.predict)


def _case(work: str, ours: Any, other: Any) -> Case:
    name = "anomalib's GANomaly, `Engine`"
    return Case(work, name, 3.0, ours, other, OTHER_METHOD, operations=operations(ours))


def _films(scale: Scale) -> tuple[Path, ...]:
    return films(scale.of(512, 64), SIZE)


@cache
def _stream(paths: tuple[Path, ...]) -> BatchStream:
    info = StoreInfo(len(paths), SIZE, SIZE, CHANNELS, "unit", ("normal",))
    pixels = (fit_square(read_picture(path).pixels, SIZE, CHANNELS) for path in paths)
    write_store(FOLDER / "ganomaly", pixels, info)
    store = ImageStore.open(FOLDER / "ganomaly")
    return BatchStream(StoredImages(store), np.arange(len(paths)), 0)


@cache
def _width(weights: int) -> int:
    """Choose the width with the most equal number of weights."""

    def difference(width: int) -> int:
        with torch.device("meta"):
            model = bigan.BiGAN(bigan.Config(LATENTS, width, cycle=False), SPEC)
        return abs(sum(parameter.numel() for parameter in model.parameters()) - weights)

    return min(range(8, 65), key=difference)


class _Ganomaly:
    """GANomaly as anomalib's pages show it, without what an Engine adds to its results."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        from anomalib.data import Folder
        from anomalib.engine import Engine
        from anomalib.models import Ganomaly

        self.folder = paths[0].parent
        self.engine = partial(
            Engine,
            max_epochs=1,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=FOLDER / "anomalib",
        )
        data = Folder(
            name="films",
            root=self.folder.parent,
            normal_dir=self.folder.name,
            train_batch_size=BATCH,
            num_workers=0,
            test_split_mode="none",
            val_split_mode="none",
        )
        data.setup()
        self.batches = data.train_dataloader()
        resize = Ganomaly.configure_pre_processor((SIZE, SIZE))
        self.model = Ganomaly(
            BATCH, FEATURES, LATENTS, pre_processor=resize, visualizer=False, evaluator=False
        )
        self.weights = sum(parameter.numel() for parameter in self.model.model.parameters())

    def fit(self) -> None:
        """Train for an epoch."""
        self.engine().fit(self.model, train_dataloaders=self.batches)

    def predict(self) -> Any:
        """Score all films."""
        from anomalib.data import PredictDataset

        films = PredictDataset(self.folder, image_size=(SIZE, SIZE))
        return self.engine().predict(self.model, dataset=films)


@cache
def _ganomaly(paths: tuple[Path, ...]) -> _Ganomaly:
    return _Ganomaly(paths)


CASES = (training, prediction)
