"""Detectors under perturbations of the test images."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from medgan.audits.results import PerturbationResult, RobustnessResult, Severity
from medgan.models import display_name
from medgan.plots.style import (
    CHANCE,
    MUTED,
    PALETTE,
    colored_table,
    draw_interval,
    house_style,
    new_figure,
    wrapped,
)
from medgan.stats.bootstrap import Estimate
from medgan.words import readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WORST_SHOWN = 0.3
"""A decrease in AUROC with the darkest cell."""
COLUMNS = 3


@house_style()
def robustness_curves(result: RobustnessResult, title: str = "") -> Figure:
    """Draw a panel for each perturbation of a detector: AUROC against severity, and the share of
    decisions that change.
    """
    panels = result.perturbations
    lines = max(1, -(-len(panels) // COLUMNS))
    below = "Percentages: decisions that change at the frozen threshold. " if panels else ""
    height = 0.9 + 2.2 * lines if panels else 1.2
    figure = new_figure(7.0, height, title, wrapped([below + result.sentence]))
    if panels:
        axes = figure.subplots(lines, COLUMNS, sharey=True, squeeze=False)
        for axis, (name, found) in zip(axes.ravel(), panels.items(), strict=False):
            _panel(axis, name, found, result.clean or Estimate(None))
        for axis in axes.ravel()[len(panels) :]:
            axis.set_axis_off()
        for axis in axes[:, 0]:
            axis.set_ylabel("AUROC")
        axes[0, 0].set_ylim(*_limits(result))
    return figure


def _limits(result: RobustnessResult) -> tuple[float, float]:
    kinds = result.perturbations.values()
    found = [step.auroc for kind in kinds for step in kind.severities.values()]
    areas = [*found, result.clean or Estimate(None)]
    known = [0.45, *(area.low for area in areas if area.low is not None)]
    return max(0.0, min(known) - 0.03), 1.06


def _panel(axis: Axes, name: str, found: PerturbationResult, clean: Estimate) -> None:
    steps = list(found.severities.values())
    areas = [clean, *(step.auroc for step in steps)]
    known = [(place, area.value) for place, area in enumerate(areas) if area.value is not None]
    axis.plot(*zip(*known, strict=True), color=PALETTE[0], linewidth=1.6)
    for place, area in enumerate(areas):
        draw_interval(axis, place, area, vertical=True, markersize=5)
    axis.axhline(0.5, color=CHANCE, linestyle="--", linewidth=1)
    for place, step in enumerate(steps, start=1):
        if (share := step.flipped.value) is not None:
            told = f"{share:.0%}"
            axis.text(place, 1.02, told, ha="center", va="bottom", fontsize=8, color=MUTED)
    axis.set_xticks(range(len(areas)), ["none", *(f"{step.severity:g}" for step in steps)])
    axis.set_xlim(-0.4, len(areas) - 0.6)
    axis.set_title(readable(name), pad=4)
    axis.set_xlabel(found.unit, fontsize=8)


@house_style()
def robustness_table(results: Mapping[str, RobustnessResult]) -> Figure:
    """Draw a table of detectors by name and perturbations at their highest severity: the change of
    AUROC, which colors the cell, and the share of decisions that change.
    """
    names = list(dict.fromkeys(name for found in results.values() for name in found.perturbations))
    sizes = [found.sample.n_images for found in results.values() if found.sample is not None]
    tested = f" ({max(sizes)} test images)" if sizes else ""
    title = f"Highest severity: change of AUROC, and decisions that change{tested}"
    figure = new_figure(7.0, 1.2 + 0.48 * max(1, len(results)), title)
    axis = figure.add_subplot()
    steps = [[_highest(found, name) for name in names] for found in results.values()]
    if names:
        shades = np.array([[_decrease(step) / WORST_SHOWN for step in row] for row in steps])
        texts = [list(map(_cell, row)) for row in steps]
        colored_table(axis, texts, shades, cmap="Oranges", fontsize=8)
    for line, found in enumerate(results.values()):
        if not found.perturbations:
            _sentence(axis, line, found.sentence)
    headings = [_heading(name, steps, place) for place, name in enumerate(names)]
    axis.set_xticks(range(len(names)), headings)
    axis.tick_params(axis="x", labelsize=8)
    axis.set_yticks(range(len(results)), [display_name(name) for name in results])
    axis.set_ylim(len(results) - 0.5, -0.5)
    return figure


def _highest(result: RobustnessResult, name: str) -> Severity | None:
    found = result.perturbations.get(name)
    return list(found.severities.values())[-1] if found else None


def _decrease(step: Severity | None) -> float:
    return 0.0 if step is None or step.change.value is None else -step.change.value


def _cell(step: Severity | None) -> str:
    if step is None:
        return ""
    change, share = step.change.value, step.flipped.value
    told = "–" if change is None else f"{round(change, 2) + 0.0:+.2f}"
    return f"{told}\n{'–' if share is None else f'{share:.0%}'} flip"


def _heading(name: str, steps: Sequence[Sequence[Severity | None]], place: int) -> str:
    severity = next(row[place].severity for row in steps if row[place] is not None)  # type: ignore[union-attr]
    return f"{readable(name)}\n{severity:g}"


def _sentence(axis: Axes, line: int, text: str) -> None:
    lines = "\n".join(textwrap.wrap(text, 95))
    style = {"ha": "center", "va": "center", "fontsize": 7, "color": MUTED, "style": "italic"}
    axis.text(0.5, line, lines, transform=axis.get_yaxis_transform(), **style)  # type: ignore[arg-type]
