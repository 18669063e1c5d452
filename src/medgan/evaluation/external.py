"""External validation: the model of another dataset on the test images of this one, with the
threshold that was frozen there.

Nothing is fitted here: neither weights, nor a threshold, nor a scale of scores. The loss against
the metrics at home is what a change of hospital, scanner and patients costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from medgan.errors import UserError
from medgan.evaluation.details import ExternalResult
from medgan.evaluation.metrics import AUROC, DETECTOR, SENSITIVITY, SPECIFICITY, measured, missing
from medgan.evaluation.results import DetectorResult, VolumeScoring
from medgan.evaluation.score_table import counts, joined
from medgan.evaluation.volumes import scored_unit
from medgan.stats.bootstrap import IMAGE_INTERVALS_ARE
from medgan.stats.classification import Predictions, confusion

NOT_ASKED = "no other data set's model was asked for: --params evaluation.model_from=<data set>"
UNCHECKED = (
    "Whether images of the two data sets are the same could not be checked: "
    "the splits of the other one are not here."
)
PATIENTS = (
    "No image of the test split is among the images of the other data set, pixel for pixel; "
    "nothing tells whether patients are."
)
HOME = (AUROC, SENSITIVITY, SPECIFICITY)


def claim(trained_on: str) -> str:
    """What such a row says of itself."""
    return f"external: trained on {trained_on}, threshold frozen there"


def not_asked() -> ExternalResult:
    """The result where no external validation was asked for."""
    return ExternalResult(claim=NOT_ASKED, trained_on=None, metrics=missing(DETECTOR, NOT_ASKED))


@dataclass(frozen=True)
class Origin:
    """The dataset that a detector was trained on."""

    dataset: str
    overlap: str
    """What is known of images that are in both datasets, a sentence."""


@dataclass(frozen=True)
class Images:
    """Images as a model takes them."""

    image_size: tuple[int, ...]
    channels: int
    intensity: str | None

    def __str__(self) -> str:
        size = " x ".join(map(str, self.image_size)) or "?"
        return f"{size} px, channels {self.channels}, intensity {self.intensity}"


def require_fit(name: str, trained_on: str, there: Images, here: Images) -> None:
    """Check that the images of this dataset are such as the model was trained on.

    Raises:
        UserError: size, channels or intensity differ.
    """
    if there != here:
        raise UserError(
            f"{name} of '{trained_on}' takes {there}, and the stored images are {here}: "
            "give this data set an environment whose preprocessing is that of the other one."
        )


def require_unseen(splits: pd.DataFrame, other: pd.DataFrame | None, trained_on: str) -> str:
    """Describe what is known of images that both datasets have, as a sentence.

    Raises:
        UserError: a test image is an image of the other dataset.
    """
    if other is None or not {"pixel_hash"} <= set(splits.columns) & set(other.columns):
        return UNCHECKED
    test = splits[splits["split"] == "test"]
    shared = test.loc[test["pixel_hash"].isin(set(other["pixel_hash"])), "image_id"]
    if len(shared):
        raise UserError(
            f"{len(shared)} test images are images of '{trained_on}' too (the first is "
            f"{shared.iloc[0]}): a validation on them is not external; choose another data set."
        )
    return PATIENTS


def evaluate_externally(
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    home: DetectorResult,
    origin: Origin,
    n_resamples: int = 1000,
    seed: int = 0,
) -> ExternalResult:
    """Evaluate the detector of another dataset on the test images of this one.

    `home` is its result there, whose threshold and aggregate of slices are taken as they are;
    scores and splits are those of this dataset.
    """
    test = joined(scores, splits, "test", home.aggregate)
    values, labels = test["score"].to_numpy(dtype=np.float64), test["label"].to_numpy()
    predictions = Predictions(labels, values, home.threshold.decide(values))
    groups, known = test["group_id"].to_numpy(), bool(test["group_known"].all())
    frozen = VolumeScoring(aggregate=home.aggregate, chosen_by=f"frozen on {origin.dataset}")
    key = home.published_key
    return ExternalResult(
        claim=claim(origin.dataset),
        trained_on=origin.dataset,
        published_key=key if isinstance(key, str) else None,
        metrics=measured(DETECTOR, predictions, groups, n_resamples, seed),
        **counts(test),
        n_anomalous=int(labels.sum()),
        threshold=home.threshold,
        volume_score=frozen if scored_unit(test) == "volume" else None,
        sees_mix=home.sees_mix,
        labels_used=home.labels_used,
        confusion_matrix=confusion(labels, predictions.decisions),
        at_home={metric.key: home.metric(metric) for metric in HOME},
        warnings=(origin.overlap, *([] if known else [IMAGE_INTERVALS_ARE])),
    )
