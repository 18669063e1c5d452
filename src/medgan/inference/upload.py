"""Score one uploaded image, for the app."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.inference.inputs import not_constant
from medgan.inference.output import picture
from medgan.inference.trained import Frozen, Trained
from medgan.plots.anomaly_maps import own_scale
from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import RASTER_READERS, read_picture

SIZE_CAP = 20 * 2**20
"""Largest file that is read, in bytes."""
READING = ReadingConfig(max_pixels=12_000_000)
"""A file of 20 MB may hold far more pixels than a page has memory for: these take 400 MB at most."""


@dataclass(frozen=True)
class Verdict:
    """What a detector says about one image; no decision about one outside its domain."""

    score: float
    """Higher is more anomalous; scores of different detectors are not comparable."""
    picture: bytes
    """PNG of the image and its anomaly map, the same that `medgan score` writes."""
    sentences: tuple[str, ...]
    """The decision, and where the score lies among those of normal images; empty without an
    evaluation.
    """
    outside: str = ""
    """Why the image is outside the domain of the detector; empty where it is inside."""


def read_upload(data: bytes) -> NDArray[np.uint8]:
    """Read the pixels of an uploaded file: (H, W, 1) gray or (H, W, 3) RGB.

    The format is recognized by content, not by name.

    Raises:
        ImageRefused: it is too large, of another format, damaged, or of one color.
    """
    if len(data) > SIZE_CAP:
        megabytes = len(data) / 2**20
        raise ImageRefused(
            "TOO_LARGE", f"the file has {megabytes:.0f} MB, more than {SIZE_CAP >> 20}"
        )
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        image = read_picture(file.name, config=READING, readers=RASTER_READERS).pixels
    return not_constant(image)


def score_upload(using: Trained, data: bytes, name: str) -> Verdict:
    """Score an uploaded file.

    Raises:
        ImageRefused: as `read_upload` does.
        UserError: the score is not a finite number.
    """
    native, frozen = read_upload(data), using.frozen
    pixels = using.prepared(native)
    outside = frozen.domain.outside(native, pixels) if frozen else ""
    scores, maps = using.score(pixels[None], [name])
    score = float(scores[0])
    scale = (frozen and frozen.scale) or own_scale(maps)
    shown = picture(pixels, maps[0], scale, name, using.verdict(score, outside=outside))
    sentences = tuple(_sentences(frozen, score)) if frozen and not outside else ()
    return Verdict(score, shown, sentences, outside)


def _sentences(frozen: Frozen, score: float) -> Iterator[str]:
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


def refusal_sentence(refused: ImageRefused) -> str:
    """Say why an image is not scored, with the code that a quarantine report would give."""
    return f"This file cannot be scored ({refused.code}): {refused}."
