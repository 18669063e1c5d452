"""Forest plots: points with 95 % intervals, a row for each name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from medgan.audits.results import ShortcutsResult, SubgroupMetrics, SubgroupsResult
from medgan.evaluation.details import DetectorTest
from medgan.models import display_name
from medgan.plots.style import (
    CHANCE,
    INK,
    MUTED,
    PALETTE,
    draw_interval,
    house_style,
    name_rows,
    new_figure,
    panel,
    wrapped,
)
from medgan.stats.bootstrap import Estimate
from medgan.words import readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES = 0.3
HEADINGS = {
    "one_class": "Fitted to normal training images only",
    "mix": "Trained on the unlabelled mix",
    "probe": "Trained on labels",
}
SHORTCUT, DETECTOR = PALETTE[3], PALETTE[0]


@dataclass(frozen=True)
class ForestRow:
    """A row of a forest plot; without estimates it is a heading."""

    label: str
    estimates: Sequence[Estimate] = ()
    """One for each column."""
    color: str = PALETTE[0]
    marker: str = "o"


@house_style()
def columns_forest(
    rows: Sequence[ForestRow],
    titles: Sequence[str],
    title: str = "",
    note: str = "",
    chance: Sequence[float | None] = (),
    span: tuple[float, float] | None = None,
) -> Figure:
    """Draw rows under headings, in one or several columns.

    Args:
        rows: from top to bottom.
        titles: of the columns, as many as each row has estimates.
        title: above all.
        note: below all.
        chance: for each column the value of a method without skill (dashed line), or None.
        span: limits of every column's axis; from the values where left out.
    """
    lines = note.count("\n") + 1 if note else 0
    height = 1.25 + ROW_INCHES * max(1, len(rows)) + 0.17 * lines
    figure = new_figure(7.0, height, title, note)
    axes = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for place, (axis, name) in enumerate(zip(axes, titles, strict=True)):
        for line, row in enumerate(rows):
            if row.estimates:
                found = row.estimates[place]
                short = replace(found, reason=found.reason.split(":")[0])
                draw_interval(axis, line, short, color=row.color, fmt=row.marker)
        axis.set(xlim=span or _limits(rows), ylim=(len(rows) - 0.4, -0.6))
        axis.set_title(name, fontsize=10)
        without_skill = chance[place] if place < len(chance) else None
        if without_skill is not None:
            axis.axvline(without_skill, color=CHANCE, linestyle="--", linewidth=1, zorder=0)
        name_rows(axis, [row.label for row in rows])
    for text, row in zip(axes[0].get_yticklabels(), rows, strict=True):
        text.set(fontsize=9 if row.estimates else 10, color=INK)
        text.set_fontweight("normal" if row.estimates else "bold")
    return figure


def _limits(rows: Sequence[ForestRow]) -> tuple[float, float]:
    bounds = [bound for row in rows for found in row.estimates for bound in _bounds(found)]
    return max(0.0, min([*bounds, 0.5]) - 0.04), 1.03


def _bounds(estimate: Estimate) -> list[float]:
    return [b for b in (estimate.value, estimate.low, estimate.high) if b is not None]


@house_style()
def forest(
    estimates: Mapping[str, Estimate],
    title: str = "",
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """Draw one AUROC for each name, the best on top, and chance as a dashed line; `notes` stand
    below the names.
    """
    order = sorted(estimates, key=lambda name: _rank(estimates[name]))
    figure, axis = panel(6.0, 1.3 + 0.48 * max(1, len(order)), title)
    for place, name in enumerate(order):
        _with_value(axis, place, estimates[name], ".3f")
    top, chance = len(order) - 0.42, 0.5
    axis.axvline(chance, color=CHANCE, linestyle="--", linewidth=1)
    axis.text(chance, top, "chance", color=CHANCE, fontsize=8, ha="center", va="bottom")
    told = notes or {}
    name_rows(axis, [f"{display_name(name)}\n{told.get(name, '')}".rstrip() for name in order])
    lowest = min([chance, *(bound for one in estimates.values() for bound in _bounds(one))])
    axis.set(xlim=(max(0.0, lowest - 0.06), 1.02), ylim=(-0.6, len(order) - 0.4), xlabel="AUROC")
    return figure


def _rank(estimate: Estimate) -> tuple[bool, float]:
    return estimate.value is not None, estimate.value or 0.0


def _with_value(axis: Axes, place: int, found: Estimate, form: str, after: str = "") -> None:
    draw_interval(axis, place, found, markersize=8)
    if found.value is not None:
        text = f"{found.value:{form}}{after}"
        axis.text(found.value, place + 0.2, text, ha="center", va="bottom", fontsize=9)


@house_style()
def differences(
    tests: Mapping[str, DetectorTest],
    title: str = "",
    label: str = "difference in AUROC; p-values after Holm's correction",
) -> Figure:
    """Draw the difference of each test, the largest on top; points are filled where it is
    significant after correction.

    Args:
        tests: by the name of the detector.
        title: above it.
        label: of the axis.
    """
    order = sorted(tests, key=lambda name: _rank(tests[name].difference))
    figure, axis = panel(6.0, 1.4 + 0.55 * max(1, len(order)), title)
    for place, name in enumerate(order):
        _difference_row(axis, place, tests[name])
    axis.axvline(0, color=MUTED, linestyle="--", linewidth=1)
    for x, side, text in ((0.01, "left", "worse"), (0.99, "right", "better")):
        across = axis.get_yaxis_transform()
        axis.text(x, -0.58, text, transform=across, color=MUTED, fontsize=8, ha=side)
    name_rows(axis, [_name(name, tests[name].against) for name in order])
    bounds = [0.0, *(bound for test in tests.values() for bound in _bounds(test.difference))]
    room = 0.2 * (max(bounds) - min(bounds)) + 0.02
    axis.set(xlim=(min(bounds) - room, max(bounds) + room), ylim=(-0.7, len(order) - 0.4))
    axis.set_xlabel(label)
    return figure


def _name(name: str, against: str | None) -> str:
    other = "" if against in (None, name) else f"\nagainst {display_name(str(against))}"
    return display_name(name) + other


def _difference_row(axis: Axes, place: int, test: DetectorTest) -> None:
    p_value = test.p_holm
    shown = "< 0.001" if p_value is not None and p_value < 0.001 else f"= {p_value or 0.0:.3f}"
    after = "" if p_value is None else f", p {shown}"
    _with_value(axis, place, test.difference, "+.3f", after)
    if test.verdict.startswith("no ") and test.difference.value is not None:
        axis.lines[-1].set_markerfacecolor("white")


def subgroup_forest(result: SubgroupsResult, title: str = "") -> Figure:
    """Draw sensitivity, specificity and AUROC of every group, with its number of images.

    Args:
        result: of one detector.
        title: above it.
    """
    rows = [row for column, levels in result.groups.items() for row in _section(column, levels)]
    few = f"insufficient: fewer than {result.minimum} images of a class that the metric needs."
    counts = ["n: normal + anomalous test images.", few] if rows else []
    note, titles = wrapped([*counts, result.sentence]), ("Sensitivity", "Specificity", "AUROC")
    chance = [None, None, 0.5]
    return columns_forest(rows, titles, title, note, chance=chance, span=(-0.02, 1.02))


def _section(column: str, levels: Mapping[str, SubgroupMetrics]) -> Iterator[ForestRow]:
    yield ForestRow(readable(column))
    for level, found in levels.items():
        name = textwrap.shorten(level, 20, placeholder=" …")
        label = f"{name}  (n = {found.n_normal} + {found.n_anomalous})"
        yield ForestRow(label, [found.sensitivity, found.specificity, found.auroc])


def shortcut_forest(result: ShortcutsResult) -> Figure:
    """Draw the AUROC of every measured shortcut (orange) and of every detector (blue), under what
    they were fitted to, the best on top.
    """
    kinds = [kind for kind in HEADINGS if kind in result.shortcuts]
    rows = [row for kind in kinds for row in _shortcut_section(result, kind)]
    missing: dict[str, dict[str, None]] = {}
    for found in result.shortcuts.values():
        for name, estimate in found.items():
            if estimate.value is None:
                missing.setdefault(estimate.reason, {})[readable(name)] = None
    note = (
        "Orange diamonds: shortcuts, features that are not disease (a thumbnail and the intensity "
        "may show some of it). Blue points: detectors; * not significantly better than the best "
        "shortcut of its group."
    )
    told = [f"Not measured ({why}): {', '.join(names)}." for why, names in missing.items()]
    title, below = "Detectors compared against shortcut baselines", wrapped([note, *told])
    return columns_forest(rows, ["AUROC, test images"], title, below, chance=[0.5])


def _shortcut_section(result: ShortcutsResult, kind: str) -> Iterator[ForestRow]:
    yield ForestRow(HEADINGS[kind])
    rows = [
        ForestRow(readable(name), [found], SHORTCUT, "D")
        for name, found in result.shortcuts[kind].items()
        if found.value is not None
    ]
    rows += [
        ForestRow(f"{display_name(name)}{' *' * found.against[kind].any.no_better}", [found.auroc])
        for name, found in result.detectors.items()
        if found.compared_with == kind
    ]
    yield from sorted(rows, key=lambda row: -(row.estimates[0].value or 0.0))
