"""Contact sheets of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from medgan.errors import UserError
from medgan.images.cropping import Cut
from medgan.plots.style import HEAT, INK, MUTED, PALETTE, house_style

CELL_INCHES = 1.15


def image_grid(
    images: NDArray[np.uint8],
    titles: Sequence[str] | None = None,
    columns: int = 8,
    title: str = "",
) -> Figure:
    """Images side by side.

    Args:
        images: (n, H, W), (n, H, W, 1) or (n, H, W, 3), uint8.
        titles: one above each image.
        columns: images in a row.
        title: above all of them.

    Raises:
        UserError: there is no image.
    """
    if not len(images):
        raise UserError("There is no image to show: the split or the class is empty.")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    cell = CELL_INCHES + 0.22 * (titles is not None)
    with house_style():
        figure = Figure(
            figsize=(columns * CELL_INCHES, rows * cell + 0.35 * bool(title)), layout="constrained"
        )
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)  # type: ignore[union-attr, call-arg]
        axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
        for index, axis in enumerate(axes):
            show_image(axis, images[index] if index < len(images) else None)
            if titles is not None and index < len(images):
                axis.set_title(titles[index], fontsize=8, fontweight="normal", loc="center", pad=2)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def show_image(axis: Axes, image: NDArray[Any] | None) -> None:
    """A uint8 image (H, W), (H, W, 1) or (H, W, 3) without axes; None leaves the place empty."""
    axis.set_axis_off()
    if image is not None:
        grey = image.ndim == 2 or image.shape[-1] == 1
        axis.imshow(
            image.squeeze(-1) if image.ndim == 3 and grey else image,
            cmap="gray" if grey else None,
            vmin=0,
            vmax=255,
            interpolation="nearest",
        )


DPI = 120
"""Resolution at which a pixel of the sheet is a pixel of the file."""


class Sheet:
    """A white sheet (width, height in pixels, from the upper left); `figure()` gives it as it
    stands.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._canvas = np.full((height, width, 3), 255, dtype=np.uint8)
        self._words: list[tuple[float, float, str, dict[str, Any]]] = []
        self._frames: list[tuple[float, float, float, float, str]] = []

    def place(self, image: NDArray[np.uint8], x: int, y: int, size: int) -> None:
        """An image (h, w, 1 or 3), neither side over `size`, in the middle of the square whose
        corner is (x, y).
        """
        height, width = image.shape[:2]
        top, left = y + (size - height) // 2, x + (size - width) // 2
        self._canvas[top : top + height, left : left + width] = image

    def write(self, x: float, y: float, words: str, points: float = 6.5, **style: Any) -> None:
        """Words whose upper left corner is (x, y), in black unless told."""
        self._words.append(
            (x, y, words, {"fontsize": points, "color": INK, "va": "top", "ha": "left", **style})
        )

    def frame(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """A rectangle."""
        self._frames.append((x, y, width, height, color))

    def figure(self) -> Figure:
        """The sheet as a figure; at 120 dots per inch its pixels are those of the file."""
        with house_style():
            figure = Figure(figsize=(self.width / DPI, self.height / DPI), dpi=DPI)
            axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
            axis.set_axis_off()
            axis.imshow(
                self._canvas,
                interpolation="none",
                extent=(0, self.width, self.height, 0),
                aspect="auto",
            )
            for x, y, words, style in self._words:
                axis.text(x, y, words, **style)
            for x, y, width, height, color in self._frames:
                axis.add_patch(
                    Rectangle((x, y), width, height, fill=False, edgecolor=color, linewidth=1.2)
                )
            axis.set(xlim=(0, self.width), ylim=(self.height, 0))
        return figure


def shortened(name: str, length: int) -> str:
    """A name of at most so many letters: the middle of a long one is left out, as ids differ at
    their ends.
    """
    if len(name) <= length:
        return name
    head = (length - 1) // 3
    return f"{name[:head]}…{name[len(name) - (length - 1 - head) :]}"


def last_part(image_id: str) -> str:
    """The file's name of an id that is a path."""
    return image_id.rstrip("/").rpartition("/")[2] or image_id


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
        for index, (picture, image_id) in enumerate(
            zip(block.pictures, block.image_ids, strict=True)
        ):
            x, top = (
                MARGIN + index % COLUMNS * (CELL + GAP),
                y + TITLE + index // COLUMNS * (CELL + CAPTION),
            )
            sheet.place(picture, x, top, CELL)
            sheet.write(
                x + CELL / 2,
                top + CELL + 3,
                shortened(last_part(image_id), LETTERS),
                5.5,
                ha="center",
                color=MUTED,
            )
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
    """The groups one after another, each in a frame; red where the copies differ in what they
    should share.
    """
    places, rows = _flow([len(group.pictures) for group in groups])
    sheet = Sheet(WIDTH, HEADING + rows * COPY_HEIGHT)
    sheet.write(MARGIN, MARGIN, heading, 11, fontweight="bold")
    for group, (row, slot) in zip(groups, places, strict=True):
        _copies(sheet, group, MARGIN + slot * (CELL + GAP), HEADING + row * COPY_HEIGHT)
    return sheet.figure()


def _copies(sheet: Sheet, group: Copies, x: int, y: int) -> None:
    color = PALETTE[1] if group.crossing else MUTED
    words = f"differ in {', '.join(group.crossing)}" if group.crossing else "copies agree"
    sheet.frame(x - 4, y, len(group.pictures) * (CELL + GAP) - 6, COPY_HEIGHT - GAP, color)
    sheet.write(x + 3, y + 7, words, 7, color=color, fontweight="bold")
    for index, (picture, lines) in enumerate(zip(group.pictures, group.captions, strict=True)):
        left, top = x + index * (CELL + GAP), y + TITLE - 4
        sheet.place(picture, left, top, CELL)
        for number, line in enumerate(lines[:COPY_LINES]):
            sheet.write(
                left + 2,
                top + CELL + 4 + number * LINE,
                shortened(line, LETTERS - 1),
                5.5,
                color=MUTED,
            )


def _flow(sizes: Sequence[int]) -> tuple[list[tuple[int, int]], int]:
    """Row and first slot of groups of these sizes, filled in order into rows of COLUMNS slots; and
    the number of rows.
    """
    places, row, slot = [], 0, 0
    for size in sizes:
        if slot + size > COLUMNS:
            row, slot = row + 1, 0
        places.append((row, slot))
        slot += size
    return places, row + (slot > 0)


PAIR_COLUMNS = 4
"""Pairs in a row."""
INCHES = 1.45
"""Side of a picture."""
PAIR_CAPTION = 24
"""Characters of a caption's line; of longer ones the end is shown, which is where file names
differ.
"""


@dataclass(frozen=True)
class Pair:
    """Two pictures and what is written to them."""

    left: NDArray[np.uint8]
    right: NDArray[np.uint8]
    """(H, W, 1) or (H, W, 3); every picture of its own size."""
    heading: str
    left_caption: str
    right_caption: str
    """Lines are divided by a line break."""


def side_by_side(
    pairs: Sequence[Pair], title: str = "", nothing: str = "There is no such pair."
) -> Figure:
    """A sheet of pairs; where there is none, a sheet that says `nothing`.

    Args:
        pairs: in the order of reading.
        title: above all of them.
        nothing: one sentence.
    """
    rows, columns = -(-max(1, len(pairs)) // PAIR_COLUMNS), min(PAIR_COLUMNS, max(2, len(pairs)))
    with house_style():
        figure = Figure(
            figsize=(columns * 2 * INCHES, 0.4 + rows * (INCHES + 0.6) if pairs else 1.0),
            layout="constrained",
        )
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        if not pairs:
            figure.text(0.01, 0.35, nothing, color=MUTED)
            return figure
        figure.get_layout_engine().set(w_pad=0.03, h_pad=0.12, wspace=0.0, hspace=0.02)  # type: ignore[union-attr, call-arg]
        axes = figure.subplots(rows, 2 * columns, squeeze=False).ravel()
        for axis in axes[2 * len(pairs) :]:
            axis.set_axis_off()
        for left, right, pair in zip(axes[::2], axes[1::2], pairs, strict=False):
            left.text(
                0.0, 1.04, pair.heading, transform=left.transAxes, fontsize=8, va="bottom"
            ).set_in_layout(False)
            for axis, picture, caption in (
                (left, pair.left, pair.left_caption),
                (right, pair.right, pair.right_caption),
            ):
                show_image(axis, picture)
                axis.text(
                    0.0,
                    -0.04,
                    _short(caption),
                    transform=axis.transAxes,
                    fontsize=6,
                    color=MUTED,
                    va="top",
                )
    return figure


def _short(caption: str) -> str:
    lines = (
        line if len(line) <= PAIR_CAPTION else f"…{line[1 - PAIR_CAPTION :]}"
        for line in caption.split("\n")
    )
    return "\n".join(lines)


CUT_CELL = 190
"""Side of a picture in pixels."""
CUT_GAP, CUT_MARGIN, HEADING, TITLE, FOOT = 8, 12, 76, 26, 54
PAIRS = 3
"""Pairs in a row."""
PAIR = 2 * (CUT_CELL + CUT_GAP) + 20
ROW = TITLE + CUT_CELL + FOOT
TINT = np.array([209, 73, 91])
"""What is cut off is shown in this color."""
LETTER = 7.2
"""Width of a letter of the heading in pixels, at most."""


def what_was_cut(cuts: Sequence[Cut], heading: str, words: str) -> Figure:
    """For each picture: the original, its kept part framed and the rest tinted, and the stored
    image; `words` stand below the heading.
    """
    sheet = Sheet(
        2 * CUT_MARGIN + min(PAIRS, max(2, len(cuts))) * PAIR,
        HEADING + -(-len(cuts) // PAIRS) * ROW,
    )
    sheet.write(CUT_MARGIN, CUT_MARGIN, heading, 11, fontweight="bold")
    sheet.write(
        CUT_MARGIN, CUT_MARGIN + 24, fill(words, int(sheet.width / LETTER)), 7.5, linespacing=1.4
    )
    for index, cut in enumerate(cuts):
        _pair(sheet, cut, CUT_MARGIN + index % PAIRS * PAIR, HEADING + index // PAIRS * ROW)
    return sheet.figure()


def _pair(sheet: Sheet, cut: Cut, x: int, y: int) -> None:
    height, width = cut.picture.shape[:2]
    down, across = height / cut.height, width / cut.width
    top, left, bottom, right = (
        cut.kept.top * down,
        cut.kept.left * across,
        cut.kept.bottom * down,
        cut.kept.right * across,
    )
    corner, upper = x + (CUT_CELL - width) // 2, y + TITLE + (CUT_CELL - height) // 2
    second = x + CUT_CELL + CUT_GAP
    sheet.write(x, y + 5, cut.title, 9, fontweight="bold")
    sheet.place(
        _tinted(cut.picture, round(top), round(left), round(bottom), round(right)),
        x,
        y + TITLE,
        CUT_CELL,
    )
    sheet.frame(corner + left, upper + top, right - left, bottom - top, PALETTE[3])
    sheet.place(_enlarged(cut.stored), second, y + TITLE, CUT_CELL)
    sheet.write(
        x, y + TITLE + CUT_CELL + 4, shortened(last_part(cut.image_id), 32), 5.5, color=MUTED
    )
    sheet.write(x, y + TITLE + CUT_CELL + 17, f"{cut.width} × {cut.height} px", 6)
    sheet.write(
        second,
        y + TITLE + CUT_CELL + 4,
        f"stored: {cut.stored.shape[1]} × {cut.stored.shape[0]} px",
        6,
    )
    sheet.write(second, y + TITLE + CUT_CELL + 17, fill(cut.words, 40), 6)


def _tinted(
    image: NDArray[np.uint8], top: int, left: int, bottom: int, right: int
) -> NDArray[np.uint8]:
    """(h, w, 3) with all but the kept part under a tint."""
    color = np.broadcast_to(image, (*image.shape[:2], 3))
    tinted = (0.5 * color + 0.5 * TINT).astype(np.uint8)
    tinted[top:bottom, left:right] = color[top:bottom, left:right]
    return tinted


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(s, s, 1 or 3) to (CELL, CELL, 3): its pixels as squares where it is smaller, averaged where
    it is larger.
    """
    color = np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))
    how = Image.Resampling.NEAREST if image.shape[0] <= CUT_CELL else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(color).resize((CUT_CELL, CUT_CELL), how))


STRENGTH = 0.65
"""Share of the hottest color in an overlay."""
LONGEST_NAME = 64


def scored_image(
    pixels: NDArray[np.uint8],
    anomaly_map: NDArray[Any],
    scale: tuple[float, float],
    name: str,
    words: str,
    note: str,
) -> Figure:
    """The image beside the same image with its anomaly map over it, and the scale of the map.

    Args:
        pixels: (H, W, 1 or 3), as the detector saw it.
        anomaly_map: (H, W), higher is more anomalous.
        scale: values that are shown transparent and hottest, the same for all pictures that are
            compared.
        name: of the image; shortened at its beginning, where paths are alike.
        words: below the name: score and decision.
        note: below the pictures.
    """
    low, high = scale[0], max(scale[1], scale[0] + 1e-9)
    values = np.asarray(anomaly_map, dtype=np.float64)
    with house_style():
        figure = Figure(figsize=(6.4, 3.9))
        axes = [figure.add_axes((left, 0.09, 0.42, 0.69)) for left in (0.015, 0.455)]
        for axis, caption in zip(
            axes, ("the image as the detector sees it", "its anomaly map over it"), strict=True
        ):
            show_image(axis, pixels)
            axis.set_title(caption, fontsize=9, fontweight="normal", pad=3)
        strength = np.clip((values - low) / (high - low), 0, 1)
        axes[1].imshow(
            values,
            cmap=HEAT,
            vmin=low,
            vmax=high,
            alpha=STRENGTH * strength,
            interpolation="bilinear",
        )
        shown = ScalarMappable(Normalize(low, high), HEAT)
        figure.colorbar(shown, cax=figure.add_axes((0.895, 0.09, 0.02, 0.69))).ax.tick_params(
            labelsize=8
        )
        figure.text(
            0.015, 0.935, _shortened(name), fontsize=10, fontweight="bold", parse_math=False
        )
        figure.text(0.015, 0.875, words, fontsize=10, parse_math=False)
        figure.text(0.015, 0.025, note, fontsize=8, color=MUTED)
    return figure


def _shortened(name: str) -> str:
    """One printable line of at most LONGEST_NAME letters."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in name)
    return printable if len(printable) <= LONGEST_NAME else "…" + printable[1 - LONGEST_NAME :]
