"""External validation: the model of another data set, with the threshold that was frozen there, on
this data set's test images.

Nothing is fitted here: neither weights, nor a threshold, nor a scale of scores. What falls against
the figures at home is what a change of hospital, scanner and patients costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from medgan.errors import UserError
from medgan.evaluation.detector import counts, joined
from medgan.evaluation.results import DETECTOR_FIGURES
from medgan.evaluation.volumes import aggregate_of, scored_unit
from medgan.stats.bootstrap import IMAGE_INTERVALS_ARE, Estimate, estimates
from medgan.stats.classification import confusion, decision_metrics, ranking_metrics

NOT_ASKED = "no other data set's model was asked for: --params evaluation.model_from=<data set>"
UNCHECKED = "Whether images of the two data sets are the same could not be checked: the splits of the other one are not here."
PATIENTS = "No image of the test split is among the images of the other data set, pixel for pixel; nothing tells whether patients are."
HOME = ("auroc", "sensitivity", "specificity")


def claim(trained_on: str) -> str:
    """What such a row says of itself."""
    return f"external: trained on {trained_on}, threshold frozen there"


def not_asked() -> dict[str, Any]:
    """The document where nobody asked for an external validation."""
    missing = Estimate(None, reason=NOT_ASKED).as_dict()
    return {"claim": NOT_ASKED, "trained_on": None, **dict.fromkeys(DETECTOR_FIGURES, missing)}


def require_fit(
    name: str, trained_on: str, card: Mapping[str, Any], channels: int, here: Mapping[str, Any]
) -> None:
    """Nothing where images of this data set are such as the model was trained on.

    Args:
        name: of the model.
        trained_on: the other data set.
        card: of the published model: image_size and intensity.
        channels: of the model.
        here: image_size, channels and intensity of the stored images.

    Raises:
        UserError: size, channels or intensity differ.
    """
    there = {
        "image_size": list(card.get("image_size", [])),
        "channels": channels,
        "intensity": card.get("intensity"),
    }
    if there != dict(here):
        raise UserError(
            f"{name} of '{trained_on}' takes {_described(there)}, and the stored images are {_described(here)}: "
            "give this data set an environment whose preprocessing is that of the other one."
        )


def _described(images: Mapping[str, Any]) -> str:
    return f"{' x '.join(map(str, images['image_size'])) or '?'} px, channels {images['channels']}, intensity {images['intensity']}"


def require_unseen(splits: pd.DataFrame, other: pd.DataFrame | None, trained_on: str) -> str:
    """What is known of images that both data sets have, as a sentence.

    Raises:
        UserError: a test image is an image of the other data set.
    """
    if other is None or not {"pixel_hash"} <= set(splits.columns) & set(other.columns):
        return UNCHECKED
    test = splits[splits["split"] == "test"]
    shared = test.loc[test["pixel_hash"].isin(set(other["pixel_hash"])), "image_id"]
    if len(shared):
        raise UserError(
            f"{len(shared)} test images are images of '{trained_on}' too (the first is {shared.iloc[0]}): "
            "a validation on them is not external; choose another data set."
        )
    return PATIENTS


def evaluate_externally(
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    home: Mapping[str, Any],
    trained_on: str,
    known: str,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """The row of another data set's detector on this one's test images.

    Args:
        scores: image_id, split and score of the test images here.
        splits: of this data set, with the test labels.
        home: the row of the detector on its own data set, whose threshold and score of volumes are
            taken as they are.
        trained_on: that data set.
        known: what is known of images in both, a sentence.
        n_resamples: resamples of patients.
        seed: of the resamples.

    Returns:
        The figures of a row of results.json, with `claim`, `trained_on` and, under `at_home`, the
        same figures on the other test images.
    """
    test = joined(scores, splits, "test", aggregate_of(home))
    volumes = scored_unit(test) == "volume"
    labels, values = test["label"].to_numpy(), test["score"].to_numpy(dtype=np.float64)
    decisions = (values >= float(home["threshold"]["value"])).astype(np.int64)
    found = estimates(
        {**ranking_metrics(labels, values), **decision_metrics(labels, decisions)},
        test["group_id"].to_numpy(),
        n_resamples,
        seed,
    )
    return {
        "claim": claim(trained_on),
        "trained_on": trained_on,
        "published_key": home.get("published_key"),
        **{name: estimate.as_dict() for name, estimate in found.items()},
        **counts(test),
        "n_anomalous": int(labels.sum()),
        "threshold": dict(home["threshold"]),
        **(
            {
                "volume_score": {
                    "aggregate": aggregate_of(home),
                    "chosen_by": f"frozen on {trained_on}",
                }
            }
            if volumes
            else {}
        ),
        "sees_mix": home["sees_mix"],
        "labels_used": home["labels_used"],
        "confusion_matrix": confusion(labels, decisions),
        "at_home": {name: home[name] for name in HOME},
        "warnings": [known, *([] if test["group_known"].all() else [IMAGE_INTERVALS_ARE])],
    }
