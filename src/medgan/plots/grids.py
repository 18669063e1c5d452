"""Contact sheets: images side by side, with their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medgan.errors import UserError
from medgan.images.cropping import Cut
from medgan.plots.style import INK, MUTED, PALETTE, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pixels = NDArray[np.uint8]


def show_image(axis: Axes, image: NDArray[Any] | None) -> None:
    """Draw an image (H, W), (H, W, 1) or (H, W, 3) without ticks; None leaves the place empty."""
    axis.set_axis_off()
    if image is not None:
        color = image.ndim == 3 and image.shape[-1] == 3
        pixels = image if color or image.ndim == 2 else image[..., 0]
        shades: dict[str, Any] = {"cmap": None if color else "gray", "vmin": 0, "vmax": 255}
        axis.imshow(pixels, interpolation="nearest", **shades)


PAIR_COLUMNS = 4
"""Pairs in a row."""
INCHES = 1.45
"""Side of a picture of a pair."""
PAIR_CAPTION = 24
"""Characters of a caption's line; of longer ones the end is shown, where file names differ."""


@dataclass(frozen=True)
class Pair:
    """Two pictures and their captions."""

    left: Pixels
    right: Pixels
    """(H, W, 1) or (H, W, 3); every picture of its own size."""
    heading: str
    left_caption: str
    right_caption: str
    """Lines are divided by a line break."""


@house_style()
def side_by_side(
    pairs: Sequence[Pair], title: str = "", nothing: str = "There is no such pair."
) -> Figure:
    """Draw a sheet of pairs, or the sentence `nothing` where there is none.

    Args:
        pairs: in the order of reading.
        title: above all of them.
        nothing: one sentence.
    """
    rows, columns = -(-max(1, len(pairs)) // PAIR_COLUMNS), min(PAIR_COLUMNS, max(2, len(pairs)))
    height = 0.4 + rows * (INCHES + 0.6) if pairs else 1.0
    figure = new_figure(columns * 2 * INCHES, height, title)
    if not pairs:
        figure.text(0.01, 0.35, nothing, color=MUTED)
        return figure
    room = {"w_pad": 0.03, "h_pad": 0.12, "wspace": 0.0, "hspace": 0.02}
    figure.get_layout_engine().set(**room)  # type: ignore[union-attr]
    axes = figure.subplots(rows, 2 * columns, squeeze=False).ravel()
    for axis in axes[2 * len(pairs) :]:
        axis.set_axis_off()
    for left, right, pair in zip(axes[::2], axes[1::2], pairs, strict=False):
        _captioned(left, pair.left, pair.left_caption)
        _captioned(right, pair.right, pair.right_caption)
        style: dict[str, Any] = {"transform": left.transAxes, "fontsize": 8, "va": "bottom"}
        left.text(0.0, 1.04, pair.heading, **style).set_in_layout(False)
    return figure


def _captioned(axis: Axes, picture: Pixels, caption: str) -> None:
    show_image(axis, picture)
    lines = (
        line if len(line) <= PAIR_CAPTION else f"…{line[1 - PAIR_CAPTION :]}"
        for line in caption.split("\n")
    )
    style: dict[str, Any] = {"fontsize": 6, "color": MUTED, "va": "top"}
    axis.text(0.0, -0.04, "\n".join(lines), transform=axis.transAxes, **style)


DPI = 120
"""Resolution at which a pixel of a sheet is a pixel of the file."""


class Sheet:
    """A white sheet in pixels, from the upper left; `figure()` draws it."""

    def __init__(self, width: int, height: int, heading: str = "") -> None:
        self.width, self.height = width, height
        self._canvas = np.full((height, width, 3), 255, dtype=np.uint8)
        self._words: list[tuple[float, float, str, dict[str, Any]]] = []
        self._frames: list[tuple[float, float, float, float, str]] = []
        if heading:
            self.write(MARGIN, MARGIN, heading, 11, fontweight="bold")

    def place(self, image: Pixels, x: int, y: int, size: int) -> None:
        """Center an image (h, w, 1 or 3), no side over `size`, in the square at (x, y)."""
        height, width = image.shape[:2]
        top, left = y + (size - height) // 2, x + (size - width) // 2
        self._canvas[top : top + height, left : left + width] = image

    def write(self, x: float, y: float, words: str, points: float = 6.5, **style: Any) -> None:
        """Write words whose upper left corner is (x, y)."""
        plain: dict[str, Any] = {"fontsize": points, "color": INK, "va": "top", "ha": "left"}
        self._words.append((x, y, words, {**plain, **style}))

    def frame(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """Draw a rectangle."""
        self._frames.append((x, y, width, height, color))

    @house_style()
    def figure(self) -> Figure:
        """Draw the sheet; at 120 dots per inch its pixels are those of the file."""
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle

        figure = Figure(figsize=(self.width / DPI, self.height / DPI), dpi=DPI)
        axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axis.set_axis_off()
        extent = (0, self.width, self.height, 0)
        axis.imshow(self._canvas, interpolation="none", extent=extent, aspect="auto")
        for x, y, words, style in self._words:
            axis.text(x, y, words, **style)
        for x, y, width, height, color in self._frames:
            style = {"fill": False, "edgecolor": color, "linewidth": 1.2}
            axis.add_patch(Rectangle((x, y), width, height, **style))
        axis.set(xlim=(0, self.width), ylim=(self.height, 0))
        return figure


def shortened(name: str, length: int) -> str:
    """Shorten a name to so many letters by leaving out its middle, as ids differ at their ends."""
    if len(name) <= length:
        return name
    head = (length - 1) // 3
    return f"{name[:head]}…{name[len(name) - (length - 1 - head) :]}"


def file_name(image_id: str, length: int) -> str:
    """Give the file name of an id that is a path, shortened to so many letters."""
    return shortened(image_id.rstrip("/").rpartition("/")[2] or image_id, length)


CELL = 128
"""Side of a picture in pixels."""
GAP = MARGIN = 12
COLUMNS = 8
SEAM = 4
"""Pixels between the pictures of a grid."""
LETTERS = 21
"""Letters of a caption below one picture."""
HEADING, TITLE, CAPTION, LINE = 40, 30, 18, 13
"""Heights in pixels: heading of a sheet, title of a block, caption of a picture, line of text."""
SMALL = 5.5
"""Size of captions in points."""
PITCH = CELL + GAP
WIDTH = 2 * MARGIN + COLUMNS * PITCH


def image_grid(
    images: Pixels, titles: Sequence[str] | None = None, columns: int = COLUMNS
) -> Figure:
    """Draw images side by side, all of one size.

    Args:
        images: (n, H, W), (n, H, W, 1) or (n, H, W, 3).
        titles: one above each image.
        columns: images in a row.

    Raises:
        UserError: there is no image.
    """
    if not len(images):
        raise UserError("There is no image to show: the split or the class is empty.")
    columns, above = min(columns, len(images)), CAPTION if titles is not None else 0
    across, down = CELL + SEAM, CELL + SEAM + above
    sheet = Sheet(columns * across, -(-len(images) // columns) * down)
    for index, image in enumerate(images.reshape(*images.shape[:3], -1)):
        row, column = divmod(index, columns)
        sheet.place(_fitted(image, CELL), column * across, row * down + above, CELL)
        if titles is not None:
            center = column * across + CELL / 2
            sheet.write(center, row * down + above - 3, titles[index], 7, ha="center", va="bottom")
    return sheet.figure()


@dataclass(frozen=True)
class Block:
    """Pictures of one class."""

    title: str
    pictures: Sequence[Pixels]
    """(h, w, 1 or 3) each, no side over CELL."""
    image_ids: Sequence[str]


def contact_sheet(blocks: Sequence[Block], heading: str = "") -> Figure:
    """Draw the blocks below each other, each with its title, every picture with its id."""
    rows = [-(-len(block.pictures) // COLUMNS) for block in blocks]
    heights = [TITLE + row * (CELL + CAPTION) + GAP for row in rows]
    sheet = Sheet(WIDTH, HEADING + sum(heights), heading)
    y = HEADING
    for block, height in zip(blocks, heights, strict=True):
        sheet.write(MARGIN, y + 6, block.title, 9, fontweight="bold")
        named = zip(block.pictures, block.image_ids, strict=True)
        for index, (picture, image_id) in enumerate(named):
            row, column = divmod(index, COLUMNS)
            x, top = MARGIN + column * PITCH, y + TITLE + row * (CELL + CAPTION)
            sheet.place(picture, x, top, CELL)
            name, style = file_name(image_id, LETTERS), {"ha": "center", "color": MUTED}
            sheet.write(x + CELL / 2, top + CELL + 3, name, SMALL, **style)
        y += height
    return sheet.figure()


@dataclass(frozen=True)
class Copies:
    """Images with equal pixels."""

    pictures: Sequence[Pixels]
    captions: Sequence[Sequence[str]]
    """Lines below each picture: id, class, split, patient."""
    crossing: Sequence[str]
    """What the copies differ in: class, patient, split."""


COPY_LINES = 4
COPY_HEIGHT = TITLE + CELL + COPY_LINES * LINE + 2 * GAP


def duplicate_sheet(groups: Sequence[Copies], heading: str) -> Figure:
    """Draw groups of copies, each in a frame; red where the copies differ in what they should
    share.
    """
    places: list[tuple[int, int]] = []
    row, slot = 0, 0
    for group in groups:
        if slot + len(group.pictures) > COLUMNS:
            row, slot = row + 1, 0
        places.append((row, slot))
        slot += len(group.pictures)
    sheet = Sheet(WIDTH, HEADING + (row + (slot > 0)) * COPY_HEIGHT, heading)
    for group, (row, slot) in zip(groups, places, strict=True):
        _copies(sheet, group, MARGIN + slot * PITCH, HEADING + row * COPY_HEIGHT)
    return sheet.figure()


def _copies(sheet: Sheet, group: Copies, x: int, y: int) -> None:
    color = PALETTE[1] if group.crossing else MUTED
    words = f"differ in {', '.join(group.crossing)}" if group.crossing else "copies agree"
    sheet.frame(x - 4, y, len(group.pictures) * PITCH - 6, COPY_HEIGHT - GAP, color)
    sheet.write(x + 3, y + 7, words, 7, color=color, fontweight="bold")
    for index, (picture, lines) in enumerate(zip(group.pictures, group.captions, strict=True)):
        left, top = x + index * PITCH, y + TITLE - 4
        sheet.place(picture, left, top, CELL)
        for number, line in enumerate(lines[:COPY_LINES]):
            below = top + CELL + 4 + number * LINE
            sheet.write(left + 2, below, shortened(line, LETTERS - 1), SMALL, color=MUTED)


CUT_CELL = 190
"""Side of a picture in pixels."""
CUTS = 3
"""Cuts in a row."""
CUT_HEADING, CUT_TITLE, CUT_FOOT, CUT_GAP = 76, 26, 54, 8
CUT_WIDTH = 2 * (CUT_CELL + CUT_GAP) + 20
CUT_HEIGHT = CUT_TITLE + CUT_CELL + CUT_FOOT
TINT = np.array([209, 73, 91])
"""The color of what is cut off."""
LETTER = 7.2
"""Width of a letter of the heading in pixels, at most."""


def what_was_cut(cuts: Sequence[Cut], heading: str, words: str) -> Figure:
    """Draw for each picture the original, with the kept part framed and the rest tinted, and the
    stored image; `words` stand below the heading.
    """
    width = 2 * MARGIN + min(CUTS, max(2, len(cuts))) * CUT_WIDTH
    sheet = Sheet(width, CUT_HEADING + -(-len(cuts) // CUTS) * CUT_HEIGHT, heading)
    sheet.write(MARGIN, MARGIN + 24, fill(words, int(width / LETTER)), 7.5, linespacing=1.4)
    for index, cut in enumerate(cuts):
        row, column = divmod(index, CUTS)
        _cut(sheet, cut, MARGIN + column * CUT_WIDTH, CUT_HEADING + row * CUT_HEIGHT)
    return sheet.figure()


def _cut(sheet: Sheet, cut: Cut, x: int, y: int) -> None:
    height, width = cut.picture.shape[:2]
    down, across, kept = height / cut.height, width / cut.width, cut.kept
    top, bottom = kept.top * down, kept.bottom * down
    left, right = kept.left * across, kept.right * across
    corner, upper = x + (CUT_CELL - width) // 2, y + CUT_TITLE + (CUT_CELL - height) // 2
    second, below = x + CUT_CELL + CUT_GAP, y + CUT_TITLE + CUT_CELL + 4
    color = np.broadcast_to(cut.picture, (height, width, 3))
    shown = (0.5 * color + 0.5 * TINT).astype(np.uint8)
    inside = np.s_[round(top) : round(bottom), round(left) : round(right)]
    shown[inside] = color[inside]
    sheet.write(x, y + 5, cut.title, 9, fontweight="bold")
    sheet.place(shown, x, y + CUT_TITLE, CUT_CELL)
    sheet.frame(corner + left, upper + top, right - left, bottom - top, PALETTE[3])
    sheet.place(_fitted(cut.stored, CUT_CELL), second, y + CUT_TITLE, CUT_CELL)
    sheet.write(x, below, file_name(cut.image_id, 32), SMALL, color=MUTED)
    sheet.write(x, below + LINE, f"{cut.width} × {cut.height} px", 6)
    stored = f"stored: {cut.stored.shape[1]} × {cut.stored.shape[0]} px"
    sheet.write(second, below, stored, 6)
    sheet.write(second, below + LINE, fill(cut.words, 40), 6)


def _fitted(image: Pixels, side: int) -> Pixels:
    """Resize (h, w, 1 or 3) until its longer side is `side`: pixels become squares where the image
    is smaller, and are averaged where it is larger.
    """
    height, width = image.shape[:2]
    longest = max(height, width)
    how = Image.Resampling.NEAREST if longest <= side else Image.Resampling.BILINEAR
    color = np.ascontiguousarray(np.broadcast_to(image, (height, width, 3)))
    size = (max(1, round(width * side / longest)), max(1, round(height * side / longest)))
    return np.asarray(Image.fromarray(color).resize(size, how))
