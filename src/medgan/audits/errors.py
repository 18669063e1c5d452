"""The errors of a detector: a random sample of them, and the slices that decided volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medgan.audits import results
from medgan.audits.scored import ScoredDetector
from medgan.evaluation.examples import ERRORS, random_errors, with_kinds
from medgan.evaluation.score_table import scored_images
from medgan.evaluation.volumes import NO_VOLUMES, by_volume, scored_unit, with_positions

MOST_ANOMALOUS = 10
"""Volumes with the highest scores that are listed."""
WORST = 3
"""Slices of each that are named."""
DESCRIBED = ("image_id", "category", "score", "sex", "age_band", "site")


def describe_errors(
    detector: ScoredDetector, splits: pd.DataFrame, count: int, seed: int
) -> results.RandomErrors:
    """Draw `count` false negatives and false positives at random, at the frozen threshold."""
    test = detector.test(splits)
    kinds = with_kinds(test, detector.threshold)["kind"]
    drawn = random_errors(test, detector.threshold, count, seed)
    described = drawn.reindex(columns=[*DESCRIBED, "kind"]).astype(object)
    described = described.where(described.notna(), None)
    samples = []
    for kind in ERRORS:
        rows = described.loc[described["kind"] == kind, list(DESCRIBED)].to_numpy()
        samples.append(
            results.ErrorSample(
                int((kinds == kind).sum()), [results.ErrorExample(*row) for row in rows]
            )
        )
    return results.RandomErrors(detector.threshold, seed, *samples)


def describe_worst_slices(
    detector: ScoredDetector, splits: pd.DataFrame, count: int, seed: int
) -> results.WorstSlices:
    """List the most anomalous test volumes, then `count` errors, each with its highest slices.

    Errors that are among the most anomalous volumes are not listed twice.
    """
    test = scored_images(detector.scores, splits, "test")
    if scored_unit(test) == "image":
        return results.WorstSlices((), reason=NO_VOLUMES)
    slices = with_positions(test[test["volume"].notna()])
    judged = with_kinds(by_volume(slices, detector.aggregate), detector.threshold)
    highest = judged.nlargest(MOST_ANOMALOUS, "score")
    drawn = random_errors(judged, detector.threshold, count, seed)
    others = drawn[~drawn["volume"].isin(highest["volume"])]
    highest = highest.assign(chosen_as="most anomalous")
    chosen = pd.concat([highest, others.assign(chosen_as=others["kind"])])
    parts = dict(list(slices[slices["volume"].isin(chosen["volume"])].groupby("volume")))
    return results.WorstSlices(
        [_volume(row, parts[row["volume"]]) for row in chosen.to_dict("records")],
        detector.aggregate,
        detector.threshold,
        len(judged),
        int(judged["label"].sum()),
    )


def _volume(row: Mapping[Any, Any], slices: pd.DataFrame) -> results.Volume:
    return results.Volume(
        volume=str(row["volume"]),
        chosen_as=str(row["chosen_as"]),
        kind=str(row["kind"]),
        category=str(row["category"]),
        label=int(row["label"]),
        score=float(row["score"]),
        n_slices=int(row["n_slices"]),
        worst=[
            results.Slice(
                slice=_named(one),
                position=int(one["position"]),
                of=int(one["n_slices"]),
                score=float(one["score"]),
                image_id=str(one["image_id"]),
            )
            for one in slices.nlargest(WORST, "score").to_dict("records")
        ],
    )


def _named(row: Mapping[Any, Any]) -> str | None:
    """The number of the slice in its file, from 0, or its place in mm, as a DICOM header has it."""
    place = row.get("slice")
    if not isinstance(place, str) or not place:
        return None
    return place if str(row["image_id"]).endswith(f"/{place}") else f"{place} mm"
