"""Pictures and words placed to the pixel: sheets of many images, quick to draw however many there are."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from medgan.plots.style import INK, house_style

DPI = 120
"""Resolution at which a pixel of the sheet is a pixel of the file."""


class Sheet:
    """A white sheet (width, height in pixels, from the upper left); `figure()` gives it as it stands."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._canvas = np.full((height, width, 3), 255, dtype=np.uint8)
        self._words: list[tuple[float, float, str, dict[str, Any]]] = []
        self._frames: list[tuple[float, float, float, float, str]] = []

    def place(self, image: NDArray[np.uint8], x: int, y: int, size: int) -> None:
        """An image (h, w, 1 or 3), neither side over `size`, in the middle of the square whose corner is (x, y)."""
        height, width = image.shape[:2]
        top, left = y + (size - height) // 2, x + (size - width) // 2
        self._canvas[top : top + height, left : left + width] = image

    def write(self, x: float, y: float, words: str, points: float = 6.5, **style: Any) -> None:
        """Words whose upper left corner is (x, y), in black unless told."""
        self._words.append((x, y, words, {"fontsize": points, "color": INK, "va": "top", "ha": "left", **style}))

    def frame(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A rectangle."""
        self._frames.append((x, y, width, height, colour))

    def figure(self) -> Figure:
        """The sheet as a figure; at 120 dots per inch its pixels are those of the file."""
        with house_style():
            figure = Figure(figsize=(self.width / DPI, self.height / DPI), dpi=DPI)
            axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
            axis.set_axis_off()
            axis.imshow(self._canvas, interpolation="none", extent=(0, self.width, self.height, 0), aspect="auto")
            for x, y, words, style in self._words:
                axis.text(x, y, words, **style)
            for x, y, width, height, colour in self._frames:
                axis.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=1.2))
            axis.set(xlim=(0, self.width), ylim=(self.height, 0))
        return figure


def shortened(name: str, length: int) -> str:
    """A name of at most so many letters: the middle of a long one is left out, as ids differ at their ends."""
    if len(name) <= length:
        return name
    head = (length - 1) // 3
    return f"{name[:head]}…{name[len(name) - (length - 1 - head) :]}"


def last_part(image_id: str) -> str:
    """The file's name of an id that is a path."""
    return image_id.rstrip("/").rpartition("/")[2] or image_id
