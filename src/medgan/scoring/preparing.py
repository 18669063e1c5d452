"""An image that a data set does not have, read and prepared exactly as its pipelines do it, and the detector that looks at it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medgan.catalog.arrays import Arrays
from medgan.contracts import AnomalyDetector, Refusal
from medgan.evaluation.scoring import Images, score_images
from medgan.images.picture import ImageRefused
from medgan.images.resizing import Crop, fit_square
from medgan.images.store import ImageStore, StoreInfo, padded_size
from medgan.images.transforms import crop_padding, prepare
from medgan.models import PublishedModel
from medgan.training.runtime import Runtime

PROBES = 4
"""Stored validation images that are scored again to see whether the stored scores are those of this model."""
PROBE_TOLERANCE = 0.02
"""Relative difference that another device or number of threads may make to a score."""
BRIGHTEST = 0.995
"""Quantile of map values that is shown brightest."""


def not_constant(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image (H, W, C) as it is. Raises `ImageRefused` for one of one colour, as ingestion does."""
    if image.min() == image.max():
        raise ImageRefused("CONSTANT", "all its pixels are equal")
    return image


def prepared(image: NDArray[np.uint8], info: StoreInfo, crop: Crop | None) -> NDArray[np.uint8]:
    """(H, W, C) as it would lie in the image store."""
    return fit_square(image, info.height, info.channels, crop)


def score_pixels(
    detector: AnomalyDetector, pixels: NDArray[np.uint8], info: StoreInfo, seed: int, names: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Scores (n,) and maps (n, h, w) of one batch of prepared images (n, h, w, C).

    Raises:
        Refusal: a score is not a finite number; it says of which of the `names`.
    """
    images = prepare(torch.from_numpy(np.array(pixels)), info.intensity, padded_size(max(info.height, info.width)))
    rows = np.arange(len(pixels), dtype=np.int64)
    scores, maps = _scored(detector, lambda chosen: images[torch.from_numpy(chosen)], rows, seed, names)
    return scores, crop_padding(torch.from_numpy(maps[:, None]), info.height, info.width)[:, 0].numpy()


def same_scores(detector: AnomalyDetector, images: Images, table: pd.DataFrame, seed: int) -> bool:
    """Whether a detector gives stored images the scores that the table (score, row) says they have; it tries the first few."""
    probes = table.head(PROBES)
    again, _ = _scored(detector, images, probes["row"].to_numpy(dtype=np.int64), seed, ["a stored image"] * len(probes))
    slack = 1e-3 * float(table["score"].max() - table["score"].min())
    return bool(np.allclose(again, probes["score"].to_numpy(), rtol=PROBE_TOLERANCE, atol=slack))


def _scored(
    detector: AnomalyDetector, images: Images, rows: NDArray[np.int64], seed: int, names: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    size = max(len(rows), 1)
    found = score_images(detector, images, rows, batch_size=size, seed=seed, device=str(Runtime.detect().device), names=names)
    return found.scores, found.maps


def seed_of(model: PublishedModel) -> int:
    """The seed that the pipelines trained and scored this model with."""
    return int(model.card.get("seed", 0))


def check_trained_on(model: PublishedModel, store: ImageStore, command: str) -> None:
    """Nothing where a model was trained on this image store.

    Raises:
        Refusal: it was trained on another one, so its images were prepared differently.
    """
    if model.card.get("images") != store.key:
        raise Refusal(f"The stored images have changed since {model.name} was trained: `{command}` trains it on them.")


def map_range(arrays: Arrays, image_ids: pd.Series[str]) -> tuple[float, float] | None:
    """The lowest value, and the 99.5th percentile, of the stored anomaly maps of these images; None where there are none."""
    values = arrays["maps"][np.isin(arrays["image_id"], image_ids.to_numpy(dtype=str))].astype(np.float64)
    return (float(values.min()), float(np.quantile(values, BRIGHTEST))) if values.size else None
