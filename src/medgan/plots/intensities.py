"""How bright the images of each class are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.plots.style import INK, PALETTE, house_style, readable

COLUMNS = 4
NAMED = 8
"""Classes that a legend has room for; the lines of more are told by the panels, which are drawn alike."""
STYLES = tuple((colour, dashes) for dashes in ("-", ":") for colour in PALETTE)


def intensity_histograms(bands: Mapping[str, NDArray[Any]], counts: Mapping[str, int], title: str = "") -> Figure:
    """A panel with the mean histogram of every class, then one for each class: its mean, and the band of 90 % of its images.

    The height of the panels is that of the bins between the darkest and the brightest, as black borders would dwarf all else; what is in
    those two bins stands in the title of a panel.

    Args:
        bands: class to (3, bins): 5th percentile, mean and 95th percentile of the share of pixels in each bin.
        counts: class to the number of images behind it.
        title: above all panels.
    """
    panels = 1 + len(bands)
    columns = min(COLUMNS, panels)
    rows = -(-panels // columns)
    with house_style():
        figure = Figure(figsize=(3.1 * columns, 2.5 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for axis in axes[panels:]:
            axis.set_axis_off()
        for axis in axes[:panels]:
            axis.set_xlim(0, 255)
            axis.tick_params(labelsize=8, labelbottom=True)
            axis.set_xticks([0, 64, 128, 192, 255])
        _means(axes[0], bands)
        ceiling = _ceiling([band[2] for band in bands.values()]) * 1.25
        for axis, (name, band), style in zip(axes[1:], bands.items(), cycle(STYLES)):
            _class_panel(axis, band, style, f"{readable(name)} (n = {counts[name]})")
            axis.set_ylim(0, ceiling)
        figure.supxlabel("grey level (luminance)", fontsize=9)
        figure.supylabel("share of the pixels in a bin of 8 levels", fontsize=9)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def _ceiling(rows: Sequence[NDArray[Any]]) -> float:
    """The highest bin between the darkest and the brightest."""
    return max(float(row[1:-1].max()) for row in rows) or 1.0


def _means(axis: Axes, bands: Mapping[str, NDArray[Any]]) -> None:
    for (name, band), (colour, dashes) in zip(bands.items(), cycle(STYLES)):
        axis.plot(_greys(band), band[1], color=colour, linewidth=1.5, label=readable(name), linestyle=dashes)
    axis.set_title("mean of each class", fontsize=9)
    axis.set_ylim(0, _ceiling([band[1] for band in bands.values()]) * 1.45)
    if len(bands) <= NAMED:
        axis.legend(fontsize=6 if len(bands) > 4 else 7.5, ncols=2 if len(bands) > 4 else 1, loc="upper right")


def _greys(band: NDArray[Any]) -> NDArray[np.float64]:
    """The middle of each bin in grey levels."""
    middles: NDArray[np.float64] = (np.arange(band.shape[1]) + 0.5) * 256 / band.shape[1]
    return middles


def _class_panel(axis: Axes, band: NDArray[Any], style: tuple[str, str], title: str) -> None:
    colour, dashes = style
    axis.fill_between(_greys(band), band[0], band[2], color=colour, alpha=0.25, linewidth=0)
    axis.plot(_greys(band), band[1], color=colour, linewidth=1.5, linestyle=dashes)
    axis.set_title(title, fontsize=9)
    said = f"darkest bin {100 * band[1, 0]:.1f} %\nbrightest bin {100 * band[1, -1]:.1f} %"
    axis.text(0.97, 0.95, said, transform=axis.transAxes, ha="right", va="top", fontsize=7, color=INK)
