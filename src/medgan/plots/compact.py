"""Pictures made small for a page that holds all of them."""

from __future__ import annotations

import io

from PIL import Image

WIDTH = 1400
"""Pixels; twice the width of a page on a screen with two pixels for one."""
COLOURS = 256


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
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return min(png, stream.getvalue(), key=len)
