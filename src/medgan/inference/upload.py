"""Score uploaded files, for the app: the table of `medgan score`, and what is shown of each image."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.files.names import csv_text, slug
from medgan.images.resizing import thumbnail
from medgan.inference.batch import scored
from medgan.inference.inputs import Entry, NewImages, Seen, listed_images
from medgan.inference.output import TABLE, picture, picture_name
from medgan.inference.table import (
    COLUMNS,
    KEPT,
    NOT_KEPT,
    REASON,
    ScoredEntry,
    image_rows,
    judged,
    with_volumes,
)
from medgan.inference.trained import Frozen, Trained
from medgan.plots.anomaly_maps import MapScale, own_scale
from medgan.sources.listing import Found
from medgan.sources.readers.config import ReadingConfig, SlicePolicy

SIZE_CAP = 20 * 2**20
"""Largest file that is read, in bytes."""
MOST_FILES = 20
MAX_PIXELS = 12_000_000
"""A file of 20 MB may hold far more pixels than a page has memory for: these take 400 MB at most."""
MAX_VOLUME_BYTES = 2**28
SLICES = SlicePolicy(count=8)
"""Of volumes, where the data set has no rule of its own."""
SHOWN = 768
"""Longest side in pixels of an original on the page."""


@dataclass(frozen=True)
class Upload:
    """An uploaded file."""

    name: str
    data: bytes


@dataclass(frozen=True)
class ScoredImage:
    """What is shown of one image, or of one slice."""

    name: str
    original: NDArray[np.uint8]
    """(H, W, 1 or 3), at most SHOWN a side."""
    size: tuple[int, int]
    """Height and width of the original in its file."""
    pixels: NDArray[np.uint8]
    """(h, w, C), as the detector sees it."""
    anomaly_map: NDArray[np.float16]
    """(h, w), higher is more anomalous."""
    score: float
    outside: str
    """Why it is outside the domain of the detector; empty where it is inside."""


@dataclass(frozen=True)
class ScoredUploads:
    """The outcome of scoring uploaded files."""

    table: pd.DataFrame
    """As scores.csv, without pictures; `shown` numbers the image of a row, or is -1."""
    images: Sequence[ScoredImage]
    scale: MapScale | None
    """Of all maps; None where no image could be read."""

    def csv(self) -> str:
        """The table as CSV."""
        return csv_text(self.table[list(COLUMNS)])


def limited(reading: ReadingConfig) -> ReadingConfig:
    """Return how files are read, within the limits of the page; volumes become slices."""
    return replace(
        reading,
        max_pixels=min(reading.max_pixels, MAX_PIXELS),
        max_volume_bytes=min(reading.max_volume_bytes, MAX_VOLUME_BYTES),
        slices=reading.slices or SLICES,
    )


@contextmanager
def uploaded(files: Sequence[Upload], reading: ReadingConfig) -> Iterator[NewImages]:
    """Put the files into a folder that vanishes at the end, and find the images in them.

    Formats are recognized by content, not by name. Files over SIZE_CAP are not among them.
    """
    with tempfile.TemporaryDirectory() as where:
        names = []
        for file in files:
            if len(file.data) <= SIZE_CAP:
                names.append(file.name)
                (Path(where) / file.name).write_bytes(file.data)
        yield listed_images(Path(where), Found(names), limited(reading))


def score_uploads(using: Trained, files: Sequence[Upload]) -> ScoredUploads:
    """Score uploaded files; what cannot be scored is a row that says why.

    Raises:
        UserError: a score is not a finite number.
    """
    files, rows, shown = _named_apart(files), list[ScoredEntry](), list[ScoredImage]()
    with uploaded(files, using.reading) as images:
        for one, score, anomaly_map in scored(images, using):
            number = NOT_KEPT
            if one.pixels is not None and anomaly_map is not None:
                number = len(shown)
                shown.append(_shown(images, one, one.pixels, score, anomaly_map))
            rows.append((replace(one, pixels=None), score, number))
    for file in files:
        if len(file.data) > SIZE_CAP:
            message = f"the file has {len(file.data) >> 20} MB, more than {SIZE_CAP >> 20}"
            refused = Seen(Entry(file.name), code="TOO_LARGE", message=message)
            rows.append((refused, float("nan"), NOT_KEPT))
    table = judged(
        with_volumes(image_rows(rows), using.aggregate), using.frozen, using.cautions
    ).assign(heat_map="")
    scale = (using.frozen and using.frozen.scale) or _own_scale(shown)
    return ScoredUploads(table.rename(columns={KEPT: "shown"}).drop(columns=REASON), shown, scale)


def _named_apart(files: Sequence[Upload]) -> list[Upload]:
    """Return the files with plain names that differ, none of them hidden."""
    found: dict[str, Upload] = {}
    for file in files:
        plain = PurePath(file.name.replace("\\", "/")).name.replace("\0", "").lstrip(".")
        name = plain if plain.isprintable() and 0 < len(plain.encode()) <= 200 else slug(file.name)
        path, number = PurePath(name), 1
        while name.casefold() in found:
            number += 1
            name = f"{path.stem} ({number}){path.suffix}"
        found[name.casefold()] = Upload(name, file.data)
    return list(found.values())


def _shown(
    images: NewImages,
    one: Seen,
    pixels: NDArray[np.uint8],
    score: float,
    anomaly_map: NDArray[np.float16],
) -> ScoredImage:
    native = images.source.read(one.entry.name).pixels
    height, width, channels = native.shape
    original = native if max(height, width) <= SHOWN else thumbnail(native, SHOWN, channels)
    return ScoredImage(
        one.entry.name, original, (height, width), pixels, anomaly_map, score, one.outside
    )


def _own_scale(shown: Sequence[ScoredImage]) -> MapScale | None:
    scale = None
    for image in shown:
        scale = own_scale(image.anomaly_map, scale)
    return scale


def figure(using: Trained, image: ScoredImage, scale: MapScale) -> bytes:
    """Draw an image and its map as a PNG file, the same that `medgan score` writes."""
    words = using.verdict(image.score, outside=image.outside)
    return picture(image.pixels, image.anomaly_map, scale, image.name, words)


def packed(using: Trained, found: ScoredUploads) -> bytes:
    """Pack scores.csv and a figure of each image as a ZIP file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(TABLE, found.csv())
        for image in found.images:
            if found.scale is not None:
                name, _, number = image.name.rpartition("/")
                file = picture_name(name, number) if name else picture_name(image.name, "")
                archive.writestr(file, figure(using, image, found.scale))
    return buffer.getvalue()


def sentences(frozen: Frozen, score: float) -> Iterator[str]:
    """Say what the threshold makes of a score, and where it lies among those of normal images."""
    yield decision(score, frozen.value, frozen.rule)
    for part, normals in (("validation", frozen.normals), ("test", frozen.test_normals)):
        if len(normals):
            yield standing(score, normals, f"{part} {frozen.unit}s")


def standing(score: float, normals: NDArray[np.float64], shown: str) -> str:
    """Say where a score lies among those of normal images."""
    lower = int((normals < score).sum())
    count, share = len(normals), lower / len(normals)
    return f"The score is higher than that of {lower} of the {count} normal {shown} ({share:.0%})."


def decision(score: float, threshold: float, rule: str) -> str:
    """Say what the frozen threshold makes of a score."""
    side, called = ("at or above", "anomalous") if score >= threshold else ("below", "normal")
    return (
        f"The score is {side} the threshold {threshold:.4g} (rule: {rule}, frozen on validation): "
        f"the detector calls the image {called}."
    )


def refusal_sentence(code: str, message: str) -> str:
    """Say why an image is not scored, with the code that a quarantine report would give."""
    return f"This file cannot be scored ({code}): {message}."
