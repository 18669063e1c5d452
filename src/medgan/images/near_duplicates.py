"""Pictures of different (or unknown) patients that are the same but for saving, size, brightness or
contrast.

Images of one patient and slices of one volume are alike by nature and are never compared. The
others are searched by their perceptual hashes, and only pairs that are near there are decoded and
compared pixel by pixel. How near is near is calibrated on the data set itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medgan.errors import UserError
from medgan.files.parallel import in_order
from medgan.images import hashing
from medgan.images.duplicate_calibration import Calibration, Read, calibrate
from medgan.images.hashing import BITS, ClosePairs, close_pairs, pack
from medgan.images.metadata import Progress, silent
from medgan.images.profile import read_again
from medgan.sources.registry import ImageSource

COLUMNS = ("image_id_a", "image_id_b", "distance", "correlation", "patients", "exact")
TYPES = {"distance": "int64", "correlation": "float64", "exact": "bool"}
DIFFERENT, UNKNOWN = "different", "unknown"
"""Values of `patients`: both are known and not the same, or one is not known."""
CANDIDATES = 2_000_000
"""Candidates at most; where there are more, the radius shrinks, and the summary says so."""
RELIABLE = 0.95
"""Share of twins that a search has to find for its silence to mean something."""
IN_MEMORY = 8192
"""Descriptors held at once, of 32 kB each."""


@dataclass(frozen=True)
class NearDuplicates:
    """What was found, and how it was searched."""

    pairs: pd.DataFrame
    """COLUMNS, one row for each pair: different patients before unknown ones, then by falling
    correlation. `distance` counts the bits in which the hashes differ; `exact` says that the
    decoded pixels are equal. Of n equal images without a patient n - 1 pairs are listed."""
    summary: dict[str, Any]
    """Counts and the calibration, as JSON."""


def owners(manifest: pd.DataFrame) -> NDArray[np.int64]:
    """(n,) a number for each patient; where that is not known, for each volume; where there is
    none, for each picture.
    """
    volumes = manifest.get("volume", pd.Series(None, index=manifest.index, dtype=object))
    pictures = ("picture " + manifest["pixel_hash"].astype(str)).where(
        volumes.isna(), "volume " + volumes.astype(str)
    )
    named = ("patient " + manifest["group_id"].astype(str)).where(
        manifest["group_known"].astype(bool), pictures
    )
    return pd.factorize(named)[0].astype(np.int64)


def find_near_duplicates(
    source: ImageSource, manifest: pd.DataFrame, seed: int, on_progress: Progress = silent
) -> NearDuplicates:
    """All near-duplicate pairs of a manifest (with `perceptual_hash`); the same seed gives the same
    pairs.

    Only images that are candidates, and a sample for the calibration, are read. Raises `UserError`
    where one cannot be read any more.
    """
    if "perceptual_hash" not in manifest:
        raise UserError(
            "the manifest has no perceptual hashes: an older version wrote it; run `kedro run --pipeline ingestion` again"
        )
    images = manifest.assign(owner=owners(manifest)).reset_index(drop=True)
    pictures = images.drop_duplicates(["owner", "pixel_hash"], ignore_index=True)
    copies = _copies(images)
    if pictures["owner"].nunique() < 2:
        return NearDuplicates(copies, _summary(pictures, copies, None, None))
    read = partial(read_again, source)
    words, numbers = (
        pack(pictures["perceptual_hash"].tolist()),
        pictures["owner"].to_numpy(np.int64),
    )
    sides = pictures[["width", "height"]].min(axis=1).to_numpy(np.int64)
    calibration = calibrate(read, pictures["path"].tolist(), sides, words, numbers, seed)
    candidates = close_pairs(words, calibration.radius, numbers, CANDIDATES)
    correlation = _correlations(read, pictures, candidates, calibration, on_progress)
    verified = _table(pictures, candidates, correlation, correlation >= calibration.threshold)
    pairs = pd.concat([verified, copies]).sort_values(
        ["patients", "correlation"], ascending=[True, False], kind="stable", ignore_index=True
    )
    return NearDuplicates(pairs, _summary(pictures, pairs, calibration, candidates))


def _copies(images: pd.DataFrame) -> pd.DataFrame:
    """Equal pictures of which no patient is known, each with the first of its kind."""
    unknown = images[~images["group_known"].astype(bool)]
    surplus = unknown[unknown.duplicated(["owner", "pixel_hash"])]
    first = unknown.drop_duplicates("owner").set_index("owner")["image_id"]
    rows = {
        "image_id_a": first.reindex(surplus["owner"]).to_numpy(),
        "image_id_b": surplus["image_id"].to_numpy(),
        "distance": 0,
        "correlation": 1.0,
        "patients": UNKNOWN,
        "exact": True,
    }
    return pd.DataFrame(rows, columns=list(COLUMNS), index=range(len(surplus))).astype(TYPES)


def _table(
    pictures: pd.DataFrame,
    pairs: ClosePairs,
    correlation: NDArray[np.float64],
    verified: NDArray[np.bool_],
) -> pd.DataFrame:
    first, second = pictures.iloc[pairs.first[verified]], pictures.iloc[pairs.second[verified]]
    known = first["group_known"].to_numpy(dtype=bool) & second["group_known"].to_numpy(dtype=bool)
    rows = {
        "image_id_a": first["image_id"].to_numpy(),
        "image_id_b": second["image_id"].to_numpy(),
        "distance": pairs.distance[verified],
        "correlation": correlation[verified],
        "patients": np.where(known, DIFFERENT, UNKNOWN),
        "exact": first["pixel_hash"].to_numpy() == second["pixel_hash"].to_numpy(),
    }
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(TYPES)


def _correlations(
    read: Read,
    pictures: pd.DataFrame,
    pairs: ClosePairs,
    calibration: Calibration,
    on_progress: Progress,
) -> NDArray[np.float64]:
    """(k,) the correlation of each candidate pair; no more than IN_MEMORY descriptors are held."""
    paths = pictures["path"].tolist()
    found = np.empty(len(pairs), dtype=np.float64)

    def descriptor(place: int) -> NDArray[np.float16]:
        return hashing.scaled(
            hashing.detail(read(paths[place]), calibration.side) - calibration.shared
        ).astype(np.float16)

    chunks = list(_chunks(pairs, len(paths)))
    total, done = sum(len(places) for _, places in chunks), 0
    for chunk, places in chunks:
        descriptors = np.empty((len(places), calibration.side**2), dtype=np.float16)
        for row, vector in enumerate(in_order(descriptor, places.tolist())):
            descriptors[row] = vector
            done += 1
            on_progress(done, total)
        first, second = (
            np.searchsorted(places, ends[chunk]) for ends in (pairs.first, pairs.second)
        )
        found[chunk] = hashing.correlations(descriptors, first, second)
    return found


def _chunks(pairs: ClosePairs, count: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Numbers of pairs that share few images, and the sorted places of those: linked pairs stay
    together, so most images are read once.
    """
    if not len(pairs):
        return
    links = coo_array(
        (np.ones(len(pairs), dtype=bool), (pairs.first, pairs.second)), shape=(count, count)
    )
    component = connected_components(links, directed=False)[1][pairs.first]
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
    pictures: pd.DataFrame,
    pairs: pd.DataFrame,
    calibration: Calibration | None,
    candidates: ClosePairs | None,
) -> dict[str, Any]:
    """Of fewer than two patients nothing is searched, and there is no calibration."""
    counts = {"pictures": len(pictures), "pairs": len(pairs), "exact": int(pairs["exact"].sum())}
    if calibration is None or candidates is None:
        return {
            **counts,
            "statement": "There are not two patients, so nothing was searched.",
            "calibration": None,
        }
    return {
        **counts,
        "candidates": len(candidates),
        "verified": len(pairs) - counts["exact"],
        "statement": _statement(calibration, candidates),
        "calibration": {
            "radius": candidates.radius,
            "radius_wanted": calibration.radius,
            "bits": BITS,
            "threshold": round(calibration.threshold, 4),
            "twin_recall": round(calibration.twin_recall, 4),
            "twins": calibration.twins,
            "sampled_images": calibration.sampled,
            "different_pairs_compared": calibration.different_pairs,
            "expected_false_pairs": calibration.expected_false_pairs,
            "expected_candidates": calibration.expected_candidates,
            "descriptor_side": calibration.side,
        },
    }


def _statement(calibration: Calibration, candidates: ClosePairs) -> str:
    shrunk = (
        f" More than {CANDIDATES:,} pairs were near, so the radius shrank from {calibration.radius}: "
        "near-duplicates beyond it are not found."
    )
    missed = " The others would be missed: this search does not rule near-duplicates out."
    return (
        f"Pictures within {candidates.radius} of {BITS} bits were compared; those that correlate at {calibration.threshold:.3f} or more "
        f"are near-duplicates. {calibration.twin_recall:.1%} of {calibration.twins} twins made of {calibration.sampled} images of this "
        f"data set lie there.{missed if calibration.twin_recall < RELIABLE else ''}"
        f"{shrunk if candidates.radius < calibration.radius else ''}"
    )
