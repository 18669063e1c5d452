"""Images described by a published network, as two pipelines need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan import __version__
from medgan.evaluation.embeddings import described_images, features_of
from medgan.evaluation.protocol import EvaluationConfig
from medgan.files.digest import digest
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.plots.training import training_curves
from medgan.training.job import TrainingJob
from medgan.training.runtime import Runtime

Arrays = Mapping[str, NDArray[Any]]
FEATURES_FORM = 1
"""Raised with every change in what is stored of features."""


def embed(
    published: PublishedModel,
    images: ImageStore,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
    cached: Arrays | None,
) -> dict[str, NDArray[Any]]:
    """Features of the images of `described_images`; the stored ones where nothing that decides them
    has changed.

    Reads no label of validation or test.

    Returns:
        image_id (n,), features (n, D), key.
    """
    chosen = described_images(splits, config.category_images, seed)
    key = digest(
        [
            FEATURES_FORM,
            published.key,
            images.key,
            chosen[["image_id", "row"]].astype(str).to_numpy().tolist(),
            __version__,
        ]
    )
    if cached is not None and str(cached["key"]) == key:
        return dict(cached)
    names, device = chosen["image_id"].astype(str).tolist(), Runtime.detect().device
    network = published.build().to(device)
    rows = chosen["row"].to_numpy(dtype=np.int64)
    features = features_of(
        network,  # type: ignore[arg-type]  # the registry lists networks with features only
        StoredImages(images),
        rows,
        names,
        config.batch_size,
        str(device),
    )
    return {"image_id": np.array(names), "features": features, "key": np.array(key)}


def plot_curves(job: TrainingJob, curves: pd.DataFrame) -> Figure:
    """The losses of every player against the step."""
    return training_curves(curves, job.name)
