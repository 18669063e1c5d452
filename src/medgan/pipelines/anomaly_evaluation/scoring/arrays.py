"""The expensive arrays of a detector: scores, maps, perturbed scores, residuals. No label of
validation or test is read here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.audits.other_scanner import VERSION as SCANNER_VERSION
from medgan.audits.other_scanner import rescanned
from medgan.audits.robustness import VERSION, perturbed, robustness_sample, variants
from medgan.evaluation.categories import GRID, pooled
from medgan.evaluation.embeddings import described_images
from medgan.evaluation.scores import Batches, Images, Scored, score_images
from medgan.images.labels import one_finding
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore
from medgan.images.transforms import crop_padding, prepare
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Arrays
from medgan.pipelines.shared import EvaluationData, reused
from medgan.progress import progress_bar
from medgan.training.runtime import Runtime

if TYPE_CHECKING:
    from torch import Tensor

PixelChange = Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[np.uint8]]
"""Pixels (n, H, W, C) and their rows of the store (n,) to changed pixels."""
EVALUATED = ("val", "test")
MAPS_VERSION = 2
"""Of the anomaly maps; those of another version are made anew. 2: residuals are smoothed."""
TIMED = 8
"""Images that are scored to see how long a detector takes."""


def scorer(model: PublishedModel, data: EvaluationData) -> Callable[..., Scored]:
    """Return a function that scores the images of a table (image_id, row), in their order; without
    maps where a `change` is done to their pixels first.
    """
    device, images = str(Runtime.detect().device), data.images
    detector: Any = model.build().to(device)

    def scored(
        chosen: pd.DataFrame,
        change: PixelChange | None = None,
        on_progress: Callable[[int], Any] = lambda done: None,
    ) -> Scored:
        return score_images(
            detector,
            StoredImages(images) if change is None else _changed(images, change, device),
            chosen["row"].to_numpy(dtype=np.int64),
            Batches(data.config.batch_size, data.seed, device, maps=change is None),
            ids(chosen),
            on_progress,
        )

    return scored


def ids(chosen: pd.DataFrame) -> list[str]:
    """Name the images of a table."""
    return chosen["image_id"].astype(str).tolist()


def anomaly_maps(model: PublishedModel, data: EvaluationData, earlier: Arrays | None) -> Arrays:
    """Score the validation and test images.

    Returns:
        image_id, score, score_<component> for each component of the score (n,), maps (n, H, W),
        key.
    """
    chosen, images = data.rows(*EVALUATED), data.images

    def make() -> dict[str, NDArray[Any]]:
        with progress_bar(model.name, "image", len(chosen)) as bar:
            found = scorer(model, data)(chosen, on_progress=bar.update)
        return {
            "image_id": np.array(ids(chosen)),
            "score": found.scores,
            **{f"score_{name}": values for name, values in found.components.items()},
            "maps": np.ascontiguousarray(_cropped(found.maps, images)),
        }

    rows = chosen.astype(str).to_numpy().tolist()
    return reused(earlier, ["scores", model.key, images.key, rows, data.seed, MAPS_VERSION], make)


def score_perturbed(model: PublishedModel, data: EvaluationData, earlier: Arrays | None) -> Arrays:
    """Score a sample of test images under every perturbation.

    A detector that would take longer than `evaluation.robustness.seconds` is not run; `reason` says
    so.

    Returns:
        image_id (n,), scores (variants, n), seconds_per_image, reason (empty where it was run),
        key.
    """
    budget, images = data.config.robustness, data.images
    table = data.splits.reindex(columns=["image_id", "split", "row", "volume"])
    chosen, plan = robustness_sample(table, budget.images, data.seed), list(variants())

    def make() -> dict[str, Any]:
        score = scorer(model, data)

        def scored(variant: tuple[str, float], some: pd.DataFrame) -> NDArray[np.float32]:
            return score(some, partial(_under, variant, data.seed)).scores

        seconds = _seconds_per_image(partial(scored, plan[0]), chosen)
        reason = _too_slow(seconds, len(chosen) * len(plan), budget.seconds)
        values = np.zeros((len(plan), 0 if reason else len(chosen)), dtype=np.float32)
        with progress_bar(f"{model.name}, perturbed", "image", values.size) as bar:
            for place, variant in enumerate(plan if not reason else []):
                values[place] = scored(variant, chosen)
                bar.update(len(chosen))
        return {
            "image_id": np.array(ids(chosen)),
            "scores": values,
            "seconds_per_image": np.array(seconds),
            "reason": np.array(reason),
        }

    sample = [chosen.astype(str).to_numpy().tolist(), plan, budget.images, budget.seconds]
    decided_by = ["perturbed", model.key, images.key, *sample, data.seed, VERSION]
    return reused(earlier, decided_by, make)


def score_validation_perturbed(
    model: PublishedModel, data: EvaluationData, seconds: float, earlier: Arrays | None
) -> Arrays:
    """Score the validation images as another scanner might have made them.

    A detector that would take longer than `evaluation.robustness.seconds`, by the seconds that it
    takes for an image, is not run; `reason` says so.

    Returns:
        image_id (n,), scores (n,), reason (empty where it was run), key.
    """
    chosen, budget = data.rows("val"), data.config.robustness.seconds

    def make() -> dict[str, Any]:
        reason = _too_slow(seconds, len(chosen), budget)
        scored, scores = chosen.iloc[:0] if reason else chosen, np.zeros(0, dtype=np.float32)
        if not reason:
            with progress_bar(f"{model.name}, validation perturbed", "image", len(chosen)) as bar:
                scores = scorer(model, data)(chosen, rescanned, bar.update).scores
        names = np.array(ids(scored), dtype=str)
        return {"image_id": names, "scores": scores, "reason": np.array(reason)}

    rows = chosen["row"].tolist()
    decided_by = ["perturbed validation", model.key, data.images.key, ids(chosen), rows, budget]
    return reused(earlier, [*decided_by, data.seed, SCANNER_VERSION], make)


def _changed(images: ImageStore, change: PixelChange, device: str) -> Images:
    """Rows of the store to images as a network sees them, their pixels changed before anything else
    is done to them.
    """
    import torch

    def load(rows: NDArray[np.int64]) -> Tensor:
        pixels = torch.from_numpy(change(images.read(rows), rows))
        return prepare(pixels.to(device), images.info.scaling, images.spec.size)

    return load


def _under(
    variant: tuple[str, float], seed: int, pixels: NDArray[np.uint8], rows: NDArray[np.int64]
) -> NDArray[np.uint8]:
    return perturbed(pixels, rows, *variant, seed)


def _seconds_per_image(score: Callable[[pd.DataFrame], Any], chosen: pd.DataFrame) -> float:
    """Of TIMED images; one alone goes first, since the first call also loads what a detector
    needs.
    """
    some = chosen.head(TIMED)
    score(some.head(1))
    start = time.perf_counter()
    score(some)
    return (time.perf_counter() - start) / max(1, len(some))


def _too_slow(seconds: float, count: int, budget: float) -> str:
    if seconds * count <= budget:
        return ""
    return (
        f"scoring takes {seconds:.3f} s an image, so {count:,} perturbed images would take {seconds * count / 60:.0f} minutes; "
        f"raise evaluation.robustness.seconds ({budget:g})"
    )


def residuals(model: PublishedModel, data: EvaluationData, earlier: Arrays | None) -> Arrays:
    """Average the anomaly maps of anomalous training images over an 8x8 grid; the categories of
    training images alone are read.

    Returns:
        image_id (n,), residuals (n, 64), key.
    """
    chosen, images, size = training_anomalies(data), data.images, data.config.batch_size
    names, rows = ids(chosen), chosen["row"].tolist()

    def make() -> dict[str, Any]:
        cells, score = [np.zeros((0, GRID**2), dtype=np.float32)], scorer(model, data)
        with progress_bar(f"{model.name} residuals", "image", len(rows)) as bar:
            for start in range(0, len(rows), size):
                found = score(chosen.iloc[start : start + size])
                cells.append(pooled(_cropped(found.maps, images)))
                bar.update(len(found.maps))
        return {"image_id": np.array(names, dtype=str), "residuals": np.concatenate(cells)}

    decided_by = ["residuals", model.key, images.key, names, rows, data.seed, MAPS_VERSION]
    return reused(earlier, decided_by, make)


def training_anomalies(data: EvaluationData) -> pd.DataFrame:
    """The anomalous training images that are described, of one finding each."""
    described = described_images(data.splits, data.config.category_images, data.seed)
    single = one_finding(described)
    return single[(single["split"] == "train") & (single["label"] == 1)]


def _cropped(maps: NDArray[Any], images: ImageStore) -> NDArray[Any]:
    """(n, H, W) at the size of the stored images."""
    return crop_padding(maps, images.info.height, images.info.width)
