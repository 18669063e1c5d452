"""Facts of images, read once and reused: size, hashes, metadata; and bands of ages."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medgan.errors import UserError
from medgan.files.parallel import in_order
from medgan.images.hashing import perceptual_hash
from medgan.sources.raw import ImageRefused, Pixels
from medgan.sources.registry import ImageSource
from medgan.sources.rows import OLDEST

VERSION = 1
"""Part of every fingerprint; raise it when reading or hashing changes, and all files are read
again."""
REPORT_EVERY = 2.0
"""Seconds between two batches of facts, which are what a killed run loses at most."""
LOOKUP_SIZE = 512  # paths that are compared with earlier facts at once
UNKNOWN = "unknown"
AGE_BANDS = ("0-1", "2-5", "6-17", "18-39", "40-64", "65+", UNKNOWN)
"""Bands of completed years of age."""
BAND_STARTS = (2.0, 6.0, 18.0, 40.0, 65.0)  # ages at which the second band and those after it begin
Progress = Callable[[int, int], None]  # called with (done, total)


@dataclass(frozen=True)
class ImageFacts:
    """One image, or why it cannot be used."""

    path: str
    fingerprint: str  # of the content of the file, as long as which the facts hold
    width: int = 0
    height: int = 0
    pixel_hash: str = ""
    perceptual_hash: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    code: str = ""  # reason of a refusal; empty for an image that can be used
    message: str = ""


class KnownFacts(Protocol):
    """Facts of an earlier run."""

    def of(self, paths: Sequence[str]) -> dict[str, ImageFacts]:
        """Return the facts of those paths that are known."""


def silent(done: int, total: int) -> None:
    """Report no progress."""


def read_facts(
    source: ImageSource, paths: Sequence[str], known: KnownFacts, on_progress: Progress = silent
) -> Iterator[list[ImageFacts]]:
    """Read every path, several at a time; yield new facts every few seconds and at the end.

    Files with the content of `known` are not decoded. Warnings of decoders are ignored.
    """
    fresh: list[ImageFacts] = []
    reported = time.monotonic()

    def with_known() -> Iterator[tuple[str, ImageFacts | None]]:
        for start in range(0, len(paths), LOOKUP_SIZE):
            part = paths[start : start + LOOKUP_SIZE]
            earlier = known.of(part)
            yield from ((path, earlier.get(path)) for path in part)

    with warnings.catch_warnings(action="ignore"):
        read = in_order(lambda pair: (pair[1], image_facts(source, *pair)), with_known())
        for done, (before, facts) in enumerate(read, 1):
            on_progress(done, len(paths))
            if facts is not before:
                fresh.append(facts)
            if fresh and time.monotonic() - reported >= REPORT_EVERY:
                yield fresh
                fresh, reported = [], time.monotonic()
    yield fresh


def image_facts(source: ImageSource, path: str, known: ImageFacts | None = None) -> ImageFacts:
    """Return the facts of an image; it is decoded unless its content is that of `known`."""
    fingerprint = ""
    try:
        fingerprint = f"{VERSION}/{source.fingerprint(path)}"
        if known and known.fingerprint == fingerprint:
            return known
        picture = source.read(path)
        if picture.pixels.min() == picture.pixels.max():
            raise ImageRefused("CONSTANT", "all its pixels are equal")
    except ImageRefused as refused:
        return ImageFacts(path, fingerprint, code=refused.code, message=str(refused))
    height, width = picture.pixels.shape[:2]
    hashes = pixel_hash(picture.pixels), perceptual_hash(picture.pixels)
    return ImageFacts(path, fingerprint, width, height, *hashes, dict(picture.metadata))


def pixel_hash(image: Pixels) -> str:
    """Compute SHA-256 of shape and pixels (H, W, C); gray stored as RGB hashes like gray."""
    if image.shape[2] == 3 and (image == image[..., :1]).all():
        image = image[..., :1]
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


INGEST_AGAIN = "run `kedro run --pipelines ingestion,preprocessing` again"


def read_again(source: ImageSource, path: str, known: str | None = None) -> Pixels:
    """Read the pixels (H, W, C) of an image of the manifest again.

    Raises:
        UserError: it cannot be read any more, or its pixels have not the hash `known`.
    """
    try:
        pixels = source.read(path).pixels
    except ImageRefused as error:
        raise UserError(
            f"{path} was readable at ingestion and is not any more ({error}); {INGEST_AGAIN}"
        ) from error
    if known is not None and pixel_hash(pixels) != known:
        raise UserError(f"{path} has changed since ingestion; {INGEST_AGAIN}")
    return pixels


def age_bands(ages: Sequence[float | None] | ArrayLike) -> NDArray[np.object_]:
    """Return the band (n,) of each age in years; missing, negative or over OLDEST is `unknown`."""
    years: NDArray[Any] = np.asarray(ages, dtype=np.float64)
    known = (years >= 0.0) & (years <= OLDEST)
    places = np.where(known, np.searchsorted(BAND_STARTS, years, side="right"), len(AGE_BANDS) - 1)
    return np.asarray(AGE_BANDS, dtype=object)[places]
