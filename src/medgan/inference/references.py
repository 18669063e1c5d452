"""What a score is read beside: validation images with known labels, and the classifiers of the project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.examples import most_confident_examples
from medgan.evaluation.score_table import joined
from medgan.inference.classifier import TrainedClassifier, trained_classifier
from medgan.inference.trained import Trained
from medgan.pipelines.arms import ARMS
from medgan.project.artifacts import Project


@dataclass(frozen=True)
class Reference:
    """A validation image and what the detector said of it."""

    kind: str
    """Such as `true positive`."""
    category: str
    score: float
    pixels: NDArray[np.uint8]
    """(h, w, C)."""
    anomaly_map: NDArray[Any] | None
    """(h, w); None where maps were not stored."""


def references(project: Project, using: Trained) -> list[Reference]:
    """Return the most confident validation image of each kind: right and wrong, at the threshold.

    Kinds that validation does not have are left out.
    """
    name = using.published.name
    scores, splits = project.scores(using.dataset, name), project.splits(using.dataset)
    if using.frozen is None or scores is None or splits is None:
        return []
    validation = joined(scores, splits, "val", using.aggregate)
    chosen = most_confident_examples(validation, using.frozen.value, 1)
    maps = project.anomaly_maps(using.dataset, name)
    of_image = {} if maps is None else dict(zip(maps["image_id"], maps["maps"], strict=True))
    rows = chosen["row"].to_numpy(dtype=np.int64)
    if not len(rows):
        return []
    pixels = using.store.read(rows)
    return [
        Reference(
            str(row["kind"]),
            str(row["category"]),
            float(row["score"]),
            image,
            of_image.get(row["image_id"]),
        )
        for row, image in zip(chosen.to_dict("records"), pixels, strict=True)
    ]


def classifier_of(project: Project, using: Trained) -> TrainedClassifier | None:
    """Load the first arm that was trained on the images of a detector; None where there is none.

    Raises:
        UserError: it was not evaluated, or does not fit the configuration.
    """
    for arm in project.trained(using.dataset, list(ARMS)):
        if project.published(using.dataset, arm).card.get("images") == using.store.key:
            return trained_classifier(project, project.environment(using.dataset), arm)
    return None
