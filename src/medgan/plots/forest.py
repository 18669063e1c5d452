"""Rows of figures with their intervals under headings, side by side in one or several columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medgan.plots.style import CHANCE, INK, MUTED, PALETTE, house_style, panel, readable

ROW_INCHES = 0.3


@dataclass(frozen=True)
class ForestRow:
    """A line of a forest plot; without estimates it is a heading."""

    label: str
    estimates: Sequence[Mapping[str, Any]] = ()
    """One {"value", "low", "high"} or {"value": None, "reason"} for each column."""
    color: str = PALETTE[0]
    marker: str = "o"


def columns_forest(
    rows: Sequence[ForestRow],
    titles: Sequence[str],
    title: str = "",
    note: str = "",
    chance: Sequence[float | None] = (),
    span: tuple[float, float] | None = None,
) -> Figure:
    """Dots and 95 % intervals.

    Args:
        rows: from top to bottom.
        titles: of the columns, as many as each row has estimates.
        title: above all.
        note: below all.
        chance: where a dashed line marks a figure without skill, for each column; None for no line.
        span: limits of every column's axis; from the figures where left out.
    """
    limits = span or _limits(rows)
    lines = note.count("\n") + 1 if note else 0
    with house_style():
        figure = Figure(
            figsize=(7.0, 1.25 + ROW_INCHES * max(1, len(rows)) + 0.17 * lines),
            layout="constrained",
        )
        axes = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
        for place, (axis, name) in enumerate(zip(axes, titles, strict=True)):
            _column(axis, rows, place, limits)
            axis.set_title(name, fontsize=10)
            line = chance[place] if place < len(chance) else None
            if line is not None:
                axis.axvline(line, color=CHANCE, linestyle="--", linewidth=1, zorder=0)
        _labels(axes[0], rows)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        if note:
            figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color=MUTED)
    return figure


def _limits(rows: Sequence[ForestRow]) -> tuple[float, float]:
    bounds = [
        estimate[key]
        for row in rows
        for estimate in row.estimates
        for key in ("value", "low")
        if estimate.get(key) is not None
    ]
    return max(0.0, min([*bounds, 0.5]) - 0.04), 1.03


def _column(axis: Axes, rows: Sequence[ForestRow], place: int, limits: tuple[float, float]) -> None:
    for line, row in enumerate(rows):
        if row.estimates:
            _interval(axis, line, row, row.estimates[place])
    axis.set_xlim(*limits)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    axis.tick_params(axis="y", length=0)


def _interval(axis: Axes, line: int, row: ForestRow, estimate: Mapping[str, Any]) -> None:
    value = estimate.get("value")
    if value is None:
        reason = str(estimate.get("reason", "not available")).split(":")[0]
        axis.text(
            0.5,
            line,
            reason,
            color=MUTED,
            fontsize=8,
            style="italic",
            ha="center",
            va="center",
            transform=axis.get_yaxis_transform(),
        )
        return
    if estimate.get("low") is not None:
        axis.plot(
            [estimate["low"], estimate["high"]],
            [line, line],
            color=row.color,
            linewidth=3,
            alpha=0.4,
            solid_capstyle="round",
        )
    axis.plot([value], [line], row.marker, color=row.color, markersize=6)


def _labels(axis: Axes, rows: Sequence[ForestRow]) -> None:
    axis.set_yticks(range(len(rows)), [row.label for row in rows])
    for text, row in zip(axis.get_yticklabels(), rows, strict=True):
        text.set_fontsize(9 if row.estimates else 10)
        text.set_fontweight("normal" if row.estimates else "bold")
        text.set_color(INK)


def forest(
    estimates: Mapping[str, Mapping[str, Any]],
    title: str = "",
    label: str = "AUROC",
    chance: float | None = 0.5,
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """A dot and its 95 % interval for each name, the best on top; names without a figure show why.

    Args:
        estimates: name to {"value", "low", "high"}, or {"value": None, "reason"}.
        title: above it.
        label: of the axis.
        chance: where a dashed line marks a figure without skill.
        notes: what stands behind a name, such as "sees mix".
    """
    order = sorted(
        estimates,
        key=lambda name: (
            estimates[name].get("value") is not None,
            estimates[name].get("value") or 0.0,
        ),
    )
    with house_style():
        figure, axis = panel(6.0, 1.1 + 0.48 * max(1, len(order)))
        lowest = min(
            [figure_["low"] for figure_ in estimates.values() if figure_.get("low") is not None]
            + [0.5 if chance is None else chance]
        )
        for place, name in enumerate(order):
            _row(axis, place, estimates[name])
        if chance is not None:
            axis.axvline(chance, color=CHANCE, linestyle="--", linewidth=1)
            axis.text(
                chance,
                len(order) - 0.42,
                "chance",
                color=CHANCE,
                fontsize=8,
                ha="center",
                va="bottom",
            )
        axis.set_yticks(
            range(len(order)),
            [
                readable(name) + (f"\n{(notes or {}).get(name)}" if (notes or {}).get(name) else "")
                for name in order
            ],
        )
        axis.set_ylim(-0.6, len(order) - 0.4)
        axis.set_xlim(max(0.0, lowest - 0.06), 1.02)
        axis.set_xlabel(label)
        axis.set_title(title, pad=16)
        axis.grid(axis="y", visible=False)
        axis.tick_params(axis="y", length=0)
    return figure


def _row(axis: Any, place: int, estimate: Mapping[str, Any]) -> None:
    value = estimate.get("value")
    if value is None:
        axis.text(
            0.5,
            place,
            estimate.get("reason", "not available"),
            color=INK,
            fontsize=8,
            ha="center",
            va="center",
            transform=axis.get_yaxis_transform(),
        )
        return
    if estimate.get("low") is not None:
        axis.plot(
            [estimate["low"], estimate["high"]],
            [place, place],
            color=PALETTE[0],
            linewidth=3,
            alpha=0.45,
            solid_capstyle="round",
        )
    axis.plot([value], [place], "o", color=PALETTE[0], markersize=8)
    axis.text(value, place + 0.2, f"{value:.3f}", ha="center", va="bottom", fontsize=9)


def differences(
    tests: Mapping[str, Mapping[str, Any]],
    title: str = "",
    label: str = "difference of AUROC; p after Holm's correction",
) -> Figure:
    """A dot and its 95 % interval for each test, the largest difference on top; filled where it
    holds after correction.

    Args:
        tests: name to {"against", "difference": {"value", "low", "high"}, "p_holm", "verdict"};
            tests without a difference say why.
        title: above it.
        label: of the axis.
    """
    order = sorted(
        tests,
        key=lambda name: (
            tests[name]["difference"]["value"] is not None,
            tests[name]["difference"]["value"] or 0.0,
        ),
    )
    with house_style():
        figure, axis = panel(6.0, 1.3 + 0.55 * max(1, len(order)))
        for place, name in enumerate(order):
            _difference_row(axis, place, tests[name])
        axis.axvline(0, color=MUTED, linestyle="--", linewidth=1)
        axis.text(
            0.01, -0.58, "worse", transform=axis.get_yaxis_transform(), color=MUTED, fontsize=8
        )
        axis.text(
            0.99,
            -0.58,
            "better",
            transform=axis.get_yaxis_transform(),
            color=MUTED,
            fontsize=8,
            ha="right",
        )
        axis.set_yticks(range(len(order)), [_name(name, tests[name]) for name in order])
        axis.set_ylim(-0.7, len(order) - 0.4)
        bounds = [0.0, *(bound for test in tests.values() for bound in _bounds(test))]
        room = 0.2 * (max(bounds) - min(bounds)) + 0.02
        axis.set_xlim(min(bounds) - room, max(bounds) + room)
        axis.set_xlabel(label)
        axis.set_title(title)
        axis.grid(axis="y", visible=False)
        axis.tick_params(axis="y", length=0)
    return figure


def _name(name: str, test: Mapping[str, Any]) -> str:
    return (
        readable(name)
        if test["against"] in (None, name)
        else f"{readable(name)}\nagainst {readable(test['against'])}"
    )


def _bounds(test: Mapping[str, Any]) -> list[float]:
    return [
        test["difference"][key]
        for key in ("value", "low", "high")
        if test["difference"].get(key) is not None
    ]


def _difference_row(axis: Axes, place: int, test: Mapping[str, Any]) -> None:
    found = test["difference"]
    if found["value"] is None:
        behind = {"facecolor": "white", "edgecolor": "none"}
        across = axis.get_yaxis_transform()
        axis.text(
            0.5,
            place,
            found["reason"],
            color=INK,
            fontsize=8,
            ha="center",
            va="center",
            transform=across,
            bbox=behind,
        )
        return
    if found.get("low") is not None:
        axis.plot(
            [found["low"], found["high"]],
            [place, place],
            color=PALETTE[0],
            linewidth=3,
            alpha=0.45,
            solid_capstyle="round",
        )
    holds = not test["verdict"].startswith("no ")
    axis.plot(
        [found["value"]],
        [place],
        "o",
        markersize=8,
        markeredgecolor=PALETTE[0],
        markerfacecolor=PALETTE[0] if holds else "white",
    )
    p_value = test.get("p_holm")
    note = f"{found['value']:+.3f}" + (
        "" if p_value is None else f", p {'< 0.001' if p_value < 0.001 else f'= {p_value:.3f}'}"
    )
    axis.text(found["value"], place + 0.2, note, ha="center", va="bottom", fontsize=9)


TITLES = {"sensitivity": "Sensitivity", "specificity": "Specificity", "auroc": "AUROC"}


def subgroup_forest(document: Mapping[str, Any], title: str = "") -> Figure:
    """Sensitivity, specificity and AUROC of every group, and how many normal and anomalous images
    each has.

    Args:
        document: {"groups": {column: {level: {"n_normal", "n_anomalous", "sensitivity",
            "specificity", "auroc"}}}, "sentence", "minimum"}.
        title: above it.
    """
    rows = [
        row for column, levels in document["groups"].items() for row in _section(column, levels)
    ]
    insufficient = f"insufficient: fewer than {document['minimum']} images of a class that the figure rests on."
    counts = "n: normal + anomalous test images." if rows else ""
    note = "\n".join(
        line
        for text in (counts, insufficient if rows else "", document["sentence"])
        for line in textwrap.wrap(text, 115)
    )
    return columns_forest(
        rows, list(TITLES.values()), title, note, chance=[None, None, 0.5], span=(-0.02, 1.02)
    )


def _section(column: str, levels: Mapping[str, Mapping[str, Any]]) -> Iterator[ForestRow]:
    yield ForestRow(readable(column))
    for level, found in levels.items():
        yield ForestRow(
            f"{textwrap.shorten(level, 20, placeholder=' …')}  (n = {found['n_normal']} + {found['n_anomalous']})",
            [found[figure] for figure in TITLES],
        )


HEADINGS = {
    "one_class": "Fitted to training normals only",
    "probe": "Learnt from labels, or from the unlabelled mix",
}
SHORTCUT, DETECTOR = PALETTE[3], PALETTE[0]


def shortcut_forest(document: Mapping[str, Any]) -> Figure:
    """AUROC of every shortcut that could be had, orange, and of every detector, blue, under what
    they were fitted to; the best on top.

    Args:
        document: {"shortcuts": {kind: {name: estimate}}, "detectors": {name: {"auroc",
            "compared_with", "against"}}}.
    """
    rows = [row for kind in HEADINGS for row in _shortcut_section(document, kind)]
    missing: dict[str, list[str]] = {}
    for found in document["shortcuts"].values():
        for name, estimate in found.items():
            if estimate["value"] is None and readable(name) not in missing.setdefault(
                estimate["reason"], []
            ):
                missing[estimate["reason"]].append(readable(name))
    told = [f"Not measured ({why}): {', '.join(names)}." for why, names in missing.items()]
    note = (
        "Orange diamonds: what is no disease, though a thumbnail and the intensity may show some of it. "
        "Blue dots: detectors; * not shown to be better than the best diamond of their part."
    )
    return columns_forest(
        rows,
        ["AUROC on the test images"],
        "What can be told without looking at the disease",
        "\n".join(line for text in (note, *told) for line in textwrap.wrap(text, 115)),
        chance=[0.5],
    )


def _shortcut_section(document: Mapping[str, Any], kind: str) -> Iterator[ForestRow]:
    yield ForestRow(HEADINGS[kind])
    shortcuts = {
        name: found
        for name, found in document["shortcuts"][kind].items()
        if found["value"] is not None
    }
    detectors = {
        name: found
        for name, found in document["detectors"].items()
        if found["compared_with"] == kind
    }
    rows = [ForestRow(readable(name), [found], SHORTCUT, "D") for name, found in shortcuts.items()]
    rows += [
        ForestRow(
            readable(name) + " *" * (found["against"][kind]["any"]["no_better"]),
            [found["auroc"]],
            DETECTOR,
        )
        for name, found in detectors.items()
    ]
    yield from sorted(rows, key=lambda row: -(row.estimates[0].get("value") or 0.0))
