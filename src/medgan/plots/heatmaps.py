"""Anomaly maps over their images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.contracts import Refusal
from medgan.plots.grids import show_image
from medgan.plots.style import HEAT, house_style, readable

ROWS = ("image", "anomaly map", "overlay")


def heatmaps(images: NDArray[np.uint8], maps: NDArray[Any], titles: Sequence[str], title: str = "") -> Figure:
    """A column for each image: the image, its anomaly map, and the map over the image.

    All maps share one scale, from the lowest value shown to the 99.5th percentile, so that columns compare.

    Args:
        images: (n, H, W), (n, H, W, 1) or (n, H, W, 3), uint8.
        maps: (n, H, W), higher is more anomalous.
        titles: one above each column.
        title: above all.

    Raises:
        Refusal: there is no image.
    """
    if not len(images):
        raise Refusal("There is no image to show a heat map of: the test split is empty.")
    values = np.asarray(maps, dtype=np.float64)
    low, high = float(values.min()), float(max(np.quantile(values, 0.995), values.min() + 1e-9))
    with house_style():
        figure = Figure(figsize=(0.55 + 1.25 * len(images), 4.9), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)  # type: ignore[union-attr, call-arg]
        axes = figure.subplots(3, len(images), squeeze=False)
        for column in range(len(images)):
            show_image(axes[0, column], images[column])
            show_image(axes[1, column], None)
            show_image(axes[2, column], images[column])
            shown = axes[1, column].imshow(values[column], cmap=HEAT, vmin=low, vmax=high, interpolation="nearest")
            strength = np.clip((values[column] - low) / (high - low), 0, 1)
            axes[2, column].imshow(values[column], cmap=HEAT, vmin=low, vmax=high, alpha=0.65 * strength, interpolation="bilinear")
            axes[0, column].set_title(titles[column], fontsize=8, fontweight="normal", loc="center", pad=3)
        for row, name in enumerate(ROWS):
            axes[row, 0].text(-0.08, 0.5, name, transform=axes[row, 0].transAxes, rotation=90, ha="right", va="center", fontsize=8)
        figure.colorbar(shown, ax=axes[1, :].tolist(), fraction=0.02, pad=0.01)
        figure.suptitle(readable(title), x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure
