"""What the evaluation of a detector has frozen: the threshold, and how the normal validation images score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import AnomalyDetector, Refusal
from medgan.evaluation.detectors import joined
from medgan.evaluation.operating_points import frozen_on
from medgan.evaluation.volumes import aggregate_of
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.project import Project
from medgan.scoring.preparing import map_range, same_scores, seed_of

JUDGED: Mapping[str, frozenset[str]] = {"image": frozenset({"image", "slice"}), "volume": frozenset({"image", "volume"})}
"""What the threshold was frozen on -> units that it may be applied to: the score of a volume spreads otherwise than those of its slices."""


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
    """Lowest value, and 99.5th percentile, of the anomaly maps of normal validation images; None where there are none."""

    def decision(self, score: float) -> str:
        """Normal or anomalous."""
        return "anomalous" if score >= self.value else "normal"

    def percentile(self, score: float) -> float:
        """Percent of the normal validation images (or volumes) with a lower score."""
        return 100.0 * float(np.searchsorted(self.normals, score, side="left")) / len(self.normals)

    def judges(self, unit: str) -> bool:
        """Whether the threshold may be applied to an image, slice or volume."""
        return unit in JUDGED[self.unit]


def frozen(project: Project, data_set: str, model: PublishedModel, detector: AnomalyDetector, store: ImageStore, command: str) -> Frozen:
    """What the pipeline anomaly_evaluation has left of this very model.

    Args:
        project: where it lies.
        data_set: name of the data set.
        model: the published model.
        detector: the same, built.
        store: the image store that it was trained on.
        command: the command that evaluates it, for messages.

    Raises:
        Refusal: there is no evaluation, or it is one of another version of the model.
    """
    row, scores, splits = project.evaluation(data_set, model.name), project.scores(data_set, model.name), project.splits(data_set)
    if row is None or scores is None or splits is None:
        raise Refusal(
            f"{model.name} has no threshold on {data_set} yet: `{command}` makes one, or --no-threshold gives scores without decisions."
        )
    stale = Refusal(
        f"The evaluation of {model.name} on {data_set} is not that of its newest version: `{command}` makes it anew, "
        "or --no-threshold gives scores without decisions."
    )
    known = splits.loc[splits["image_id"].isin(scores["image_id"]), ["image_id", "row"]].merge(scores, on="image_id")
    if known.empty or not same_scores(detector, StoredImages(store), known, seed_of(model)):
        raise stale
    validation = joined(scores, splits, "val", aggregate_of(row))
    rule, value = str(row["threshold"]["rule"]), float(row["threshold"]["value"])
    again = frozen_on(validation, rule.split()[0]).value  # the written one, unless the scores were made anew since
    if not np.isclose(again, value, rtol=1e-6, atol=0.0):
        raise stale
    normals = np.sort(validation.loc[validation["label"] == 0, "score"].to_numpy(dtype=np.float64))
    shown = splits.loc[(splits["split"] == "val") & (splits["label"] == 0), "image_id"]
    return Frozen(rule, value, _unit(row), aggregate_of(row), normals, _map_range(project, data_set, model.name, shown))


def _unit(row: Mapping[str, Any]) -> str:
    return "volume" if row.get("scored_unit") == "volume" else "image"


def _map_range(project: Project, data_set: str, name: str, image_ids: pd.Series[str]) -> tuple[float, float] | None:
    arrays = project.anomaly_maps(data_set, name)
    return None if arrays is None else map_range(arrays, image_ids)
