"""A published detector, its frozen threshold, and the scale of its anomaly maps.

`medgan score`, the app and the ONNX export all read them here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any, Self, TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medgan import models
from medgan.contracts import AnomalyDetector
from medgan.errors import UserError
from medgan.evaluation.domain import OUTSIDE, Domain
from medgan.evaluation.score_table import joined
from medgan.evaluation.scores import Batches, Images, Scored, score_images
from medgan.evaluation.volumes import MEAN
from medgan.files.documents import to_json
from medgan.images.loading import StoredImages
from medgan.images.resizing import as_image, crop_image
from medgan.images.store import StoreInfo
from medgan.images.tiles import TiledScore, score_in_tiles
from medgan.images.transforms import crop_padding
from medgan.inference import cautions
from medgan.inference.published import Published, load_published, network_inputs
from medgan.pipelines.arms import pipeline_of
from medgan.pipelines.outputs import Arrays, Evaluation
from medgan.plots.anomaly_maps import MapScale, normal_scale
from medgan.project.artifacts import Project
from medgan.project.environment import Environment
from medgan.stats.thresholds import Threshold, frozen_on, rule_of
from medgan.training.runtime import Runtime

PROBES = 4
"""Stored images that are scored again to see whether the stored scores are of this model."""
PROBE_TOLERANCE = 0.02
"""Relative difference of a score between devices or numbers of threads."""
JUDGED: Mapping[str, frozenset[str]] = {
    "image": frozenset({"image", "slice"}),
    "volume": frozenset({"image", "volume"}),
}
"""Unit of the evaluation -> units that its threshold applies to. Scores of volumes and of slices
are distributed differently.
"""


class NotEvaluated(UserError):
    """There is no evaluation of this version of a detector."""


ScoresAndMaps: TypeAlias = "tuple[NDArray[np.float32], Sequence[NDArray[np.float16]]]"
"""Of images: scores (n,), and a map (h, w) of each."""


@dataclass(frozen=True)
class Frozen:
    """What the evaluation of a detector froze on validation."""

    rule: str
    value: float
    """The threshold: a score at or above it is called anomalous."""
    unit: str
    """image or volume: what one score of the evaluation is."""
    aggregate: str
    """How the scores of slices become the score of a volume."""
    normals: NDArray[np.float64]
    """Scores (n,) of the normal validation images or volumes, sorted."""
    test_normals: NDArray[np.float64]
    """Scores (m,) of the normal test images or volumes, sorted."""
    scale: MapScale | None
    """Of all anomaly maps; None where no maps were stored."""
    domain: Domain
    """Images outside of it get no verdict."""
    cautions: tuple[str, ...] = ()
    """What is weak about the evaluation."""

    def decision(self, score: float) -> str:
        """Normal or anomalous."""
        return "anomalous" if score >= self.value else "normal"

    def percentile(self, score: float) -> float:
        """Percent of the normal validation images (or volumes) with a lower score."""
        return 100.0 * float(np.searchsorted(self.normals, score, side="left")) / len(self.normals)

    def judges(self, unit: str) -> bool:
        """Whether the threshold applies to an image, slice or volume."""
        return unit in JUDGED[self.unit]


@dataclass(frozen=True)
class Trained(Published):
    """The newest version of a detector."""

    detector: AnomalyDetector
    """In eval mode, on the device."""
    batch_size: int
    frozen: Frozen | None = None

    @property
    def seed(self) -> int:
        """Seed with which the pipelines trained the model and scored images."""
        return int(self.published.card.get("seed", 0))

    @property
    def cautions(self) -> tuple[str, ...]:
        """What has to be known before its scores are believed; nothing for a sound detector."""
        return (
            *cautions.of_model(self.published),
            *(self.frozen.cautions if self.frozen else ()),
        )

    @property
    def aggregate(self) -> str:
        """How the scores of slices become the score of a volume; the mean without an evaluation."""
        return self.frozen.aggregate if self.frozen else MEAN

    def score(self, pixels: Sequence[NDArray[np.uint8]], names: Sequence[str]) -> ScoresAndMaps:
        """Score a batch of prepared images, see `score_pixels`."""
        info, stacked = self.store.info, np.stack(pixels)
        scores, maps = score_pixels(self.detector, stacked, info, self.seed, names)
        return scores, list(maps)

    def verdict(self, score: float, unit: str = "image", outside: str = "") -> str:
        """Name the score, and the decision where the threshold applies to the unit.

        For an image outside the domain there is no decision. A caution, if any, stands at the end.
        """
        said = f"{self.published.name}: score {score:.4g}"
        if outside:
            return f"{said}, {OUTSIDE}"
        if self.frozen is None or not self.frozen.judges(unit):
            return said
        caution = f"; {self.cautions[0]}" if self.cautions else ""
        decided = self.frozen.decision(score)
        return f"{said}, {decided} (threshold {self.frozen.value:.4g}){caution}"

    def card(self) -> dict[str, Any]:
        """Describe the detector as JSON, without the key of the pseudonyms."""
        reading = asdict(self.reading)
        del reading["pseudonym_key"]
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
            "domain": self.frozen and to_json(self.frozen.domain.limits),
            "cautions": list(self.cautions),
            "reading": reading,
            "preprocessing": self.preparation,
        }


def trained(project: Project, environment: Environment, model: str) -> Trained:
    """Load the newest version of a detector, without its threshold.

    Raises:
        UserError: the model is unknown or not trained, or the model, the stored images and the
            configuration do not belong to each other.
    """
    name = detector_named(model)
    command = environment.command(pipeline_of(name, "gan_training"))
    found = load_published(project, environment, name, command, models.detectors())
    detector: Any = found["published"].build().to(Runtime.detect().device)
    size = environment.parameters()["evaluation"].batch_size
    return Trained(**found, detector=detector, batch_size=size)


def detector_named(name: str) -> str:
    """Find a detector by its name; case, spaces and hyphens do not count.

    Raises:
        UserError: there is none of that name.
    """
    known = {_plain(one): one for one in models.detectors()}
    if _plain(name) not in known:
        raise models.not_among(models.detectors(), "detector", name)
    return known[_plain(name)]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def with_threshold(project: Project, environment: Environment, using: Trained) -> Trained:
    """Add what the evaluation of this version of the detector froze.

    Raises:
        NotEvaluated: there is no evaluation, or it is of another version of the model or of other
            images.
    """
    name, dataset = using.published.name, using.dataset
    command = environment.command(pipeline_of(name, "anomaly_evaluation"))
    evaluation: Evaluation | None = project.read(dataset, f"{name}.evaluation")
    scores, splits = project.scores(dataset, name), project.splits(dataset)
    if evaluation is None or scores is None or splits is None:
        raise NotEvaluated(f"{name} has no threshold on {dataset} yet: `{command}` makes one.")
    found = evaluation.evaluation
    same = _same_scores(using, splits.merge(scores[["image_id", "score"]], on="image_id"))
    validation, test = (joined(scores, splits, part, found.aggregate) for part in ("val", "test"))
    limits, reference = evaluation.domain, evaluation.domain_reference
    if not same or not _gives(found.threshold, validation) or not (limits and reference):
        raise NotEvaluated(
            f"The evaluation of {name} on {dataset} is not that of its newest version: "
            f"`{command}` evaluates it again."
        )
    arrays = project.anomaly_maps(dataset, name)
    normals, test_normals = _normal_scores(validation), _normal_scores(test)
    spread = float(np.ptp(np.concatenate([normals, test_normals])))
    frozen = Frozen(
        rule=found.threshold.rule,
        value=found.threshold.frozen,
        unit=found.scored_unit,
        aggregate=found.aggregate,
        normals=normals,
        test_normals=test_normals,
        scale=_scale(arrays, validation) if arrays is not None else None,
        domain=Domain(limits, dict(reference)),
        cautions=tuple(cautions.of_evaluation(found, len(normals), spread)),
    )
    return replace(using, frozen=frozen)


def _gives(threshold: Threshold, validation: pd.DataFrame) -> bool:
    """Whether the rule of a threshold gives its value on the validation images."""
    again = frozen_on(validation, rule_of(threshold)).frozen
    return bool(np.isclose(again, threshold.frozen, rtol=1e-6, atol=0.0))


def _scale(arrays: Arrays, validation: pd.DataFrame) -> MapScale:
    normal = validation.loc[validation["label"] == 0, "image_id"].to_numpy(dtype=str)
    return normal_scale(arrays["maps"][np.isin(arrays["image_id"], normal)])


def _normal_scores(table: pd.DataFrame) -> NDArray[np.float64]:
    return np.sort(table.loc[table["label"] == 0, "score"].to_numpy(dtype=np.float64))


def _same_scores(using: Trained, table: pd.DataFrame) -> bool:
    """Whether the detector gives the first stored images the scores in the table (row, score)."""
    if table.empty:
        return False
    probes = table.head(PROBES)
    rows = probes["row"].to_numpy(dtype=np.int64)
    names = ["a stored image"] * len(rows)
    found = _scored(using.detector, StoredImages(using.store), rows, using.seed, names)
    slack = 1e-3 * float(np.ptp(table["score"]))
    return bool(np.allclose(found.scores, probes["score"], rtol=PROBE_TOLERANCE, atol=slack))


def score_pixels(
    detector: AnomalyDetector,
    pixels: NDArray[np.uint8],
    info: StoreInfo,
    seed: int,
    names: Sequence[str],
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Compute scores (n,) and maps (n, h, w) of one batch of prepared images (n, h, w, C).

    Raises:
        UserError: a score is not a finite number; it says of which of the `names`.
    """
    images = network_inputs(pixels, info)
    rows = np.arange(len(pixels), dtype=np.int64)
    found = _scored(detector, lambda chosen: images[torch.from_numpy(chosen)], rows, seed, names)
    return found.scores, crop_padding(found.maps, info.height, info.width)


def _scored(
    detector: AnomalyDetector,
    images: Images,
    rows: NDArray[np.int64],
    seed: int,
    names: Sequence[str],
) -> Scored:
    device = str(Runtime.detect().device)
    return score_images(detector, images, rows, Batches(max(len(rows), 1), seed, device), names)


@dataclass(frozen=True)
class InTiles(Trained):
    """A detector that sees images at their own resolution, one tile after the other.

    It should have been trained on tiles: the parts of an image are no images of its data set.
    """

    overlap: float = 0.5

    @classmethod
    def of(cls, using: Trained, overlap: float) -> Self:
        """Let a detector score tiles that overlap by at least this share."""
        return cls(**{one.name: getattr(using, one.name) for one in fields(using)}, overlap=overlap)

    def prepared(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Crop an image (H, W, C) as the image store does, and keep its size."""
        crop, channels = self.preprocessing.crop, self.store.info.channels
        kept = crop_image(image, crop) if crop else image
        return np.asarray(as_image(kept, channels)).reshape(*kept.shape[:2], channels)

    def score(self, pixels: Sequence[NDArray[np.uint8]], names: Sequence[str]) -> ScoresAndMaps:
        """Score images (H, W, C) of any sizes: the highest of their blended maps."""
        size, found = self.store.info.height, list[TiledScore]()
        for image, name in zip(pixels, names, strict=True):
            score = partial(self._score_tiles, name)
            found.append(score_in_tiles(image, size, self.overlap, score, self.batch_size))
        scores = np.array([one.score for one in found], dtype=np.float32)
        return scores, [one.anomaly_map.astype(np.float16) for one in found]

    def _score_tiles(self, name: str, tiles: NDArray[np.uint8]) -> ScoresAndMaps:
        return super().score(list(tiles), [name] * len(tiles))
