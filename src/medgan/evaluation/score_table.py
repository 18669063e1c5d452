"""Images with their scores, labels and decisions in one table, and what has to hold of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from medgan.errors import UserError
from medgan.evaluation.results import DetectorResult
from medgan.evaluation.scores import require_finite
from medgan.evaluation.volumes import by_volume, scored_unit, units_of

EVALUATED = ("val", "test")


def judged(scores: pd.DataFrame, splits: pd.DataFrame, result: DetectorResult) -> pd.DataFrame:
    """One row for each validation and test image of an evaluated detector.

    The columns are those of `splits` (split, label, category, group_id ...), `score`, `unit`: the
    image or volume that is judged, and `called`: its decision at the frozen threshold, 0 or 1.
    """
    parts = []
    for part in EVALUATED:
        images = scored_images(scores, splits, part)
        units = by_volume(images, result.aggregate)
        decisions = result.threshold.decide(units["score"].to_numpy())
        called = dict(zip(units_of(units), decisions, strict=True))
        unit = units_of(images)
        parts.append(images.assign(unit=unit, called=unit.map(called)))
    return pd.concat(parts, ignore_index=True)


def units_in(table: pd.DataFrame, part: str, result: DetectorResult) -> pd.DataFrame:
    """The images or volumes of a split in a table of `judged`."""
    images = table[table["split"] == part].reset_index(drop=True)
    return by_volume(images, result.aggregate)


def joined(scores: pd.DataFrame, splits: pd.DataFrame, part: str, aggregate: str) -> pd.DataFrame:
    """The images of a split with their scores, in the order of `splits`; slices as one row for each
    volume, scored by `aggregate`. Raises as `scored_images` does.
    """
    return by_volume(scored_images(scores, splits, part), aggregate)


def scored_images(scores: pd.DataFrame, splits: pd.DataFrame, part: str) -> pd.DataFrame:
    """The images of a split with their scores, in the order of `splits`; each slice of a volume is
    one.

    Raises:
        UserError: images have no score, more than one, or one that is not finite; or the split is
            empty.
    """
    images = splits.loc[splits["split"] == part]
    if images.empty:
        raise UserError(
            f"The split '{part}' has no image, so nothing can be evaluated: "
            "see preprocessing.fractions."
        )
    if scores["image_id"].duplicated().any():
        raise UserError(
            "The table of scores names an image twice: delete it and run "
            "'kedro run --pipeline anomaly_evaluation' again."
        )
    of_images = scores[["image_id", "score"]]
    table = images.merge(of_images, on="image_id", how="left", validate="one_to_one")
    finite = np.isfinite(table["score"].to_numpy(dtype=np.float64))
    require_finite(finite, table["image_id"].tolist())
    return table


def counts(test: pd.DataFrame) -> dict[str, Any]:
    """n_images (volumes count as one), what one of them is, n_patients (None where unknown), and
    the unit that intervals resample.
    """
    patients = patients_in(test)
    return {
        "n_images": len(test),
        "scored_unit": scored_unit(test),
        "n_patients": patients,
        "interval_unit": "image" if patients is None else "patient",
    }


def patients_in(images: pd.DataFrame) -> int | None:
    """Count patients; None where one is not known."""
    return int(images["group_id"].nunique()) if images["group_known"].all() else None


def require_real(test: pd.DataFrame) -> None:
    """Check that all test images are real ones.

    Raises:
        UserError: a test image is synthetic, by its `provenance`.
    """
    if "provenance" in test and not (test["provenance"] == "real").all():
        planted = test.loc[test["provenance"] != "real", "image_id"]
        raise UserError(
            f"{len(planted)} test images are not real ones (the first is {planted.iloc[0]}): "
            "take synthetic images out of the test split."
        )


def require_unseen(splits: pd.DataFrame) -> None:
    """Check that no test image, nor one of the same pixels, is a training image.

    Raises:
        UserError: names the first test image that a training may have seen.
    """
    training, test = (splits[splits["split"] == part] for part in ("train", "test"))
    for key in ("image_id", "pixel_hash"):
        if key not in splits:
            continue
        seen = test.loc[test[key].isin(training[key].dropna()), "image_id"]
        if len(seen):
            raise UserError(
                f"{len(seen)} test images stand in the training part too "
                f"(the first is {seen.iloc[0]}): "
                "set preprocessing.on_leak to drop_from_train, and run 'kedro run' again."
            )
