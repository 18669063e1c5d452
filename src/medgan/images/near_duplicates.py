"""Near-duplicates: images of different patients that differ only by saving, size or exposure.

Images of one patient and slices of one volume are never compared. The others are searched by
perceptual hash, and close pairs are decoded and correlated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.files.parallel import in_order
from medgan.images import hashing
from medgan.images.duplicate_calibration import Calibration, Pictures, calibrate
from medgan.images.duplicates import linked_groups
from medgan.images.hashing import BITS, ClosePairs, close_pairs, pack
from medgan.images.metadata import Progress, read_again, silent
from medgan.sources.raw import Floats, Ints
from medgan.sources.registry import ImageSource

COLUMNS = ("image_id_a", "image_id_b", "distance", "correlation", "patients", "exact")
DIFFERENT, UNKNOWN = "different", "unknown"
"""Values of `patients`: both are known and differ, or one is unknown."""
CANDIDATES = 2_000_000  # largest number of candidates; where there are more, the radius shrinks
SUMMARIZED = (
    *("twins", "sampled_images", "different_pairs_compared", "expected_false_pairs"),
    *("expected_candidates", "descriptor_side"),
)
RELIABLE = 0.95  # share of twins that a search has to find to rule near-duplicates out
IN_MEMORY = 8192  # descriptors held at once, of 32 kB each


@dataclass(frozen=True)
class NearDuplicates:
    """What was found, and how it was searched."""

    pairs: pd.DataFrame
    """COLUMNS, one row per pair, different patients before unknown ones, then by falling
    correlation. `distance` counts different bits of the hashes; `exact` means equal decoded pixels.
    Of n equal images without a patient, n - 1 pairs are listed."""
    summary: dict[str, Any]  # counts and the calibration, as JSON


def owners(manifest: pd.DataFrame) -> Ints:
    """Number (n,) the patients; where unknown, the volumes; without a volume, the pictures."""
    volumes = manifest.get("volume", pd.Series(None, index=manifest.index, dtype=object))
    pictures = "picture " + manifest["pixel_hash"].astype(str)
    units = pictures.where(volumes.isna(), "volume " + volumes.astype(str))
    patients = "patient " + manifest["group_id"].astype(str)
    return pd.factorize(patients.where(manifest["group_known"].astype(bool), units))[0].astype(
        np.int64
    )


def find_near_duplicates(
    source: ImageSource, manifest: pd.DataFrame, seed: int, on_progress: Progress = silent
) -> NearDuplicates:
    """Find all near-duplicates of a manifest; only candidates and a sample are read.

    Raises `UserError` without `perceptual_hash`, and where an image cannot be read anymore.
    """
    if "perceptual_hash" not in manifest:
        raise UserError(
            "the manifest has no perceptual hashes: an older version wrote it; "
            "run `kedro run --pipeline ingestion` again"
        )
    images = manifest.assign(owner=owners(manifest)).reset_index(drop=True)
    table = images.drop_duplicates(["owner", "pixel_hash"], ignore_index=True)
    copies = _copies(images)
    if table["owner"].nunique() < 2:
        return NearDuplicates(copies, _summary(table, copies, None, None))
    pictures = Pictures(
        read=partial(read_again, source),
        paths=table["path"].tolist(),
        sides=table[["width", "height"]].min(axis=1).to_numpy(np.int64),
        words=pack(table["perceptual_hash"].tolist()),
        owners=table["owner"].to_numpy(np.int64),
    )
    calibration = calibrate(pictures, seed)
    candidates = close_pairs(pictures.words, calibration.radius, pictures.owners, CANDIDATES)
    correlation = _correlations(pictures, candidates, calibration, on_progress)
    near = correlation >= calibration.threshold
    first, second = (table.iloc[places[near]] for places in (candidates.first, candidates.second))
    verified = _table(first, second, candidates.distance[near], correlation[near])
    pairs = pd.concat([verified, copies]).sort_values(
        ["patients", "correlation"], ascending=[True, False], kind="stable", ignore_index=True
    )
    return NearDuplicates(pairs, _summary(table, pairs, calibration, candidates))


def _copies(images: pd.DataFrame) -> pd.DataFrame:
    """Pair each further copy of equal images without a patient with the first."""
    unknown = images[~images["group_known"].astype(bool)]
    first = unknown.groupby(["owner", "pixel_hash"])["image_id"].transform("first")
    surplus = unknown[unknown["image_id"] != first]
    count = len(surplus)
    return _table(
        surplus.assign(image_id=first[surplus.index]), surplus, np.zeros(count, int), np.ones(count)
    )


def _table(
    first: pd.DataFrame, second: pd.DataFrame, distance: Ints, correlation: Floats
) -> pd.DataFrame:
    known = first["group_known"].to_numpy(dtype=bool) & second["group_known"].to_numpy(dtype=bool)
    exact = first["pixel_hash"].to_numpy() == second["pixel_hash"].to_numpy()
    patients = np.where(known, DIFFERENT, UNKNOWN)
    ids = first["image_id"].to_numpy(), second["image_id"].to_numpy()
    columns = zip(COLUMNS, (*ids, distance, correlation, patients, exact), strict=True)
    return pd.DataFrame(dict(columns)).astype({"exact": bool})


def _correlations(
    pictures: Pictures, pairs: ClosePairs, calibration: Calibration, on_progress: Progress
) -> Floats:
    """Correlate each candidate pair (k,), with at most IN_MEMORY descriptors in memory."""
    found = np.empty(len(pairs), dtype=np.float64)

    def descriptor(place: int) -> NDArray[np.float16]:
        detail = hashing.detail(pictures.read(pictures.paths[place]), calibration.descriptor_side)
        return hashing.scaled(detail - calibration.shared).astype(np.float16)

    chunks = list(_chunks(pairs, len(pictures.paths)))
    total, done = sum(len(places) for _, places in chunks), 0
    for chunk, places in chunks:
        descriptors = np.empty((len(places), calibration.descriptor_side**2), dtype=np.float16)
        for row, vector in enumerate(in_order(descriptor, places.tolist())):
            descriptors[row] = vector
            done += 1
            on_progress(done, total)
        first, second = (np.searchsorted(places, end[chunk]) for end in (pairs.first, pairs.second))
        found[chunk] = hashing.correlations(descriptors, first, second)
    return found


def _chunks(pairs: ClosePairs, count: int) -> Iterator[tuple[Ints, Ints]]:
    """Divide pairs, linked ones together, into chunks of few images: numbers and sorted places."""
    if not len(pairs):
        return
    component = linked_groups(pairs.first, pairs.second, count)[pairs.first]
    chunk: list[int] = []
    places: set[int] = set()
    for number in np.lexsort((pairs.first, component)).tolist():
        ends = {int(pairs.first[number]), int(pairs.second[number])}
        if len(places) + len(ends - places) > IN_MEMORY:
            yield np.asarray(chunk, dtype=np.int64), np.asarray(sorted(places), dtype=np.int64)
            chunk, places = [], set()
        chunk.append(number)
        places |= ends
    yield np.asarray(chunk, dtype=np.int64), np.asarray(sorted(places), dtype=np.int64)


def _summary(
    table: pd.DataFrame,
    pairs: pd.DataFrame,
    calibration: Calibration | None,
    candidates: ClosePairs | None,
) -> dict[str, Any]:
    """Summarize the search; with fewer than two patients there is none, and no calibration."""
    counts = {"pictures": len(table), "pairs": len(pairs), "exact": int(pairs["exact"].sum())}
    if calibration is None or candidates is None:
        statement = "There are not two patients, so nothing was searched."
        return {**counts, "statement": statement, "calibration": None}
    return {
        **counts,
        "candidates": len(candidates),
        "verified": len(pairs) - counts["exact"],
        "statement": _statement(calibration, candidates.radius),
        "calibration": {
            "radius": candidates.radius,
            "radius_wanted": calibration.radius,
            "bits": BITS,
            "threshold": round(calibration.threshold, 4),
            "twin_recall": round(calibration.twin_recall, 4),
            **{name: getattr(calibration, name) for name in SUMMARIZED},
        },
    }


def _statement(calibration: Calibration, radius: int) -> str:
    parts = [
        f"Pictures within {radius} of {BITS} bits were compared; those that correlate at "
        f"{calibration.threshold:.3f} or more are near-duplicates.",
        f"{calibration.twin_recall:.1%} of {calibration.twins} twins made of "
        f"{calibration.sampled_images} images of this data set are found.",
    ]
    if calibration.twin_recall < RELIABLE:
        parts.append("The others would be missed: this search does not rule near-duplicates out.")
    if radius < calibration.radius:
        parts.append(
            f"More than {CANDIDATES:,} pairs were close, so the radius shrank from "
            f"{calibration.radius}: near-duplicates beyond it are not found."
        )
    return " ".join(parts)
