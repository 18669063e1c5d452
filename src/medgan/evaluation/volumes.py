"""Aggregate slice scores to one score per volume.

Which aggregate separates volumes best depends on the disease: a diffuse one moves the mean, a focal
one a few slices. So the aggregate is chosen for each detector, on validation alone and before a
test score is read, and frozen like the threshold. The top 10 % follow Pang 2021 (Explainable deep
few-shot anomaly detection with deviation networks: top-K with K = 10 %), who takes image patches.

The maximum rises with the number of slices, and so, less, do the highest 10 %: where volumes of
patients are longer than those of normals, that alone separates their scores. The result says how
well the number of slices alone does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from medgan.evaluation.results import VolumeScoring
from medgan.stats.bootstrap import Estimate, WeightedStatistic, estimates, interval
from medgan.stats.classification import area_of

MEAN = "mean"
AUTO = "auto"
TOP_SHARE = 10
"""One slice in so many counts."""
BY_VALIDATION = "highest validation AUROC over volumes"
BY_TIE = (
    "highest validation AUROC over volumes, reached by several; "
    "the first of mean, top10% and max was taken"
)
BY_ORDER = "fixed before: the validation volumes are not of both classes"
BY_CONFIGURATION = "fixed before: evaluation.volume_score"
NO_VOLUMES = "the images are no slices of volumes"


def top_tenth(scores: pd.Series[float]) -> float:
    """Mean of the highest 10 % of the scores (n,), rounded down to whole slices, and of one at
    least.
    """
    count = max(len(scores) // TOP_SHARE, 1)
    return float(np.sort(scores.to_numpy(dtype=np.float64))[-count:].mean())


AGGREGATES: Mapping[str, str | Callable[[pd.Series[float]], float]] = {
    MEAN: MEAN,
    "top10%": top_tenth,
    "max": "max",
}
"""Name -> how the scores of its slices become that of a volume, as pandas takes it. Of equally good
ones the first wins: the one that leans on single slices the least."""
VOLUME_SCORES = (AUTO, *AGGREGATES)
"""What `evaluation.volume_score` may be."""


@dataclass(frozen=True)
class VolumeScore:
    """How the scores of slices become one of a volume, and why so."""

    aggregate: str
    """A key of AGGREGATES."""
    chosen_by: str
    uses_labels: bool
    """Whether labels of anomalous validation volumes chose it."""


def scored_unit(table: pd.DataFrame) -> str:
    """What a row of `by_volume` is: image or volume."""
    return "volume" if "volume" in table and table["volume"].notna().any() else "image"


def by_volume(table: pd.DataFrame, aggregate: str) -> pd.DataFrame:
    """One row for each volume, with one score of its slices; images that are no slices stay as they
    are.

    The other columns are those of the slice with the highest score, so that pictures of a volume
    show its worst slice; `n_slices` are the slices of the volume that were scored, and `position`
    is the place of the worst one among them, from 1 on.

    Args:
        table: image_id, score, and `volume` (the volume that an image is a slice of) and `slice`
            (its place there) where there are any.
        aggregate: a key of AGGREGATES.
    """
    if scored_unit(table) == "image":
        return table
    unit = units_of(table)
    grouped = table.groupby(unit, sort=False)["score"]
    worst = with_positions(table).loc[grouped.idxmax()]
    return worst.assign(score=grouped.agg(AGGREGATES[aggregate]).to_numpy()).reset_index(drop=True)


def with_positions(slices: pd.DataFrame) -> pd.DataFrame:
    """The slices with `position`, their place in their volume from 1 on, and `n_slices`, how many
    of it there are.

    They are in the order of the numbers in `slice`; where those are unknown, in that of their
    names.
    """
    number = pd.to_numeric(slices.reindex(columns=["slice"])["slice"], errors="coerce")
    ordered = slices.assign(number=number).sort_values(["number", "image_id"])
    units = units_of(slices)
    position = ordered.groupby(units.loc[ordered.index], sort=False).cumcount() + 1
    return slices.assign(
        position=position, n_slices=slices.groupby(units, sort=False)["score"].transform("size")
    )


def units_of(images: pd.DataFrame) -> pd.Series[Any]:
    """What each image is judged as: the volume that it is a slice of, else itself.

    The image_id of a row of `by_volume` is that of its worst slice, which differs between
    detectors; this does not.
    """
    volumes = images.reindex(columns=["volume"])["volume"]
    return volumes.where(volumes.notna(), images["image_id"]).astype(str)


def choose_volume_score(validation: pd.DataFrame, wanted: str = AUTO) -> VolumeScore:
    """Choose how volumes are scored, from the validation slices alone.

    With `auto` that is the one of AGGREGATES with the highest AUROC over the validation volumes, of
    equally good ones the first; without normal and anomalous volumes it is the mean.
    """
    if scored_unit(validation) == "image":
        return VolumeScore(MEAN if wanted == AUTO else wanted, NO_VOLUMES, uses_labels=False)
    if wanted != AUTO:
        return VolumeScore(wanted, BY_CONFIGURATION, uses_labels=False)
    found = {name: _auroc_of(by_volume(validation, name), "score").value for name in AGGREGATES}
    if not np.isfinite(found[MEAN]):
        return VolumeScore(MEAN, BY_ORDER, uses_labels=False)
    best = max(found, key=lambda name: found[name])
    tied = list(found.values()).count(found[best]) > 1
    return VolumeScore(best, BY_TIE if tied else BY_VALIDATION, uses_labels=True)


def describe_volume_score(
    choice: VolumeScore, validation: pd.DataFrame, n_resamples: int = 1000, seed: int = 0
) -> VolumeScoring:
    """Describe what the validation slices say of a choice: the AUROC of each of AGGREGATES, and the
    sizes.
    """
    volumes = {name: by_volume(validation, name) for name in AGGREGATES}
    first = volumes[MEAN]
    statistics = {name: _auroc_of(table, "score") for name, table in volumes.items()}
    return VolumeScoring(
        aggregate=choice.aggregate,
        chosen_by=choice.chosen_by,
        validation_auroc=estimates(statistics, first["group_id"].to_numpy(), n_resamples, seed),
        n_volumes=len(first),
        n_anomalous=int(first["label"].sum()),
    )


def slice_count_auroc(test: pd.DataFrame, n_resamples: int = 1000, seed: int = 0) -> Estimate:
    """How well the number of slices alone separates the test volumes."""
    counts = test["n_slices"].unique()
    if len(counts) == 1:
        return Estimate(None, reason=f"not estimable: every test volume has {counts[0]:.0f} slices")
    statistic = _auroc_of(test, "n_slices")
    return interval(statistic, test["group_id"].to_numpy(), n_resamples, seed)


def _auroc_of(table: pd.DataFrame, column: str) -> WeightedStatistic:
    return area_of(table["label"].to_numpy(), table[column].to_numpy(dtype=np.float64))


def slice_count_warnings(scoring: VolumeScoring | None) -> list[str]:
    """Warn where the number of slices alone separates volumes and the score rises with it."""
    if scoring is None or scoring.aggregate == MEAN or scoring.slice_count_auroc is None:
        return []
    found = scoring.slice_count_auroc
    if found.low is None or found.high is None or found.low <= 0.5 <= found.high:
        return []
    return [
        f"The number of slices alone tells the volumes apart (AUROC {found.value:.3f}), and the "
        f"score of a volume ({scoring.aggregate} of its slices) rises with it: "
        "set evaluation.volume_score to mean, or take equally many slices of each."
    ]
