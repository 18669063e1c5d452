"""A published detector with all that decides how an image comes to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from medgan import models
from medgan.contracts import AnomalyDetector, Refusal
from medgan.endings import unknown
from medgan.environments import Environment
from medgan.evaluation.volumes import MEAN
from medgan.images.config import PreprocessingConfig
from medgan.images.readers.config import ReadingConfig
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.pipelines.preprocessing.nodes import store_key
from medgan.project import Project
from medgan.scoring.preparing import check_trained_on, seed_of
from medgan.scoring.reference import Frozen, frozen
from medgan.training.runtime import Runtime


@dataclass(frozen=True)
class Trained:
    """The newest version of a detector."""

    data_set: str
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
        """What scored the images, as JSON. Nothing secret: the key of the pseudonyms is left out."""
        reading = {name: value for name, value in asdict(self.reading).items() if name != "pseudonym_key"}
        shape = ("size", "channels", "intensity", "crop")
        threshold = self.frozen and {
            "rule": self.frozen.rule,
            "value": self.frozen.value,
            "frozen_on": f"validation {self.frozen.unit}s",
            "validation_normals": len(self.frozen.normals),
        }
        return {
            "data_set": self.data_set,
            "model": self.published.name,
            "version": self.version,
            "key": self.published.key,
            "threshold": threshold,
            "reading": reading,
            "preprocessing": {name: value for name, value in asdict(self.preprocessing).items() if name in shape},
        }


def detector_named(name: str) -> str:
    """The detector that a user means: `HealthyGAN`, `f-AnoGAN` and `nearest neighbour` are understood.

    Raises:
        Refusal: there is none of that name.
    """
    known = {_plain(one): one for one in models.detectors()}
    if _plain(name) not in known:
        raise Refusal(unknown("detector", name, models.detectors()).message)
    return known[_plain(name)]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def trained(project: Project, environment: Environment, model: str, threshold: bool) -> Trained:
    """The newest version of a detector, after checks that it, the images, the configuration and the threshold belong to each other.

    Raises:
        Refusal: the model is unknown or not trained, or any of the four has changed since.
    """
    name, data_set = detector_named(model), environment.data_set()
    if not project.trained(data_set, [name]):
        raise Refusal(
            f"{name} is not trained on {data_set}: `{environment.command('gan_training')}` trains it{_others(project, data_set)}."
        )
    version = project.version(data_set, name)
    published, store = project.published(data_set, name), project.store(data_set)
    check_trained_on(published, store, environment.command("gan_training"))
    preprocessing = environment.preprocessing(store.info)
    _check_crop(project, environment, store, preprocessing)
    detector: Any = published.build().to(Runtime.detect().device)
    command = environment.command("anomaly_evaluation")
    return Trained(
        data_set=data_set,
        version=version,
        published=published,
        detector=detector,
        store=store,
        reading=environment.reading(),
        preprocessing=preprocessing,
        frozen=frozen(project, data_set, published, detector, store, command) if threshold else None,
        batch_size=environment.parameters()["evaluation"].batch_size,
    )


def _others(project: Project, data_set: str) -> str:
    others: Iterable[str] = project.trained(data_set, models.detectors())
    return f"; trained are {', '.join(others)}" if others else ""


def _check_crop(project: Project, environment: Environment, store: ImageStore, config: PreprocessingConfig) -> None:
    """Refuses a crop that is not that of the store, which names it in its key only."""
    manifest = project.manifest(environment.data_set())
    if manifest is not None and store.info.source_key and store_key(manifest, config, store.info.classes) != store.info.source_key:
        raise environment.changed()
