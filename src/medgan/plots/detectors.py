"""ROC and precision-recall curves of several detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from medgan.plots.style import (
    CHANCE,
    INK,
    PALETTE,
    SEQUENTIAL,
    colors,
    house_style,
    panel,
    readable,
)

Ranked = Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
"""Name to (labels (n,) 0 or 1, scores (n,)); both classes are there."""


def roc_curves(ranked: Ranked, title: str = "ROC, test images") -> Figure:
    """Sensitivity against 1 - specificity, AUROC in the legend, the best first."""
    with house_style():
        figure, axis = panel(6.0, 5.4)
        axis.plot([0, 1], [0, 1], color=CHANCE, linestyle="--", linewidth=1, label="chance (0.500)")
        drawn = {name: _roc(*pair) for name, pair in ranked.items() if _has_both(pair[0])}
        _draw(
            axis,
            {name: (x, y, float(np.trapezoid(y, x))) for name, (x, y) in drawn.items()},
            "default",
        )
        axis.set(
            title=title,
            xlabel="False-positive rate (1 − specificity)",
            ylabel="Sensitivity",
            xlim=(-0.01, 1.01),
            ylim=(-0.01, 1.01),
        )
        axis.set_aspect("equal")
        axis.legend(loc="lower right", frameon=True, framealpha=0.85, edgecolor="none")
    return figure


def pr_curves(ranked: Ranked, title: str = "Precision and recall, test images") -> Figure:
    """Precision against recall, average precision in the legend; the dashed line is the share of
    anomalous images.
    """
    with house_style():
        figure, axis = panel(6.0, 5.4)
        pairs = {name: pair for name, pair in ranked.items() if _has_both(pair[0])}
        for share in {float(np.mean(labels)) for labels, _ in pairs.values()}:
            axis.axhline(
                share, color=CHANCE, linestyle="--", linewidth=1, label=f"chance ({share:.3f})"
            )
        _draw(axis, {name: _precision_recall(*pair) for name, pair in pairs.items()}, "steps-pre")
        axis.set(
            title=title,
            xlabel="Recall (sensitivity)",
            ylabel="Precision",
            xlim=(-0.01, 1.01),
            ylim=(-0.01, 1.03),
        )
        axis.set_aspect("equal")
        if pairs:
            axis.legend(loc="lower left", frameon=True, framealpha=0.85, edgecolor="none")
    return figure


def _draw(
    axis: Axes, curves: Mapping[str, tuple[NDArray[Any], NDArray[Any], float]], style: Any
) -> None:
    color = colors(list(curves))
    for name, (x, y, area) in sorted(curves.items(), key=lambda item: -item[1][2]):
        axis.plot(
            x,
            y,
            color=color[name],
            linewidth=1.8,
            drawstyle=style,
            label=f"{readable(name)} ({area:.3f})",
        )


def _has_both(labels: NDArray[Any]) -> bool:
    return 0 < int(np.sum(labels)) < len(labels)


def _cumulative(
    labels: NDArray[Any], scores: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True and false positives at each distinct score, from the highest down."""
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    ranked, truth = np.asarray(scores)[order], np.asarray(labels)[order]
    last = np.flatnonzero(np.concatenate([ranked[1:] != ranked[:-1], [True]]))
    true = np.cumsum(truth)[last].astype(np.float64)
    return true, (last + 1) - true


def _roc(
    labels: NDArray[Any], scores: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    true, false = _cumulative(labels, scores)
    return np.concatenate([[0.0], false / false[-1]]), np.concatenate([[0.0], true / true[-1]])


def _precision_recall(
    labels: NDArray[Any], scores: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    true, false = _cumulative(labels, scores)
    recall, precision = np.concatenate([[0.0], true / true[-1]]), true / (true + false)
    area = float((np.diff(recall) * precision).sum())
    return recall, np.concatenate([[precision[0]], precision]), area


def score_histograms(
    scores: NDArray[Any], categories: NDArray[Any], threshold: float | None = None, title: str = ""
) -> Figure:
    """A histogram of the scores of each category, as shares of the category, and the frozen
    threshold.

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
            color = PALETTE[(0, 1, 3, 4, 2, 5, 6, 7)[index % 8]]
            axis.hist(
                chosen,
                edges,
                weights=weights,
                histtype="stepfilled",
                color=color,
                alpha=0.3,
                label=f"{readable(name)} (n = {len(chosen)})",
            )
            axis.hist(chosen, edges, weights=weights, histtype="step", color=color, linewidth=1.4)
        if threshold is not None:
            axis.axvline(
                threshold,
                color=INK,
                linestyle="--",
                linewidth=1.2,
                label="threshold, from validation",
            )
        axis.set(title=readable(title), xlabel="anomaly score", ylabel="share of the category")
        axis.legend()
    return figure


def confusion_matrix(matrix: ArrayLike, classes: Sequence[str], title: str = "") -> Figure:
    """Counts, and the share of each true class, by which the cells are colored.

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
            color = "white" if shares[row, column] > 0.55 else INK
            axis.text(
                column,
                row,
                f"{counts[row, column]:,}\n{shares[row, column]:.0%}",
                ha="center",
                va="center",
                color=color,
            )
        names = [readable(name) for name in classes]
        axis.set_xticks(range(len(classes)), [f"called\n{name}" for name in names])
        axis.set_yticks(
            range(len(classes)),
            [
                f"{name}\n(n = {int(total)})"
                for name, total in zip(names, totals[:, 0], strict=True)
            ],
        )
        axis.grid(False)
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
        axis.set_title(readable(title))
    return figure
