"""Detectors on the test images: ROC and precision-recall curves, histograms of scores, confusion
matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medgan.models import display_name
from medgan.plots.style import (
    CHANCE,
    INK,
    category_colors,
    colored_table,
    colors,
    house_style,
    panel,
)
from medgan.words import readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Ranked = Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
"""Name to (labels (n,) 0 or 1, scores (n,))."""
Curve = tuple[NDArray[Any], NDArray[Any], float]
"""x, y, and the area."""


@house_style()
def roc_curves(ranked: Ranked, title: str = "ROC, test images") -> Figure:
    """Draw sensitivity against 1 - specificity, with the AUROC in the legend, the best first.

    Detectors whose labels hold one class only are left out.
    """
    figure, axis = panel(6.0, 5.4, title)
    axis.plot([0, 1], [0, 1], color=CHANCE, linestyle="--", linewidth=1, label="chance (0.500)")
    _draw(axis, ranked, _roc, "default")
    axis.set(xlabel="False-positive rate (1 − specificity)", ylabel="Sensitivity")
    return figure


@house_style()
def pr_curves(ranked: Ranked) -> Figure:
    """Draw precision against recall, with the average precision in the legend; the dashed line is
    the share of anomalous images.
    """
    figure, axis = panel(6.0, 5.4, "Precision and recall, test images")
    for share in {float(np.mean(labels)) for labels, _ in _with_both(ranked).values()}:
        label = f"chance ({share:.3f})"
        axis.axhline(share, color=CHANCE, linestyle="--", linewidth=1, label=label)
    _draw(axis, ranked, _precision_recall, "steps-pre")
    axis.set(xlabel="Recall (sensitivity)", ylabel="Precision")
    return figure


def _with_both(ranked: Ranked) -> Ranked:
    return {name: pair for name, pair in ranked.items() if len(np.unique(pair[0])) == 2}


def _draw(axis: Axes, ranked: Ranked, curve: Callable[..., Curve], style: Any) -> None:
    curves = {name: curve(*pair) for name, pair in _with_both(ranked).items()}
    color = colors(list(curves))
    for name, (x, y, area) in sorted(curves.items(), key=lambda item: -item[1][2]):
        label = f"{display_name(name)} ({area:.3f})"
        axis.plot(x, y, color=color[name], linewidth=1.8, drawstyle=style, label=label)
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03), aspect="equal")
    if axis.lines:
        place: Any = "lower right" if style == "default" else "lower left"
        axis.legend(loc=place, frameon=True, framealpha=0.85, edgecolor="none")


def _roc(labels: NDArray[Any], scores: NDArray[Any]) -> Curve:
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    return false, true, float(np.trapezoid(true, false))


def _precision_recall(labels: NDArray[Any], scores: NDArray[Any]) -> Curve:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    precision, recall, _ = precision_recall_curve(labels, scores)
    precision[-1] = precision[-2]  # sklearn's convention of 1 at a recall of 0 is no measurement
    return recall[::-1], precision[::-1], float(average_precision_score(labels, scores))


@house_style()
def score_histograms(
    scores: NDArray[Any], categories: NDArray[Any], threshold: float | None = None, title: str = ""
) -> Figure:
    """Draw a histogram of the scores of each category, as shares of the category.

    Args:
        scores: (n,).
        categories: (n,) names, `normal` among them.
        threshold: images with scores from here on are called anomalous (dashed line).
        title: above it.
    """
    low, high = np.quantile(scores, [0.0, 0.995])
    edges: list[float] = np.linspace(low, high if high > low else low + 1e-6, 31).tolist()
    figure, axis = panel(7.0, 3.5, display_name(title))
    for name, color in category_colors(categories.tolist()).items():
        chosen = np.clip(scores[categories == name], low, edges[-1])
        drawn: dict[str, Any] = {"weights": np.full(len(chosen), 1 / len(chosen)), "color": color}
        label = f"{readable(name)} (n = {len(chosen)})"
        axis.hist(chosen, edges, histtype="stepfilled", alpha=0.3, label=label, **drawn)
        axis.hist(chosen, edges, histtype="step", linewidth=1.4, **drawn)
    if threshold is not None:
        label = "threshold, from validation"
        axis.axvline(threshold, color=INK, linestyle="--", linewidth=1.2, label=label)
    axis.set(xlabel="anomaly score", ylabel="share of the category")
    axis.legend()
    return figure


@house_style()
def confusion_matrix(matrix: ArrayLike, classes: Sequence[str], title: str = "") -> Figure:
    """Draw counts, and the share of each true class, which colors the cell.

    Args:
        matrix: (K, K) counts; rows are the true class, columns the decision.
        classes: the K names.
        title: above it.
    """
    counts: NDArray[Any] = np.asarray(matrix)
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    size = (1.9 + 1.15 * len(classes), 1.6 + 0.95 * len(classes))
    figure, axis = panel(*size, display_name(title))
    texts = [
        [f"{count:,}\n{share:.0%}" for count, share in zip(*row, strict=True)]
        for row in zip(counts, shares, strict=True)
    ]
    colored_table(axis, texts, shares)
    names = [readable(name) for name in classes]
    axis.set_xticks(range(len(names)), [f"predicted\n{name}" for name in names])
    sized = zip(names, totals[:, 0], strict=True)
    axis.set_yticks(range(len(names)), [f"{name}\n(n = {total})" for name, total in sized])
    return figure
