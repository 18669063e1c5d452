"""What was cut: pictures with the part that is kept, beside what is stored of them."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from medgan.images.cutting import Cut
from medgan.plots.sheets import Sheet, last_part, shortened
from medgan.plots.style import MUTED, PALETTE

CELL = 190
"""Side of a picture in pixels."""
GAP, MARGIN, HEADING, TITLE, FOOT = 8, 12, 76, 26, 54
PAIRS = 3
"""Pairs in a row."""
PAIR = 2 * (CELL + GAP) + 20
ROW = TITLE + CELL + FOOT
TINT = np.array([209, 73, 91])
"""What is cut off is shown in this colour."""
LETTER = 7.2
"""Width of a letter of the heading in pixels, at most."""


def what_was_cut(cuts: Sequence[Cut], heading: str, words: str) -> Figure:
    """For each picture: the original, its kept part framed and the rest tinted, and the stored image; `words` stand below the heading."""
    sheet = Sheet(2 * MARGIN + min(PAIRS, max(2, len(cuts))) * PAIR, HEADING + -(-len(cuts) // PAIRS) * ROW)
    sheet.write(MARGIN, MARGIN, heading, 11, fontweight="bold")
    sheet.write(MARGIN, MARGIN + 24, fill(words, int(sheet.width / LETTER)), 7.5, linespacing=1.4)
    for index, cut in enumerate(cuts):
        _pair(sheet, cut, MARGIN + index % PAIRS * PAIR, HEADING + index // PAIRS * ROW)
    return sheet.figure()


def _pair(sheet: Sheet, cut: Cut, x: int, y: int) -> None:
    height, width = cut.picture.shape[:2]
    down, across = height / cut.height, width / cut.width
    top, left, bottom, right = cut.kept.top * down, cut.kept.left * across, cut.kept.bottom * down, cut.kept.right * across
    corner, upper = x + (CELL - width) // 2, y + TITLE + (CELL - height) // 2
    second = x + CELL + GAP
    sheet.write(x, y + 5, cut.title, 9, fontweight="bold")
    sheet.place(_tinted(cut.picture, round(top), round(left), round(bottom), round(right)), x, y + TITLE, CELL)
    sheet.frame(corner + left, upper + top, right - left, bottom - top, PALETTE[3])
    sheet.place(_enlarged(cut.stored), second, y + TITLE, CELL)
    sheet.write(x, y + TITLE + CELL + 4, shortened(last_part(cut.image_id), 32), 5.5, color=MUTED)
    sheet.write(x, y + TITLE + CELL + 17, f"{cut.width} × {cut.height} px", 6)
    sheet.write(second, y + TITLE + CELL + 4, f"stored: {cut.stored.shape[1]} × {cut.stored.shape[0]} px", 6)
    sheet.write(second, y + TITLE + CELL + 17, fill(cut.words, 40), 6)


def _tinted(image: NDArray[np.uint8], top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
    """(h, w, 3) with all but the kept part under a tint."""
    colour = np.broadcast_to(image, (*image.shape[:2], 3))
    tinted = (0.5 * colour + 0.5 * TINT).astype(np.uint8)
    tinted[top:bottom, left:right] = colour[top:bottom, left:right]
    return tinted


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(s, s, 1 or 3) to (CELL, CELL, 3): its pixels as squares where it is smaller, averaged where it is larger."""
    colour = np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))
    how = Image.Resampling.NEAREST if image.shape[0] <= CELL else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(colour).resize((CELL, CELL), how))
