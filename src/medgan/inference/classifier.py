"""A published classifier arm, its temperature, and how images are prepared for it.

`medgan classify` and the ONNX export read them here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from medgan import models
from medgan.errors import UserError
from medgan.evaluation.classifier import class_probabilities
from medgan.evaluation.domain import Domain
from medgan.evaluation.results import ClassifierResult
from medgan.evaluation.saliency import NO_CAPTUM, saliency
from medgan.files.documents import to_json
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore
from medgan.images.transforms import crop_padding
from medgan.inference import cautions
from medgan.inference.published import Published, load_published, network_inputs
from medgan.pipelines.arms import ARMS, pipeline_of
from medgan.pipelines.outputs import Classification
from medgan.project.artifacts import Project
from medgan.project.environment import Environment
from medgan.stats.calibration import scaled
from medgan.training.runtime import Runtime

PROBES = 4
"""Stored images that are classified again to see whether the evaluation is of this model."""
PROBE_TOLERANCE = 0.02
"""Of a probability, between devices or numbers of threads."""


@dataclass(frozen=True)
class TrainedClassifier(Published):
    """The newest version of an arm."""

    arm: str
    model: nn.Module
    """In eval mode, on the device."""
    evaluation: ClassifierResult
    temperature: float
    """1 where validation chose none."""
    domain: Domain
    _at_work: Lock = field(default_factory=Lock, repr=False)
    """Saliency hooks into the model, which sessions of the app share."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The first is `normal`."""
        return self.published.spec.classes

    @property
    def several(self) -> bool:
        """Whether an image may be of several classes."""
        return bool(self.published.configuration.get("several"))

    @property
    def cautions(self) -> Iterator[str]:
        """What has to be known before its probabilities are believed."""
        yield from cautions.of_model(self.published)
        scaling = self.evaluation.scaled
        yield from cautions.of_skill(
            self.evaluation.auroc, "not shown to tell anomalous images from normal ones"
        )
        if self.several:
            yield "its probabilities are not calibrated: each finding has one of its own"
        elif scaling is None or scaling.temperature is None:
            yield "its probabilities are not calibrated: validation has one class only"

    def inputs(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Convert prepared images (n, h, w, C) to inputs (n, C, size, size) on the device."""
        return network_inputs(pixels, self.store.info).to(Runtime.detect().device)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Compute probabilities (n, K) of prepared images (n, h, w, C), calibrated where an image is
        of one class.
        """
        with self._at_work:
            found: Any = self.model.probabilities(self.inputs(pixels))  # type: ignore[operator]
        raw = found.cpu().double().numpy()
        return raw if self.several else scaled(raw, self.temperature)

    def saliency(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Compute Grad-CAM maps (n, h, w) of the most probable classes of prepared images
        (n, h, w, C).

        Raises:
            UserError: captum is not installed.
        """
        inputs, info = self.inputs(pixels), self.store.info
        try:
            with self._at_work:
                targets = self.model.probabilities(inputs).argmax(1).clone()  # type: ignore[operator]
                found = saliency(self.model.network, inputs, targets)
        except ImportError:
            raise UserError(f"Saliency is {NO_CAPTUM}.") from None
        return crop_padding(found, info.height, info.width)

    def card(self) -> dict[str, Any]:
        """Describe the classifier as JSON, without the key of the pseudonyms."""
        scaling = self.evaluation.scaled
        return {
            "dataset": self.dataset,
            "arm": self.arm,
            "trained_on": self.published.card["title"],
            "network": self.evaluation.network,
            "version": self.version,
            "key": self.published.key,
            "classes": list(self.classes),
            "temperature": self.temperature,
            "calibrated_on": f"{scaling.n_validation} validation images" if scaling else None,
            "test": {
                name: to_json(self.evaluation.metric(name))
                for name in ("auroc", "balanced_accuracy")
            },
            "n_test_images": self.evaluation.n_images,
            "domain": to_json(self.domain.limits),
            "cautions": list(self.cautions),
            "preprocessing": self.preparation,
        }


def arm_named(name: str) -> str:
    """Find an arm by its name; hyphens count as underscores.

    Raises:
        UserError: there is none of that name.
    """
    plain = name.lower().replace("-", "_")
    if plain not in ARMS:
        raise models.not_among(list(ARMS), "arm", name)
    return plain


def trained_classifier(project: Project, environment: Environment, arm: str) -> TrainedClassifier:
    """Load the newest version of an arm with its evaluation.

    Raises:
        UserError: it is not trained or evaluated, or the model, its evaluation, the stored images
            and the configuration do not belong to each other.
    """
    dataset = environment.dataset()
    command = f"{environment.command(pipeline_of(arm, 'classifier_training'))} --tags {arm}"
    loaded = load_published(project, environment, arm, command, list(ARMS))
    model = loaded["published"].build().to(Runtime.detect().device)
    found: Classification | None = project.read(dataset, f"{arm}.classification")
    if found is None or not _is_of(found, model, project, dataset, loaded["store"]):
        raise UserError(
            f"The evaluation of {arm} on {dataset} is missing or not that of its newest version: "
            f"`{command}` evaluates it."
        )
    scaling = found.evaluation.scaled
    chosen = scaling.temperature if scaling is not None else None
    assert found.domain is not None and found.domain_reference is not None  # noqa: S101, PT018
    return TrainedClassifier(
        **loaded,
        arm=arm,
        model=model,
        evaluation=found.evaluation,
        temperature=chosen if isinstance(chosen, float) else 1.0,
        domain=Domain(found.domain, dict(found.domain_reference)),
    )


def _is_of(
    found: Classification, model: nn.Module, project: Project, dataset: str, store: ImageStore
) -> bool:
    """Whether the model gives the first stored images the probabilities of an evaluation."""
    splits = project.splits(dataset)
    if splits is None or found.probabilities is None or found.domain_reference is None:
        return False
    known = dict(zip(splits["image_id"].astype(str), splits["row"], strict=True))
    names = found.probabilities["image_id"][:PROBES]
    if not all(name in known for name in names):
        return False
    rows = np.array([known[name] for name in names], dtype=np.int64)
    again = class_probabilities(model, StoredImages(store), rows)
    stored = found.probabilities["probabilities"][:PROBES]
    return stored.shape == again.shape and bool(np.allclose(again, stored, atol=PROBE_TOLERANCE))
