"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from medgan.plots.style import INK, SEQUENTIAL, house_style, panel, readable


def confusion_matrix(matrix: ArrayLike, classes: Sequence[str], title: str = "") -> Figure:
    """Counts, and the share of each true class, by which the cells are coloured.

    Args:
        matrix: (K, K) counts, rows the true class, columns the decision.
        classes: the K names.
        title: above it.
    """
    counts: NDArray[Any] = np.asarray(matrix)
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    with house_style():
        figure, axis = panel(1.9 + 1.15 * len(classes), 1.5 + 0.95 * len(classes))
        axis.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
        for row, column in np.ndindex(*counts.shape):
            colour = "white" if shares[row, column] > 0.55 else INK
            axis.text(column, row, f"{counts[row, column]:,}\n{shares[row, column]:.0%}", ha="center", va="center", color=colour)
        names = [readable(name) for name in classes]
        axis.set_xticks(range(len(classes)), [f"called\n{name}" for name in names])
        axis.set_yticks(range(len(classes)), [f"{name}\n(n = {int(total)})" for name, total in zip(names, totals[:, 0], strict=True)])
        axis.grid(False)
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
        axis.set_title(readable(title))
    return figure
