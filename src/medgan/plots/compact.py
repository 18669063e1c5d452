"""Pictures made small for a page that holds all of them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH = 1400
"""Pixels; twice the width of a page on a screen with two pixels for one."""
COLOURS = 256
FORM = 1
"""Raised with every change in how pictures are made small, so that older ones are not taken."""


def compacted(pictures: Iterable[bytes], earlier: Mapping[str, NDArray[Any]] | None = None) -> dict[str, NDArray[np.uint8]]:
    """The bytes of each picture made small, by the name that `content_name` gives the picture.

    Args:
        pictures: PNG files.
        earlier: what an earlier call returned; a picture that is in it is not made small again.
    """
    known = earlier or {}
    named = {content_name(png): png for png in pictures}
    return {name: known[name] if name in known else np.frombuffer(compact(png), dtype=np.uint8) for name, png in named.items()}


def content_name(png: bytes) -> str:
    """The same for the same file, and for no other."""
    return f"{FORM}-{hashlib.sha256(png).hexdigest()}"


def compact(png: bytes, width: int = WIDTH) -> bytes:
    """The picture with at most `width` columns and 256 colours, or as it is where that would not make it smaller.

    Args:
        png: a PNG file.
        width: in pixels.

    Returns:
        A PNG file.
    """
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    # Maximum coverage keeps the few coloured pixels of a heat map: median cut gives most of the colours to the greys around them.
    # Pillow's `optimize` would take five times as long to encode and save 4 % of the bytes.
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(stream, "PNG")
    return min(png, stream.getvalue(), key=len)
