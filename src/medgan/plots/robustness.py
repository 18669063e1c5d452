"""How AUROC and decisions hold when images get worse."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medgan.plots.style import CHANCE, INK, MUTED, PALETTE, house_style, panel, readable

WORST_SHOWN = 0.3
"""A fall of AUROC that has the darkest cell."""


def robustness_curves(document: Mapping[str, Any], title: str = "") -> Figure:
    """A panel for each perturbation: AUROC with its interval against severity, and the share of
    decisions that flip.

    Args:
        document: {"sentence", "clean": estimate, "perturbations": {name: {"unit", "severities":
            {text: {"severity", "auroc",
            "flipped"}}}}}.
        title: above it.
    """
    panels = document["perturbations"]
    with house_style():
        columns = 3
        lines = max(1, -(-len(panels) // columns))
        figure = Figure(figsize=(7.0, 0.9 + 2.2 * lines if panels else 1.2), layout="constrained")
        if panels:
            axes = figure.subplots(lines, columns, sharey=True, squeeze=False)
            for axis, (name, kind) in zip(axes.ravel(), panels.items(), strict=False):
                _panel(axis, name, kind, document["clean"])
            for axis in axes[:, 0]:
                axis.set_ylabel("AUROC")
            axes[0, 0].set_ylim(*_limits(document))
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        below = "Percentages: decisions that flip at the frozen threshold. " if panels else ""
        figure.supxlabel(
            "\n".join(textwrap.wrap(below + document["sentence"], 115)),
            x=0.01,
            ha="left",
            fontsize=8,
            color=MUTED,
        )
    return figure


def _limits(document: Mapping[str, Any]) -> tuple[float, float]:
    steps = [
        step["auroc"]
        for kind in document["perturbations"].values()
        for step in kind["severities"].values()
    ]
    lows = [found["low"] for found in (*steps, document["clean"]) if found.get("low") is not None]
    return max(0.0, min([*lows, 0.45]) - 0.03), 1.06


def _panel(axis: Axes, name: str, kind: Mapping[str, Any], clean: Mapping[str, Any]) -> None:
    steps = [{"severity": None, "auroc": clean, "flipped": None}, *kind["severities"].values()]
    places = np.arange(len(steps))
    known = [
        place
        for place, step in zip(places, steps, strict=True)
        if step["auroc"]["value"] is not None
    ]
    values = [steps[place]["auroc"]["value"] for place in known]
    axis.plot(known, values, "o-", color=PALETTE[0], linewidth=1.6, markersize=5)
    for place in known:
        found = steps[place]["auroc"]
        if found.get("low") is not None:
            axis.plot(
                [place, place],
                [found["low"], found["high"]],
                color=PALETTE[0],
                linewidth=3,
                alpha=0.35,
                solid_capstyle="round",
            )
    axis.axhline(0.5, color=CHANCE, linestyle="--", linewidth=1)
    for place, step in zip(places[1:], steps[1:], strict=True):
        if step["flipped"]["value"] is not None:
            axis.text(
                place,
                1.02,
                f"{step['flipped']['value']:.0%}",
                ha="center",
                va="bottom",
                fontsize=8,
                color=MUTED,
            )
    axis.set_xticks(places, ["none", *(f"{step['severity']:g}" for step in steps[1:])])
    axis.set_xlim(-0.4, len(steps) - 0.6)
    axis.set_title(readable(name), pad=4)
    axis.set_xlabel(kind["unit"], fontsize=8)


def robustness_table(documents: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Detectors against perturbations at their strongest: the change of AUROC, which colors the
    cell, and the decisions that flip.

    Args:
        documents: detector to what `robustness_curves` takes.
    """
    names = list(
        dict.fromkeys(name for document in documents.values() for name in document["perturbations"])
    )
    with house_style():
        figure, axis = panel(7.0, 1.2 + 0.48 * max(1, len(documents)))
        falls = np.array(
            [[_fall(document, name) for name in names] for document in documents.values()]
        ).reshape(len(documents), len(names))
        if names:
            axis.imshow(
                np.nan_to_num(falls), cmap="Oranges", vmin=0, vmax=WORST_SHOWN, aspect="auto"
            )
        for line, document in enumerate(documents.values()):
            _cells(axis, line, document, names)
        axis.set_xticks(
            range(len(names)),
            [f"{readable(name)}\n{_strongest(documents, name)}" for name in names],
            fontsize=8,
        )
        axis.set_yticks(range(len(documents)), [readable(name) for name in documents])
        axis.set_ylim(len(documents) - 0.5, -0.5)
        axis.grid(False)
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
        told = "Each at its strongest: change of AUROC, and decisions that flip"
        figure.suptitle(
            f"{told}{_tested(documents)}", x=0.01, ha="left", fontsize=11, fontweight="bold"
        )
    return figure


def _tested(documents: Mapping[str, Mapping[str, Any]]) -> str:
    sizes = {
        document["sample"]["n_images"] for document in documents.values() if "sample" in document
    }
    return f" ({max(sizes)} test images)" if sizes else ""


def _last(document: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    kind = document["perturbations"].get(name)
    return list(kind["severities"].values())[-1] if kind else None


def _fall(document: Mapping[str, Any], name: str) -> float:
    step = _last(document, name)
    value = step["change"]["value"] if step else None
    return float("nan") if value is None else -float(value)


def _strongest(documents: Mapping[str, Mapping[str, Any]], name: str) -> str:
    return next(
        f"{step['severity']:g}"
        for document in documents.values()
        if (step := _last(document, name))
    )


def _cells(axis: Axes, line: int, document: Mapping[str, Any], names: list[str]) -> None:
    if not document["perturbations"]:
        text = "\n".join(textwrap.wrap(document["sentence"], 95))
        axis.text(
            0.5,
            line,
            text,
            ha="center",
            va="center",
            fontsize=7,
            color=MUTED,
            style="italic",
            transform=axis.get_yaxis_transform(),
        )
        return
    for column, name in enumerate(names):
        step = _last(document, name)
        if step is None:
            continue
        change, flipped = step["change"]["value"], step["flipped"]["value"]
        told = "–" if change is None else f"{round(change, 2) + 0.0:+.2f}"
        color = "white" if change is not None and -change > 0.6 * WORST_SHOWN else INK
        axis.text(
            column,
            line,
            f"{told}\n{flipped:.0%} flip",
            ha="center",
            va="center",
            fontsize=8,
            color=color,
        )
