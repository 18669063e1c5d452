"""Pictures side by side, two and two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.plots.grids import show_image
from medgan.plots.style import MUTED, house_style

COLUMNS = 4
"""Pairs in a row."""
INCHES = 1.45
"""Side of a picture."""
CAPTION = 24
"""Characters of a caption's line; of longer ones the end is shown, which is where file names differ."""


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


def side_by_side(pairs: Sequence[Pair], title: str = "", nothing: str = "There is no such pair.") -> Figure:
    """A sheet of pairs; where there is none, a sheet that says `nothing`.

    Args:
        pairs: in the order of reading.
        title: above all of them.
        nothing: one sentence.
    """
    rows, columns = -(-max(1, len(pairs)) // COLUMNS), min(COLUMNS, max(2, len(pairs)))
    with house_style():
        figure = Figure(figsize=(columns * 2 * INCHES, 0.4 + rows * (INCHES + 0.6) if pairs else 1.0), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        if not pairs:
            figure.text(0.01, 0.35, nothing, color=MUTED)
            return figure
        figure.get_layout_engine().set(w_pad=0.03, h_pad=0.12, wspace=0.0, hspace=0.02)  # type: ignore[union-attr, call-arg]
        axes = figure.subplots(rows, 2 * columns, squeeze=False).ravel()
        for axis in axes[2 * len(pairs) :]:
            axis.set_axis_off()
        for left, right, pair in zip(axes[::2], axes[1::2], pairs, strict=False):
            left.text(0.0, 1.04, pair.heading, transform=left.transAxes, fontsize=8, va="bottom").set_in_layout(False)
            for axis, picture, caption in ((left, pair.left, pair.left_caption), (right, pair.right, pair.right_caption)):
                show_image(axis, picture)
                axis.text(0.0, -0.04, _short(caption), transform=axis.transAxes, fontsize=6, color=MUTED, va="top")
    return figure


def _short(caption: str) -> str:
    lines = (line if len(line) <= CAPTION else f"…{line[1 - CAPTION :]}" for line in caption.split("\n"))
    return "\n".join(lines)
