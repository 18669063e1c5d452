"""The files of a user's path as images: read as the source of the data set reads its own."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medgan.contracts import AnomalyDetector
from medgan.datasets.images import Arrays
from medgan.errors import UserError
from medgan.evaluation.scores import Images, score_images
from medgan.files.parallel import in_order
from medgan.images.resizing import Crop, fit_square
from medgan.images.store import ImageStore, StoreInfo, padded_size
from medgan.images.transforms import crop_padding, prepare
from medgan.models import PublishedModel
from medgan.sources.files import FileImages, walk
from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig
from medgan.training.runtime import Runtime

PROBES = 4
"""Stored validation images that are scored again to see whether the stored scores are those of this
model.
"""
PROBE_TOLERANCE = 0.02
"""Relative difference that another device or number of threads may make to a score."""
BRIGHTEST = 0.995
"""Quantile of map values that is shown brightest."""


def not_constant(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image (H, W, C) as it is. Raises `ImageRefused` for one of one color, as ingestion
    does.
    """
    if image.min() == image.max():
        raise ImageRefused("CONSTANT", "all its pixels are equal")
    return image


def prepared(image: NDArray[np.uint8], info: StoreInfo, crop: Crop | None) -> NDArray[np.uint8]:
    """(H, W, C) as it would lie in the image store."""
    return fit_square(image, info.height, info.channels, crop)


def score_pixels(
    detector: AnomalyDetector,
    pixels: NDArray[np.uint8],
    info: StoreInfo,
    seed: int,
    names: Sequence[str],
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Scores (n,) and maps (n, h, w) of one batch of prepared images (n, h, w, C).

    Raises:
        UserError: a score is not a finite number; it says of which of the `names`.
    """
    images = prepare(
        torch.from_numpy(np.array(pixels)),
        info.intensity,
        padded_size(max(info.height, info.width)),
    )
    rows = np.arange(len(pixels), dtype=np.int64)
    scores, maps = _scored(
        detector, lambda chosen: images[torch.from_numpy(chosen)], rows, seed, names
    )
    return scores, crop_padding(torch.from_numpy(maps[:, None]), info.height, info.width)[
        :, 0
    ].numpy()


def same_scores(detector: AnomalyDetector, images: Images, table: pd.DataFrame, seed: int) -> bool:
    """Whether a detector gives stored images the scores that the table (score, row) says they have;
    it tries the first few.
    """
    probes = table.head(PROBES)
    again, _ = _scored(
        detector,
        images,
        probes["row"].to_numpy(dtype=np.int64),
        seed,
        ["a stored image"] * len(probes),
    )
    slack = 1e-3 * float(table["score"].max() - table["score"].min())
    return bool(np.allclose(again, probes["score"].to_numpy(), rtol=PROBE_TOLERANCE, atol=slack))


def _scored(
    detector: AnomalyDetector,
    images: Images,
    rows: NDArray[np.int64],
    seed: int,
    names: Sequence[str],
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    size = max(len(rows), 1)
    found = score_images(
        detector,
        images,
        rows,
        batch_size=size,
        seed=seed,
        device=str(Runtime.detect().device),
        names=names,
    )
    return found.scores, found.maps


def seed_of(model: PublishedModel) -> int:
    """The seed that the pipelines trained and scored this model with."""
    return int(model.card.get("seed", 0))


def check_trained_on(model: PublishedModel, store: ImageStore, command: str) -> None:
    """Nothing where a model was trained on this image store.

    Raises:
        UserError: it was trained on another one, so its images were prepared differently.
    """
    if model.card.get("images") != store.key:
        raise UserError(
            f"The stored images have changed since {model.name} was trained: `{command}` trains it on them."
        )


def map_range(arrays: Arrays, image_ids: pd.Series[str]) -> tuple[float, float] | None:
    """The lowest value, and the 99.5th percentile, of the stored anomaly maps of these images; None
    where there are none.
    """
    values = arrays["maps"][np.isin(arrays["image_id"], image_ids.to_numpy(dtype=str))].astype(
        np.float64
    )
    return (float(values.min()), float(np.quantile(values, BRIGHTEST))) if values.size else None


Prepare = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Entry:
    """One image: a file, or a slice or frame of one."""

    file: str
    """POSIX path relative to the folder that was given; the name of a single file."""
    number: str = ""
    """Of the slice or frame in its file; empty where the file is one image."""

    @property
    def name(self) -> str:
        """What the source and messages call it."""
        return f"{self.file}/{self.number}" if self.number else self.file


@dataclass(frozen=True)
class Seen:
    """An entry after it was read: its pixels, or why there are none."""

    entry: Entry
    pixels: NDArray[np.uint8] | None = None
    """(h, w, C), prepared."""
    group: str = ""
    """Equal for images of one volume: its file, or a pseudonym of the DICOM series, which is never
    written.
    """
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class NewImages:
    """What lies at a path."""

    source: FileImages
    entries: list[Entry]

    def read(self, prepare: Prepare) -> Iterator[Seen]:
        """Every entry in order, several read at a time, few of them in memory."""
        return in_order(lambda entry: self._seen(entry, prepare), self.entries)

    def _seen(self, entry: Entry, prepare: Prepare) -> Seen:
        try:
            picture = self.source.read(entry.name)
            pixels = prepare(not_constant(picture.pixels))
        except ImageRefused as refused:
            return Seen(entry, group=_file_volume(entry), code=refused.code, message=str(refused))
        return Seen(entry, pixels, _file_volume(entry) or str(picture.metadata.get("volume", "")))


def _file_volume(entry: Entry) -> str:
    return entry.file if entry.number else ""


def find_images(path: Path, reading: ReadingConfig) -> NewImages:
    """The images of a file, or of all files below a folder that claim to be images.

    DICOM series are told apart by pseudonyms of a key that is made up here and forgotten, so that
    none can be compared with others.

    Raises:
        UserError: there is no such path, or no image in the folder.
    """
    root, files = _files(path)
    rows = pd.DataFrame({"image_id": files, "path": files}, dtype=object)
    source = FileImages(
        path.name, root, rows, replace(reading, pseudonym_key=secrets.token_hex(16))
    )
    return NewImages(source, [_entry(row) for row in source.rows().to_dict("records")])


def _entry(row: dict[Any, Any]) -> Entry:
    number = row.get("slice")
    return (
        Entry(str(row["volume"]), str(number))
        if isinstance(number, str)
        else Entry(str(row["path"]))
    )


def _files(path: Path) -> tuple[Path, list[str]]:
    """The folder that all paths are relative to, and the paths."""
    if not path.exists():
        raise UserError(f"There is no file or folder '{path}': {_similar(path)}")
    found = path.resolve()
    if not found.is_dir():
        _require_text(found.name)
        return found.parent, [found.name]
    files = list(walk(found))
    if not files:
        raise UserError(
            f"{path} holds no images: files are found by their names (.png, .jpg, .dcm, .nii.gz and others, see docs/formats.md); "
            "give a folder with images, or one file."
        )
    return found, files


def _require_text(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"The name of the file {name!a} is not UTF-8: rename it.") from None


def _similar(path: Path) -> str:
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=1)
    return f"did you mean '{path.parent / close[0]}'?" if close else "give one that exists."
