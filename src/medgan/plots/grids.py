"""Contact sheets of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.contracts import Refusal
from medgan.plots.style import house_style

CELL_INCHES = 1.15


def image_grid(images: NDArray[np.uint8], titles: Sequence[str] | None = None, columns: int = 8, title: str = "") -> Figure:
    """Images side by side.

    Args:
        images: (n, H, W), (n, H, W, 1) or (n, H, W, 3), uint8.
        titles: one above each image.
        columns: images in a row.
        title: above all of them.

    Raises:
        Refusal: there is no image.
    """
    if not len(images):
        raise Refusal("There is no image to show: the split or the class is empty.")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    cell = CELL_INCHES + 0.22 * (titles is not None)
    with house_style():
        figure = Figure(figsize=(columns * CELL_INCHES, rows * cell + 0.35 * bool(title)), layout="constrained")
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
