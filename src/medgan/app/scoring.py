"""The score of one uploaded image: read and prepared exactly as the pipelines do it, and put beside images whose labels are known."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import AnomalyDetector
from medgan.images.loading import StoredImages
from medgan.images.picture import ImageRefused
from medgan.images.readers.reading import RASTER_READERS, read_picture
from medgan.images.store import ImageStore, StoreInfo
from medgan.models import PublishedModel
from medgan.pipelines.jobs import data_hash
from medgan.project import Project
from medgan.scoring.preparing import map_range, not_constant, same_scores, score_pixels, seed_of

SIZE_CAP = 20 * 2**20
"""Largest file that is read, in bytes."""
NORMALS = {"val": "validation", "test": "test"}


@dataclass(frozen=True)
class Verdict:
    """What a detector says of one image."""

    score: float
    """Higher is more anomalous; scores of different detectors do not compare."""
    anomaly_map: NDArray[np.float64]
    """(H, W), at the stored size."""
    pixels: NDArray[np.uint8]
    """(H, W, C), the image as the detector saw it, before intensities are scaled."""


@dataclass(frozen=True)
class Reference:
    """What is known of the scores of the same detector on other images of the data set."""

    normals: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Name of a part of the data -> scores of its normal images."""
    threshold: float | None = None
    """Frozen on validation; a score at or above it is called anomalous."""
    rule: str = ""
    map_range: tuple[float, float] | None = None
    """Lowest value, and 99.5th percentile, of the anomaly maps of normal images."""
    absent: str = ""
    """Why there is no reference; empty where there is one."""


def read_upload(data: bytes) -> NDArray[np.uint8]:
    """The pixels of an uploaded file: (H, W, 1) grey or (H, W, 3) RGB. Its content decides what it is, its name is not looked at.

    Raises:
        ImageRefused: it is too large, of another format, damaged, or of one colour.
    """
    if len(data) > SIZE_CAP:
        raise ImageRefused("TOO_LARGE", f"the file has {len(data) / 2**20:.0f} MB, more than {SIZE_CAP >> 20}")
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        image = read_picture(file.name, readers=RASTER_READERS).pixels
    return not_constant(image)


def refusal_sentence(refused: ImageRefused) -> str:
    """Why an image is not scored, with the reason code that a quarantine report would give."""
    return f"This file is refused ({refused.code}): {refused}."


def verdict(detector: AnomalyDetector, pixels: NDArray[np.uint8], info: StoreInfo, seed: int) -> Verdict:
    """The score and map of one prepared image (H, W, C).

    Raises:
        Refusal: the score is not a finite number.
    """
    scores, maps = score_pixels(detector, pixels[None], info, seed, ["the image"])
    return Verdict(float(scores[0]), maps[0].astype(np.float64), pixels)


def reference(project: Project, data_set: str, model: PublishedModel, detector: AnomalyDetector, store: ImageStore) -> Reference:
    """What the pipeline anomaly_evaluation has left of this very model, or why that is nothing."""
    scores, splits = project.scores(data_set, model.name), project.splits(data_set)
    command = f"{project.run_command(data_set)} --pipeline anomaly_evaluation"
    if scores is None or splits is None:
        return Reference(absent=f"There are no scores of other images to compare it with yet: `{command}` makes them.")
    table = scores.merge(splits[["image_id", "label", "row"]], on="image_id", validate="one_to_one")
    if not same_scores(detector, StoredImages(store), table, seed_of(model)):
        return Reference(absent=f"The stored scores are not those of the newest {model.name}: `{command}` makes them anew.")
    row = project.detector_row(data_set, model.name, data_hash(store, splits)) or {}
    threshold = row.get("threshold", {})
    return Reference(
        normals={shown: _normal_scores(table, part) for part, shown in NORMALS.items()},
        threshold=threshold.get("value"),
        rule=str(threshold.get("rule", "")),
        map_range=_map_range(project, data_set, model.name, table),
    )


def standing(score: float, normals: NDArray[np.float64], shown: str) -> str:
    """Where a score lies among those of normal images, as a sentence."""
    lower = int((normals < score).sum())
    return f"It scores higher than {lower} of the {len(normals)} normal {shown} images ({lower / len(normals):.0%})."


def decision(score: float, threshold: float, rule: str) -> str:
    """What the frozen threshold says of a score, as a sentence."""
    side = "at or above" if score >= threshold else "below"
    called = "calls it anomalous" if score >= threshold else "does not call it anomalous"
    return f"The score is {side} the threshold {threshold:.4g} (rule: {rule}, frozen on validation): the detector {called}."


def _normal_scores(table: pd.DataFrame, part: str) -> NDArray[np.float64]:
    return table.loc[(table["split"] == part) & (table["label"] == 0), "score"].to_numpy(dtype=np.float64)


def _map_range(project: Project, data_set: str, name: str, table: pd.DataFrame) -> tuple[float, float] | None:
    arrays = project.anomaly_maps(data_set, name)
    return None if arrays is None else map_range(arrays, table.loc[table["label"] == 0, "image_id"])
