"""The picture of one scored image."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.plots.grids import show_image
from medgan.plots.style import HEAT, MUTED, house_style

STRENGTH = 0.65
"""Share of the hottest colour in an overlay."""
LONGEST_NAME = 64


def scored_image(
    pixels: NDArray[np.uint8], anomaly_map: NDArray[Any], scale: tuple[float, float], name: str, words: str, note: str
) -> Figure:
    """The image beside the same image with its anomaly map over it, and the scale of the map.

    Args:
        pixels: (H, W, 1 or 3), as the detector saw it.
        anomaly_map: (H, W), higher is more anomalous.
        scale: values that are shown transparent and hottest, the same for all pictures that are compared.
        name: of the image; shortened at its beginning, where paths are alike.
        words: below the name: score and decision.
        note: below the pictures.
    """
    low, high = scale[0], max(scale[1], scale[0] + 1e-9)
    values = np.asarray(anomaly_map, dtype=np.float64)
    with house_style():
        figure = Figure(figsize=(6.4, 3.9))
        axes = [figure.add_axes((left, 0.09, 0.42, 0.69)) for left in (0.015, 0.455)]
        for axis, caption in zip(axes, ("the image as the detector sees it", "its anomaly map over it"), strict=True):
            show_image(axis, pixels)
            axis.set_title(caption, fontsize=9, fontweight="normal", pad=3)
        strength = np.clip((values - low) / (high - low), 0, 1)
        axes[1].imshow(values, cmap=HEAT, vmin=low, vmax=high, alpha=STRENGTH * strength, interpolation="bilinear")
        shown = ScalarMappable(Normalize(low, high), HEAT)
        figure.colorbar(shown, cax=figure.add_axes((0.895, 0.09, 0.02, 0.69))).ax.tick_params(labelsize=8)
        figure.text(0.015, 0.935, _shortened(name), fontsize=10, fontweight="bold", parse_math=False)
        figure.text(0.015, 0.875, words, fontsize=10, parse_math=False)
        figure.text(0.015, 0.025, note, fontsize=8, color=MUTED)
    return figure


def _shortened(name: str) -> str:
    """One printable line of at most LONGEST_NAME letters."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in name)
    return printable if len(printable) <= LONGEST_NAME else "…" + printable[1 - LONGEST_NAME :]
