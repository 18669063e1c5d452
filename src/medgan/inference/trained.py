"""A published detector with all that decides how an image comes to it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan import models
from medgan.contracts import AnomalyDetector
from medgan.errors import UserError, unknown
from medgan.evaluation.detector import joined
from medgan.evaluation.volumes import MEAN, aggregate_of
from medgan.images.config import PreprocessingConfig
from medgan.images.loading import StoredImages
from medgan.images.splits import data_hash
from medgan.images.store import ImageStore, StoreInfo
from medgan.inference.inputs import (
    check_trained_on,
    map_range,
    not_constant,
    same_scores,
    score_pixels,
    seed_of,
)
from medgan.models import PublishedModel
from medgan.pipelines.preprocessing.nodes import store_key
from medgan.project.artifacts import Project
from medgan.project.environment import Environment
from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import RASTER_READERS, read_picture
from medgan.stats.thresholds import frozen_on
from medgan.training.runtime import Runtime

JUDGED: Mapping[str, frozenset[str]] = {
    "image": frozenset({"image", "slice"}),
    "volume": frozenset({"image", "volume"}),
}
"""What the threshold was frozen on -> units that it may be applied to: the score of a volume
spreads otherwise than those of its slices.
"""


@dataclass(frozen=True)
class Frozen:
    """A threshold with what it was frozen on."""

    rule: str
    value: float
    """A score at or above it is called anomalous."""
    unit: str
    """image or volume: what one score of the evaluation is."""
    aggregate: str
    """How the scores of slices become that of a volume: what validation chose for the detector."""
    normals: NDArray[np.float64]
    """Scores (n,) of the normal validation images or volumes, sorted."""
    map_range: tuple[float, float] | None
    """Lowest value, and 99.5th percentile, of the anomaly maps of normal validation images; None
    where there are none.
    """

    def decision(self, score: float) -> str:
        """Normal or anomalous."""
        return "anomalous" if score >= self.value else "normal"

    def percentile(self, score: float) -> float:
        """Percent of the normal validation images (or volumes) with a lower score."""
        return 100.0 * float(np.searchsorted(self.normals, score, side="left")) / len(self.normals)

    def judges(self, unit: str) -> bool:
        """Whether the threshold may be applied to an image, slice or volume."""
        return unit in JUDGED[self.unit]


def frozen(
    project: Project,
    dataset: str,
    model: PublishedModel,
    detector: AnomalyDetector,
    store: ImageStore,
    command: str,
) -> Frozen:
    """What the pipeline anomaly_evaluation has left of this very model.

    Args:
        project: where it lies.
        dataset: name of the data set.
        model: the published model.
        detector: the same, built.
        store: the image store that it was trained on.
        command: the command that evaluates it, for messages.

    Raises:
        UserError: there is no evaluation, or it is one of another version of the model.
    """
    row, scores, splits = (
        project.evaluation(dataset, model.name),
        project.scores(dataset, model.name),
        project.splits(dataset),
    )
    if row is None or scores is None or splits is None:
        raise UserError(
            f"{model.name} has no threshold on {dataset} yet: `{command}` makes one, or --no-threshold gives scores without decisions."
        )
    stale = UserError(
        f"The evaluation of {model.name} on {dataset} is not that of its newest version: `{command}` makes it anew, "
        "or --no-threshold gives scores without decisions."
    )
    known = splits.loc[splits["image_id"].isin(scores["image_id"]), ["image_id", "row"]].merge(
        scores, on="image_id"
    )
    if known.empty or not same_scores(detector, StoredImages(store), known, seed_of(model)):
        raise stale
    validation = joined(scores, splits, "val", aggregate_of(row))
    rule, value = str(row["threshold"]["rule"]), float(row["threshold"]["value"])
    again = frozen_on(
        validation, rule.split()[0]
    ).value  # the written one, unless the scores were made anew since
    if not np.isclose(again, value, rtol=1e-6, atol=0.0):
        raise stale
    normals = np.sort(validation.loc[validation["label"] == 0, "score"].to_numpy(dtype=np.float64))
    shown = splits.loc[(splits["split"] == "val") & (splits["label"] == 0), "image_id"]
    return Frozen(
        rule,
        value,
        _unit(row),
        aggregate_of(row),
        normals,
        _map_range(project, dataset, model.name, shown),
    )


def _unit(row: Mapping[str, Any]) -> str:
    return "volume" if row.get("scored_unit") == "volume" else "image"


def _map_range(
    project: Project, dataset: str, name: str, image_ids: pd.Series[str]
) -> tuple[float, float] | None:
    arrays = project.anomaly_maps(dataset, name)
    return None if arrays is None else map_range(arrays, image_ids)


@dataclass(frozen=True)
class Trained:
    """The newest version of a detector."""

    dataset: str
    version: str
    """Name of its folder, a time."""
    published: PublishedModel
    detector: AnomalyDetector
    """In eval mode, on the device."""
    store: ImageStore
    reading: ReadingConfig
    preprocessing: PreprocessingConfig
    frozen: Frozen | None
    """None where no threshold was wanted."""
    batch_size: int

    @property
    def seed(self) -> int:
        """Of whatever the detector draws while it scores."""
        return seed_of(self.published)

    @property
    def aggregate(self) -> str:
        """How the scores of slices become that of a volume; the mean where no evaluation says."""
        return self.frozen.aggregate if self.frozen else MEAN

    def card(self) -> dict[str, Any]:
        """What scored the images, as JSON. Nothing secret: the key of the pseudonyms is left
        out.
        """
        reading = {
            name: value for name, value in asdict(self.reading).items() if name != "pseudonym_key"
        }
        shape = ("size", "channels", "intensity", "crop")
        threshold = self.frozen and {
            "rule": self.frozen.rule,
            "value": self.frozen.value,
            "frozen_on": f"validation {self.frozen.unit}s",
            "validation_normals": len(self.frozen.normals),
        }
        return {
            "dataset": self.dataset,
            "model": self.published.name,
            "version": self.version,
            "key": self.published.key,
            "threshold": threshold,
            "reading": reading,
            "preprocessing": {
                name: value for name, value in asdict(self.preprocessing).items() if name in shape
            },
        }


def detector_named(name: str) -> str:
    """The detector that a user means: `HealthyGAN`, `f-AnoGAN` and `nearest neighbour` are
    understood.

    Raises:
        UserError: there is none of that name.
    """
    known = {_plain(one): one for one in models.detectors()}
    if _plain(name) not in known:
        raise unknown("detector", name, models.detectors())
    return known[_plain(name)]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def trained(project: Project, environment: Environment, model: str, threshold: bool) -> Trained:
    """The newest version of a detector, after checks that it, the images, the configuration and the
    threshold belong to each other.

    Raises:
        UserError: the model is unknown or not trained, or any of the four has changed since.
    """
    name, dataset = detector_named(model), environment.dataset()
    if not project.trained(dataset, [name]):
        raise UserError(
            f"{name} is not trained on {dataset}: `{environment.command('gan_training')}` trains it{_others(project, dataset)}."
        )
    version = project.version(dataset, name)
    published, store = project.published(dataset, name), project.store(dataset)
    check_trained_on(published, store, environment.command("gan_training"))
    preprocessing = environment.preprocessing(store.info)
    _check_crop(project, environment, store, preprocessing)
    detector: Any = published.build().to(Runtime.detect().device)
    command = environment.command("anomaly_evaluation")
    return Trained(
        dataset=dataset,
        version=version,
        published=published,
        detector=detector,
        store=store,
        reading=environment.reading(),
        preprocessing=preprocessing,
        frozen=frozen(project, dataset, published, detector, store, command) if threshold else None,
        batch_size=environment.parameters()["evaluation"].batch_size,
    )


def _others(project: Project, dataset: str) -> str:
    others: Iterable[str] = project.trained(dataset, models.detectors())
    return f"; trained are {', '.join(others)}" if others else ""


def _check_crop(
    project: Project, environment: Environment, store: ImageStore, config: PreprocessingConfig
) -> None:
    """Refuses a crop that is not that of the store, which names it in its key only."""
    manifest = project.manifest(environment.dataset())
    if (
        manifest is not None
        and store.info.source_key
        and store_key(manifest, config, store.info.classes) != store.info.source_key
    ):
        raise environment.changed()


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
    """The pixels of an uploaded file: (H, W, 1) grey or (H, W, 3) RGB. Its content decides what it
    is, its name is not looked at.

    Raises:
        ImageRefused: it is too large, of another format, damaged, or of one color.
    """
    if len(data) > SIZE_CAP:
        raise ImageRefused(
            "TOO_LARGE", f"the file has {len(data) / 2**20:.0f} MB, more than {SIZE_CAP >> 20}"
        )
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        image = read_picture(file.name, readers=RASTER_READERS).pixels
    return not_constant(image)


def refusal_sentence(refused: ImageRefused) -> str:
    """Why an image is not scored, with the reason code that a quarantine report would give."""
    return f"This file is refused ({refused.code}): {refused}."


def verdict(
    detector: AnomalyDetector, pixels: NDArray[np.uint8], info: StoreInfo, seed: int
) -> Verdict:
    """The score and map of one prepared image (H, W, C).

    Raises:
        UserError: the score is not a finite number.
    """
    scores, maps = score_pixels(detector, pixels[None], info, seed, ["the image"])
    return Verdict(float(scores[0]), maps[0].astype(np.float64), pixels)


def reference(
    project: Project,
    dataset: str,
    model: PublishedModel,
    detector: AnomalyDetector,
    store: ImageStore,
) -> Reference:
    """What the pipeline anomaly_evaluation has left of this very model, or why that is nothing."""
    scores, splits = project.scores(dataset, model.name), project.splits(dataset)
    command = f"{project.run_command(dataset)} --pipeline anomaly_evaluation"
    if scores is None or splits is None:
        return Reference(
            absent=f"There are no scores of other images to compare it with yet: `{command}` makes them."
        )
    table = scores.merge(splits[["image_id", "label", "row"]], on="image_id", validate="one_to_one")
    if not same_scores(detector, StoredImages(store), table, seed_of(model)):
        return Reference(
            absent=f"The stored scores are not those of the newest {model.name}: `{command}` makes them anew."
        )
    row = project.detector_row(dataset, model.name, data_hash(store, splits)) or {}
    threshold = row.get("threshold", {})
    return Reference(
        normals={shown: _normal_scores(table, part) for part, shown in NORMALS.items()},
        threshold=threshold.get("value"),
        rule=str(threshold.get("rule", "")),
        map_range=_displayed_map_range(project, dataset, model.name, table),
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
    return table.loc[(table["split"] == part) & (table["label"] == 0), "score"].to_numpy(
        dtype=np.float64
    )


def _displayed_map_range(
    project: Project, dataset: str, name: str, table: pd.DataFrame
) -> tuple[float, float] | None:
    arrays = project.anomaly_maps(dataset, name)
    return None if arrays is None else map_range(arrays, table.loc[table["label"] == 0, "image_id"])
