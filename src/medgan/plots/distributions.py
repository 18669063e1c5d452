"""How the scores of normal and anomalous images lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.plots.style import INK, PALETTE, house_style, panel, readable


def score_histograms(scores: NDArray[Any], categories: NDArray[Any], threshold: float | None = None, title: str = "") -> Figure:
    """A histogram of the scores of each category, as shares of the category, and the frozen threshold.

    Args:
        scores: (n,).
        categories: (n,) names, `normal` among them.
        threshold: where images begin to be called anomalous.
        title: above it.
    """
    low, high = np.quantile(scores, [0.0, 0.995])
    edges: list[float] = np.linspace(low, high if high > low else low + 1e-6, 31).tolist()
    names = sorted(set(categories.tolist()), key=lambda name: (name != "normal", name))
    with house_style():
        figure, axis = panel(7.0, 3.4)
        for index, name in enumerate(names):
            chosen = np.clip(scores[categories == name], low, edges[-1])
            weights = np.full(len(chosen), 1 / len(chosen))
            colour = PALETTE[(0, 1, 3, 4, 2, 5, 6, 7)[index % 8]]
            axis.hist(
                chosen,
                edges,
                weights=weights,
                histtype="stepfilled",
                color=colour,
                alpha=0.3,
                label=f"{readable(name)} (n = {len(chosen)})",
            )
            axis.hist(chosen, edges, weights=weights, histtype="step", color=colour, linewidth=1.4)
        if threshold is not None:
            axis.axvline(threshold, color=INK, linestyle="--", linewidth=1.2, label="threshold, from validation")
        axis.set(title=readable(title), xlabel="anomaly score", ylabel="share of the category")
        axis.legend()
    return figure
