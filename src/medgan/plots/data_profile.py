"""What a data set holds, in one figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medgan.plots.style import CHANCE, INK, MUTED, PALETTE, SEQUENTIAL, house_style, readable

Draw = Callable[[Axes], None]
SHOWN_VALUES = 9
"""Values of an attribute with a column of their own; the rarest others share one."""
FEW = 4
"""Bars that a panel has places for; where there are fewer, room is left below them."""
WIDTH = 6.4
"""Of a panel in inches."""
ALWAYS = ("patient", "split", "sex", "age", "site", "view", "date")
"""Columns of which it is said, too, that nothing is known."""
HINT = "Tables: share of the images of a row. V: how much it tells of the class by chance-corrected Cramér's V; 0 nothing, 1 all."
TITLES = {"split": "Split that came with the data", "age_band": "Age in years"}


def profile_figure(profile: Mapping[str, Any]) -> Figure:
    """Where the images went, classes, each known attribute against the class, sizes, and what is not known.

    An attribute is a table: a row for each class, the share of its images with each value. Rows that differ are a way to tell the class
    without looking at the disease; `V` measures it.

    Args:
        profile: as `medgan.images.profiling.profile` gives it.
    """
    panels = _panels(profile)
    rows = [panels[start : start + 2] for start in range(0, len(panels), 2)]
    heights = [max(height for height, _ in row) for row in rows]
    size = f", all {profile['width']['max']:.0f} × {profile['height']['max']:.0f} px" if _one_size(profile) else ""
    patients = f", {profile['patients']:,} patients" if profile["patients"] else ", patients not known"
    with house_style():
        figure = Figure(figsize=(2 * WIDTH, sum(heights) + 0.8), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr, call-arg]
        grid = figure.add_gridspec(len(rows), 2, height_ratios=heights)
        for index, (_, draw) in enumerate(panels):
            draw(figure.add_subplot(grid[index // 2, index % 2]))
        figure.suptitle(f"The data set: {profile['images']:,} images{patients}{size}", x=0.01, ha="left", fontsize=13, fontweight="bold")
        figure.supxlabel(HINT, x=0.01, ha="left", fontsize=8, color=MUTED)
    return figure


def _panels(profile: Mapping[str, Any]) -> list[tuple[float, Draw]]:
    """Height in inches and drawing of every panel, in reading order."""
    by_category = profile["by_category"]
    labels = [f"{readable(name)} ({row['images']:,})" for name, row in by_category.items()]
    tall = 1.1 + 0.27 * max(3, len(labels))
    flow = _flow_bars(profile["flow"])
    related = profile["association_with_category"]
    told = {name: table for name, table in profile["category_by"].items() if len(next(iter(table.values()))) > 1}
    sizes = [] if _one_size(profile) else [("shorter_side", "Shorter side in pixels"), ("width_by_height", "Width by height")]
    known = _known(profile)
    return [
        (1.0 + 0.27 * max(3, len(flow)), lambda axis: _flow(axis, flow, len(labels))),
        (1.0 + 0.4 * max(2, len(labels)), lambda axis: _classes(axis, by_category)),
        *((tall + 0.25, _table(name, table, labels, related.get(name))) for name, table in told.items()),
        *((tall, _boxes(by_category, what, title)) for what, title in sizes),
        (1.0 + 0.24 * len(known), lambda axis: _missing(axis, known)),
    ]


def _one_size(profile: Mapping[str, Any]) -> bool:
    return all(profile[side]["min"] == profile[side]["max"] for side in ("width", "height"))


def _flow_bars(flow: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    return [
        ("listed", flow["listed"], PALETTE[5]),
        *((f"left out: {readable(reason)}", count, PALETTE[3]) for reason, count in flow["left_out"].items()),
        *((f"quarantined: {code}", count, PALETTE[1]) for code, count in flow["quarantined"].items()),
        ("kept", flow["kept"], PALETTE[0]),
    ]


def _bars(
    axis: Axes, names: Sequence[str], lengths: Sequence[float], shown: Sequence[str], colours: Sequence[str] | str, places: int = FEW
) -> None:
    axis.barh(range(len(names)), lengths, color=colours, height=0.7)
    for place, (length, words) in enumerate(zip(lengths, shown, strict=True)):
        axis.text(length, place, f" {words}", va="center", fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_ylim(max(len(names), places) - 0.5, -0.5)
    axis.set_xlim(0, max([*lengths, 1e-9]) * 1.15)
    _quiet(axis)


def _quiet(axis: Axes) -> None:
    axis.grid(False)
    axis.tick_params(length=0)
    axis.spines[["bottom", "left"]].set_visible(False)


def _flow(axis: Axes, bars: Sequence[tuple[str, int, str]], classes: int) -> None:
    names, counts, colours = zip(*bars, strict=True)
    _bars(axis, names, counts, [f"{count:,}" for count in counts], colours, max(FEW, classes))
    axis.set_xticks([])
    axis.set_title("From the source to the manifest, images")


def _classes(axis: Axes, by_category: Mapping[str, Mapping[str, Any]]) -> None:
    places = np.arange(len(by_category))
    kinds = {"images": PALETTE[0], "patients": PALETTE[3]}
    largest = max(row["images"] for row in by_category.values())
    for offset, (kind, colour) in zip((-0.19, 0.19), kinds.items(), strict=True):
        counts = [row[kind] or 0 for row in by_category.values()]
        axis.barh(places + offset, counts, height=0.36, color=colour, label=kind)
        for place, row in zip(places, by_category.values(), strict=True):
            words = "patients not known" if row[kind] is None else f"{row[kind]:,}"
            axis.text(row[kind] or 0, place + offset, f" {words}", va="center", fontsize=7)
    axis.set_yticks(places, [readable(name) for name in by_category], fontsize=8)
    axis.set_xticks([])
    axis.set_xlim(0, largest * 1.15)
    axis.invert_yaxis()
    _quiet(axis)
    axis.set_title("Classes")
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=8, borderaxespad=0.2)


def _table(attribute: str, table: Mapping[str, Mapping[str, int]], labels: Sequence[str], related: float | None) -> Draw:
    """Draws a table of shares; rows in the order of `labels`."""
    columns, shares = _shares(table)
    told = "" if related is None else f"   V = {related:.2f}"

    def draw(axis: Axes) -> None:
        axis.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
        for row, column in np.ndindex(*shares.shape):
            share = shares[row, column]
            axis.text(column, row, _percent(share), ha="center", va="center", fontsize=7.5, color="white" if share > 0.55 else INK)
        axis.hlines(np.arange(1, len(shares)) - 0.5, -0.5, len(columns) - 0.5, color="white", linewidth=2)
        slanted = len(columns) > 3 and max(map(len, columns)) > 7
        axis.set_xticks(range(len(columns)), columns, fontsize=8, rotation=30 if slanted else 0, ha="right" if slanted else "center")
        axis.set_yticks(range(len(labels)), labels, fontsize=8)
        _quiet(axis)
        axis.set_title(TITLES.get(attribute, readable(attribute).capitalize()) + told)

    return draw


def _percent(share: float) -> str:
    return "" if share == 0 else "<1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _shares(table: Mapping[str, Mapping[str, int]]) -> tuple[list[str], Any]:
    """Names of the columns, and the share of each row's images in each of them; rare values share the last column."""
    names = list(next(iter(table.values())))
    counts = np.array([[row[name] for name in names] for row in table.values()], dtype=np.float64)
    if len(names) > SHOWN_VALUES:
        common = np.sort(np.argsort(-counts.sum(0), kind="stable")[: SHOWN_VALUES - 1])
        rare = np.setdiff1d(np.arange(len(names)), common)
        names = [*(names[index] for index in common), f"{len(rare)} others"]
        counts = np.column_stack([counts[:, common], counts[:, rare].sum(1)])
    return names, counts / np.maximum(counts.sum(1, keepdims=True), 1)


def _boxes(by_category: Mapping[str, Mapping[str, Any]], what: str, title: str) -> Draw:
    """Draws the smallest, the quartiles and the largest value of each class."""

    def draw(axis: Axes) -> None:
        keys = ("whislo", "q1", "med", "q3", "whishi")
        boxes = [dict(zip(keys, row[what], strict=True)) for row in by_category.values()]
        axis.bxp(
            boxes,
            positions=range(len(boxes)),
            orientation="horizontal",
            showfliers=False,
            widths=0.55,
            patch_artist=True,
            boxprops={"facecolor": "#cfe3ec", "edgecolor": PALETTE[0]},
            medianprops={"color": PALETTE[1], "linewidth": 2},
            whiskerprops={"color": PALETTE[0]},
            capprops={"color": PALETTE[0]},
        )
        axis.set_yticks(range(len(boxes)), [readable(name) for name in by_category], fontsize=8)
        axis.invert_yaxis()
        axis.set_xlim(0, max(box["whishi"] for box in boxes) * 1.1)
        axis.tick_params(axis="x", labelsize=8)
        axis.grid(axis="y", visible=False)
        axis.set_title(title)

    return draw


def _known(profile: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    """Column, share of the images of which it is not known, and that in words. Columns that few data sets have come only where known."""
    shares = {name: share for name, share in profile["missing"].items() if name in ALWAYS or share < 1}
    return [(readable(name), share, _words(share, profile["category_by"].get(name, {}))) for name, share in shares.items()]


def _words(share: float, table: Mapping[str, Mapping[str, int]]) -> str:
    values = next(iter(table.values()), {})
    if share == 0:
        return f"all {next(iter(values))}" if len(values) == 1 else "all known"
    return "none known" if share == 1 else _percent(share)


def _missing(axis: Axes, known: Sequence[tuple[str, float, str]]) -> None:
    names, shares, words = zip(*sorted(known, key=lambda row: row[1]), strict=True)
    _bars(axis, names, shares, words, CHANCE)
    axis.set_xlim(0, 1.25)
    axis.set_xticks([])
    axis.set_title("Not known, share of the images")
