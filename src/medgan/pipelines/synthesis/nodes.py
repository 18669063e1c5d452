"""Drawing images from published generators, looking at them, and judging them against real
images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.audits.gate import figures
from medgan.contracts import TrainingSet
from medgan.evaluation.results import Section, SynthesisResult
from medgan.images.labels import one_finding
from medgan.images.loading import BatchStream, StoredImages, TensorImages
from medgan.images.splits import data_hash, training_rows
from medgan.images.store import ImageStore
from medgan.images.transforms import as_tensor, pad_square
from medgan.models import PublishedModel
from medgan.pipelines.drawing import Drawing
from medgan.pipelines.outputs import (
    Arrays,
    Judged,
    RealImages,
    Release,
    SampleGrids,
    Synthetic,
    Trained,
)
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.pipelines.synthesis.pictures import (
    beside_real,
    class_rows,
    interpolations,
)
from medgan.pipelines.synthesis.quality import RealData, assess, with_usefulness
from medgan.plots.grids import image_grid
from medgan.training.job import TrainingJob

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        training=config.domain_features.in_steps(len(chosen.rows)),
        seed=seed,
        data=data_hash(images, splits),
        initial=name,
    )


def synthesize(trained: Trained, data: RealData, real: RealImages) -> Synthetic:
    """Draw images of each class that the generator knows, show some of them, and measure their
    quality.
    """
    drawn = draw(trained.model, data.config, data.seed)
    split = trained.model.card.get("training_split")
    return Synthetic(
        drawn,
        assess(drawn, data, real),
        sample_grid(drawn, data),
        interpolations=interpolations(trained.model, data.seed),
        class_rows=class_rows(trained.model, data.seed),
        beside_real=beside_real(drawn, data, real),
        origin={"training_split": split} if split else None,
    )


def draw(published: PublishedModel, config: SynthesisConfig, seed: int) -> dict[str, NDArray[Any]]:
    """`images_per_class` images of each class that the generator knows: `images` (N, H, W, C) uint8
    and `labels` (N,).

    Images have the size of the stored ones: the padding around them is taken off, so that it cannot
    tell them from real ones.
    """
    drawing, count = Drawing(published, seed), config.images_per_class
    classes = published.drawable
    images = [image for name in classes for image in islice(drawing.images(name), count)]
    return {"images": np.stack(images), "labels": np.arange(len(classes)).repeat(count)}


def sample_grid(synthetic: Arrays, data: RealData) -> Figure:
    """The first synthetic images of each class, a row or more each."""
    labels, count = synthetic["labels"], data.config.grid_per_class
    places = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    shown = np.concatenate(places)
    titles = [data.images.spec.classes[label] for label in labels[shown]]
    return image_grid(synthetic["images"][shown], titles)


def plan_learner(
    name: str,
    images: ImageStore,
    splits: pd.DataFrame,
    config: SynthesisConfig,
    synthetic: Synthetic,
) -> TrainingJob:
    """The classifier of the domain features once more, trained on synthetic images: same network,
    steps, seed and initial weights.
    """
    drawn = synthetic.synthetic
    pixels, labels = np.asarray(drawn["images"]), np.asarray(drawn["labels"], dtype=np.int64)
    read = TensorImages(pad_square(as_tensor(pixels), images.spec.size))
    job = plan_domain_features("domain_features", images, splits, config)
    return replace(
        job,
        name=name,
        batches=BatchStream(read, np.arange(len(labels)), job.seed, labels),
        data=hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest(),
        card={"synthetic_images": len(labels)},
    )


def compare_generators(
    data: RealData,
    synthetic: Mapping[str, Synthetic],
    releases: Mapping[str, Release],
    learners: Mapping[str, Trained] | None = None,
    left_out: Mapping[str, str] | None = None,
) -> tuple[Section[SynthesisResult], SampleGrids]:
    """Collect the section `quality` of the results, with what classifiers make of the images and
    figures of the verdicts, and what is shown of each generator.
    """
    rows = {}
    for name, made in synthetic.items():
        found = with_usefulness(made, (learners or {}).get(name), data)
        overall = {**found.overall, **figures(releases[name].verdict)}
        rows[name] = replace(found, overall=overall)
    pictures = {
        kind: {name: getattr(made, kind) for name, made in synthetic.items()}
        for kind in ("interpolations", "class_rows", "beside_real")
    }
    shown = {
        kind: {name: picture for name, picture in found.items() if picture is not None}
        for kind, found in pictures.items()
    }
    grids = SampleGrids(
        {name: made.samples for name, made in synthetic.items()},
        closest={name: one.closest_figure for name, one in releases.items()},
        releases={name: Judged(one.verdict, one.privacy) for name, one in releases.items()},
        **shown,
    )
    return Section(data_hash(data.images, data.splits), rows, left_out or {}), grids
