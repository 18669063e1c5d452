"""A block of pictures for each class, and pictures that come more than once beside their copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.plots.sheets import Sheet, last_part, shortened
from medgan.plots.style import MUTED, PALETTE

CELL = 128
"""Side of a picture in pixels."""
GAP = 12
COLUMNS = 8
LETTERS = 21
"""Letters of a caption below one picture."""
MARGIN = 12
TITLE, CAPTION, HEADING = 30, 18, 40
"""Heights in pixels: title of a block, caption of a picture, heading of a sheet."""
LINE = 13
WIDTH = 2 * MARGIN + COLUMNS * (CELL + GAP)


@dataclass(frozen=True)
class Block:
    """Pictures of one class."""

    title: str
    pictures: Sequence[NDArray[np.uint8]]
    """(h, w, 1 or 3) each, neither side over CELL."""
    image_ids: Sequence[str]


def contact_sheet(blocks: Sequence[Block], heading: str = "") -> Figure:
    """The blocks below each other, each with its title, every picture with its id."""
    heights = [TITLE + _rows(block) * (CELL + CAPTION) + GAP for block in blocks]
    sheet = Sheet(WIDTH, HEADING + sum(heights))
    sheet.write(MARGIN, MARGIN, heading, 11, fontweight="bold")
    y = HEADING
    for block, height in zip(blocks, heights, strict=True):
        sheet.write(MARGIN, y + 6, block.title, 9, fontweight="bold")
        for index, (picture, image_id) in enumerate(zip(block.pictures, block.image_ids, strict=True)):
            x, top = MARGIN + index % COLUMNS * (CELL + GAP), y + TITLE + index // COLUMNS * (CELL + CAPTION)
            sheet.place(picture, x, top, CELL)
            sheet.write(x + CELL / 2, top + CELL + 3, shortened(last_part(image_id), LETTERS), 5.5, ha="center", color=MUTED)
        y += height
    return sheet.figure()


def _rows(block: Block) -> int:
    return -(-len(block.pictures) // COLUMNS)


@dataclass(frozen=True)
class Copies:
    """One picture that comes more than once."""

    pictures: Sequence[NDArray[np.uint8]]
    captions: Sequence[Sequence[str]]
    """Lines below each picture: id, class, split, patient."""
    crossing: Sequence[str]
    """What the copies differ in: class, patient, split."""


COPY_LINES = 4
COPY_HEIGHT = TITLE + CELL + COPY_LINES * LINE + 2 * GAP


def duplicate_sheet(groups: Sequence[Copies], heading: str) -> Figure:
    """The groups one after another, each in a frame; red where the copies differ in what they should share."""
    places, rows = _flow([len(group.pictures) for group in groups])
    sheet = Sheet(WIDTH, HEADING + rows * COPY_HEIGHT)
    sheet.write(MARGIN, MARGIN, heading, 11, fontweight="bold")
    for group, (row, slot) in zip(groups, places, strict=True):
        _copies(sheet, group, MARGIN + slot * (CELL + GAP), HEADING + row * COPY_HEIGHT)
    return sheet.figure()


def _copies(sheet: Sheet, group: Copies, x: int, y: int) -> None:
    colour = PALETTE[1] if group.crossing else MUTED
    words = f"differ in {', '.join(group.crossing)}" if group.crossing else "copies agree"
    sheet.frame(x - 4, y, len(group.pictures) * (CELL + GAP) - 6, COPY_HEIGHT - GAP, colour)
    sheet.write(x + 3, y + 7, words, 7, color=colour, fontweight="bold")
    for index, (picture, lines) in enumerate(zip(group.pictures, group.captions, strict=True)):
        left, top = x + index * (CELL + GAP), y + TITLE - 4
        sheet.place(picture, left, top, CELL)
        for number, line in enumerate(lines[:COPY_LINES]):
            sheet.write(left + 2, top + CELL + 4 + number * LINE, shortened(line, LETTERS - 1), 5.5, color=MUTED)


def _flow(sizes: Sequence[int]) -> tuple[list[tuple[int, int]], int]:
    """Row and first slot of groups of these sizes, filled in order into rows of COLUMNS slots; and the number of rows."""
    places, row, slot = [], 0, 0
    for size in sizes:
        if slot + size > COLUMNS:
            row, slot = row + 1, 0
        places.append((row, slot))
        slot += size
    return places, row + (slot > 0)
