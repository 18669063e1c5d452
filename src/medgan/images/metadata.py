"""What one look at a file tells of its image; the rest of a run needs no second one to know size,
hashes and origin.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medgan.files.parallel import in_order
from medgan.images.hashing import perceptual_hash
from medgan.sources.raw import ImageRefused
from medgan.sources.registry import ImageSource

VERSION = 1
"""Part of every fingerprint; raise it when reading or hashing changes, and all files are looked at
again.
"""
REPORT_EVERY = 2.0
"""Seconds between two reports of what was read: what a killed run loses at most."""
LOOKED_UP = 512
"""Paths that are compared with earlier facts at a time."""
Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class ImageFacts:
    """One image, or why there is none."""

    path: str
    fingerprint: str
    """Of the content of the file; facts hold as long as it does."""
    width: int = 0
    height: int = 0
    pixel_hash: str = ""
    perceptual_hash: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    """The reason of a refusal; empty for an image that can be used."""
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For storing."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> ImageFacts:
        """The inverse of `as_dict`."""
        return cls(**{one.name: stored[one.name] for one in fields(cls)})


class KnownFacts(Protocol):
    """Facts of an earlier run."""

    def of(self, paths: Sequence[str]) -> dict[str, ImageFacts]:
        """The facts of those paths that are known."""
        ...


def silent(done: int, total: int) -> None:
    """A `Progress` that shows nothing."""


def pixel_hash(image: NDArray[np.uint8]) -> str:
    """SHA-256 of shape and pixels (H, W, C); a grey picture stored as RGB has the hash of its grey
    twin.
    """
    grey = image.shape[2] == 1 or (
        np.array_equal(image[..., 0], image[..., 1])
        and np.array_equal(image[..., 0], image[..., 2])
    )
    pixels = image[..., :1] if grey else image
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def look(source: ImageSource, path: str, known: ImageFacts | None = None) -> ImageFacts:
    """The facts of one image. It is decoded only if its content is not that of the `known`
    facts.
    """
    try:
        fingerprint = f"{VERSION}/{source.fingerprint(path)}"
        return (
            known
            if known and known.fingerprint == fingerprint
            else _decoded(source, path, fingerprint)
        )
    except ImageRefused as refused:
        return ImageFacts(path, "", code=refused.code, message=str(refused))


def _decoded(source: ImageSource, path: str, fingerprint: str) -> ImageFacts:
    try:
        picture = source.read(path)
        if picture.pixels.min() == picture.pixels.max():
            raise ImageRefused("CONSTANT", "all its pixels are equal")
    except ImageRefused as refused:
        return ImageFacts(path, fingerprint, code=refused.code, message=str(refused))
    height, width = picture.pixels.shape[:2]
    hashes = pixel_hash(picture.pixels), perceptual_hash(picture.pixels)
    return ImageFacts(path, fingerprint, width, height, *hashes, dict(picture.metadata))


def read_facts(
    source: ImageSource, paths: Sequence[str], known: KnownFacts, on_progress: Progress = silent
) -> Iterator[list[ImageFacts]]:
    """Looks at every path, several at a time; yields the new facts every few seconds, the last of
    them (maybe none) at the end.

    Files whose content is that of `known` are not decoded, and not yielded again. What decoders
    warn of is not for the user.
    """
    fresh: list[ImageFacts] = []
    reported, done = time.monotonic(), 0
    with warnings.catch_warnings(action="ignore"):
        for before, facts in in_order(
            lambda pair: (pair[1], look(source, *pair)), _with_known(paths, known)
        ):
            done += 1
            on_progress(done, len(paths))
            if facts is not before:
                fresh.append(facts)
            if fresh and time.monotonic() - reported >= REPORT_EVERY:
                yield fresh
                fresh, reported = [], time.monotonic()
    yield fresh


def _with_known(paths: Sequence[str], known: KnownFacts) -> Iterator[tuple[str, ImageFacts | None]]:
    for start in range(0, len(paths), LOOKED_UP):
        part = paths[start : start + LOOKED_UP]
        earlier = known.of(part)
        yield from ((path, earlier.get(path)) for path in part)


UNKNOWN = "unknown"
AGE_BANDS = ("0-1", "2-5", "6-17", "18-39", "40-64", "65+", UNKNOWN)
"""Bands of completed years of age, youngest first."""
_STARTS = (2.0, 6.0, 18.0, 40.0, 65.0)
"""Where the second band and those after it begin."""
OLDEST = 120.0
"""Years; an age over it is an error of entry, and unknown."""


def age_bands(ages: Sequence[float | None] | ArrayLike) -> NDArray[np.object_]:
    """The band of each age in years (n,): (n,) names of AGE_BANDS. Missing, negative and ages over
    120 are `unknown`.
    """
    years: NDArray[Any] = np.asarray(ages, dtype=np.float64)
    known = (years >= 0.0) & (years <= OLDEST)
    places = np.where(known, np.searchsorted(_STARTS, years, side="right"), len(AGE_BANDS) - 1)
    return np.asarray(AGE_BANDS, dtype=object)[places]


def age_band(age: float | None) -> str:
    """The band of one age in years."""
    return str(age_bands([age])[0])
