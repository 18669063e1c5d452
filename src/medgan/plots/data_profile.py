"""What a data set holds, in one figure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.plots.style import CHANCE, GRID, INK, MUTED, PALETTE, SEQUENTIAL, house_style, readable

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
    """Where the images went, classes, each known attribute against the class, sizes, and what is
    not known.

    An attribute is a table: a row for each class, the share of its images with each value. Rows
    that differ are a way to tell the class without looking at the disease; `V` measures it.

    Args:
        profile: as `medgan.images.profile.profile` gives it.
    """
    panels = _panels(profile)
    rows = [panels[start : start + 2] for start in range(0, len(panels), 2)]
    heights = [max(height for height, _ in row) for row in rows]
    size = (
        f", all {profile['width']['max']:.0f} × {profile['height']['max']:.0f} px"
        if _one_size(profile)
        else ""
    )
    patients = (
        f", {profile['patients']:,} patients" if profile["patients"] else ", patients not known"
    )
    with house_style():
        figure = Figure(figsize=(2 * WIDTH, sum(heights) + 0.8), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr, call-arg]
        grid = figure.add_gridspec(len(rows), 2, height_ratios=heights)
        for index, (_, draw) in enumerate(panels):
            draw(figure.add_subplot(grid[index // 2, index % 2]))
        figure.suptitle(
            f"The data set: {profile['images']:,} images{patients}{size}",
            x=0.01,
            ha="left",
            fontsize=13,
            fontweight="bold",
        )
        figure.supxlabel(HINT, x=0.01, ha="left", fontsize=8, color=MUTED)
    return figure


def _panels(profile: Mapping[str, Any]) -> list[tuple[float, Draw]]:
    """Height in inches and drawing of every panel, in reading order."""
    by_category = profile["by_category"]
    labels = [f"{readable(name)} ({row['images']:,})" for name, row in by_category.items()]
    tall = 1.1 + 0.27 * max(3, len(labels))
    flow = _flow_bars(profile["flow"])
    related = profile["association_with_category"]
    told = {
        name: table
        for name, table in profile["category_by"].items()
        if len(next(iter(table.values()))) > 1
    }
    sizes = (
        []
        if _one_size(profile)
        else [("shorter_side", "Shorter side in pixels"), ("width_by_height", "Width by height")]
    )
    known = _known(profile)
    return [
        (1.0 + 0.27 * max(3, len(flow)), lambda axis: _flow(axis, flow, len(labels))),
        (1.0 + 0.4 * max(2, len(labels)), lambda axis: _classes(axis, by_category)),
        *(
            (tall + 0.25, _table(name, table, labels, related.get(name)))
            for name, table in told.items()
        ),
        *((tall, _boxes(by_category, what, title)) for what, title in sizes),
        (1.0 + 0.24 * len(known), lambda axis: _missing(axis, known)),
    ]


def _one_size(profile: Mapping[str, Any]) -> bool:
    return all(profile[side]["min"] == profile[side]["max"] for side in ("width", "height"))


def _flow_bars(flow: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    return [
        ("listed", flow["listed"], PALETTE[5]),
        *(
            (f"left out: {readable(reason)}", count, PALETTE[3])
            for reason, count in flow["left_out"].items()
        ),
        *(
            (f"quarantined: {code}", count, PALETTE[1])
            for code, count in flow["quarantined"].items()
        ),
        ("kept", flow["kept"], PALETTE[0]),
    ]


def _bars(
    axis: Axes,
    names: Sequence[str],
    lengths: Sequence[float],
    shown: Sequence[str],
    colors: Sequence[str] | str,
    places: int = FEW,
) -> None:
    axis.barh(range(len(names)), lengths, color=colors, height=0.7)
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
    names, counts, colors = zip(*bars, strict=True)
    _bars(axis, names, counts, [f"{count:,}" for count in counts], colors, max(FEW, classes))
    axis.set_xticks([])
    axis.set_title("From the source to the manifest, images")


def _classes(axis: Axes, by_category: Mapping[str, Mapping[str, Any]]) -> None:
    places = np.arange(len(by_category))
    kinds = {"images": PALETTE[0], "patients": PALETTE[3]}
    largest = max(row["images"] for row in by_category.values())
    for offset, (kind, color) in zip((-0.19, 0.19), kinds.items(), strict=True):
        counts = [row[kind] or 0 for row in by_category.values()]
        axis.barh(places + offset, counts, height=0.36, color=color, label=kind)
        for place, row in zip(places, by_category.values(), strict=True):
            words = "patients not known" if row[kind] is None else f"{row[kind]:,}"
            axis.text(row[kind] or 0, place + offset, f" {words}", va="center", fontsize=7)
    axis.set_yticks(places, [readable(name) for name in by_category], fontsize=8)
    axis.set_xticks([])
    axis.set_xlim(0, largest * 1.15)
    axis.invert_yaxis()
    _quiet(axis)
    axis.set_title("Classes")
    axis.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=8, borderaxespad=0.2
    )


def _table(
    attribute: str,
    table: Mapping[str, Mapping[str, int]],
    labels: Sequence[str],
    related: float | None,
) -> Draw:
    """Draws a table of shares; rows in the order of `labels`."""
    columns, shares = _shares(table)
    told = "" if related is None else f"   V = {related:.2f}"

    def draw(axis: Axes) -> None:
        axis.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
        for row, column in np.ndindex(*shares.shape):
            share = shares[row, column]
            axis.text(
                column,
                row,
                _percent(share),
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if share > 0.55 else INK,
            )
        axis.hlines(
            np.arange(1, len(shares)) - 0.5, -0.5, len(columns) - 0.5, color="white", linewidth=2
        )
        slanted = len(columns) > 3 and max(map(len, columns)) > 7
        axis.set_xticks(
            range(len(columns)),
            columns,
            fontsize=8,
            rotation=30 if slanted else 0,
            ha="right" if slanted else "center",
        )
        axis.set_yticks(range(len(labels)), labels, fontsize=8)
        _quiet(axis)
        axis.set_title(TITLES.get(attribute, readable(attribute).capitalize()) + told)

    return draw


def _percent(share: float) -> str:
    return "" if share == 0 else "<1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _shares(table: Mapping[str, Mapping[str, int]]) -> tuple[list[str], Any]:
    """Names of the columns, and the share of each row's images in each of them; rare values share
    the last column.
    """
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
    """Column, share of the images of which it is not known, and that in words. Columns that few
    data sets have come only where known.
    """
    shares = {
        name: share for name, share in profile["missing"].items() if name in ALWAYS or share < 1
    }
    return [
        (readable(name), share, _words(share, profile["category_by"].get(name, {})))
        for name, share in shares.items()
    ]


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


COLUMNS = 4
NAMED = 8
"""Classes that a legend has room for; the lines of more are told by the panels, which are drawn
alike.
"""
STYLES = tuple((color, dashes) for dashes in ("-", ":") for color in PALETTE)


def intensity_histograms(
    bands: Mapping[str, NDArray[Any]], counts: Mapping[str, int], title: str = ""
) -> Figure:
    """A panel with the mean histogram of every class, then one for each class: its mean, and the
    band of 90 % of its images.

    The height of the panels is that of the bins between the darkest and the brightest, as black
    borders would dwarf all else; what is in those two bins stands in the title of a panel.

    Args:
        bands: class to (3, bins): 5th percentile, mean and 95th percentile of the share of pixels
            in each bin.
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
    for (name, band), (color, dashes) in zip(bands.items(), cycle(STYLES)):
        axis.plot(
            _greys(band),
            band[1],
            color=color,
            linewidth=1.5,
            label=readable(name),
            linestyle=dashes,
        )
    axis.set_title("mean of each class", fontsize=9)
    axis.set_ylim(0, _ceiling([band[1] for band in bands.values()]) * 1.45)
    if len(bands) <= NAMED:
        axis.legend(
            fontsize=6 if len(bands) > 4 else 7.5,
            ncols=2 if len(bands) > 4 else 1,
            loc="upper right",
        )


def _greys(band: NDArray[Any]) -> NDArray[np.float64]:
    """The middle of each bin in grey levels."""
    middles: NDArray[np.float64] = (np.arange(band.shape[1]) + 0.5) * 256 / band.shape[1]
    return middles


def _class_panel(axis: Axes, band: NDArray[Any], style: tuple[str, str], title: str) -> None:
    color, dashes = style
    axis.fill_between(_greys(band), band[0], band[2], color=color, alpha=0.25, linewidth=0)
    axis.plot(_greys(band), band[1], color=color, linewidth=1.5, linestyle=dashes)
    axis.set_title(title, fontsize=9)
    said = f"darkest bin {100 * band[1, 0]:.1f} %\nbrightest bin {100 * band[1, -1]:.1f} %"
    axis.text(
        0.97, 0.95, said, transform=axis.transAxes, ha="right", va="top", fontsize=7, color=INK
    )


REASONS = 5
"""Reasons that a box lists; the rarer ones are one line."""
LINE = 0.19
"""Inches for a line of text."""
FLOW_WIDTH = 7.0


def flow_chart(flow: Mapping[str, Any]) -> Figure:
    """Boxes from top to bottom, what was left out at each step to the right, the parts of the split
    at the bottom.

    Args:
        flow: {"listed", "excluded" | "quarantined" | "dropped": {"images", "reasons"}, "kept",
            "parts": {part: counts}}.
    """
    steps = [
        (["Images listed", f"n = {flow['listed']:,}"], _left_out("Not wanted", flow["excluded"])),
        (
            ["Images wanted", f"n = {flow['listed'] - flow['excluded']['images']:,}"],
            _left_out("Cannot be used", flow["quarantined"]),
        ),
        (
            ["Images that can be used", f"n = {flow['usable']:,}"],
            _left_out("Left out of the split", flow["dropped"]),
        ),
        (["Images in the split", _size(flow["kept"])], []),
    ]
    parts = [_part(name, part) for name, part in flow["parts"].items()]
    heights = [LINE * (max(len(main), len(side)) + 1.2) for main, side in steps]
    last = LINE * (max(len(lines) for lines in parts) + 1.0)
    total = sum(heights) + last + 0.3
    with house_style():
        figure = Figure(figsize=(FLOW_WIDTH, total))
        axis = figure.add_axes((0, 0, 1, 1))
        axis.set(xlim=(0, FLOW_WIDTH), ylim=(total, 0))
        axis.set_axis_off()
        top = 0.1
        for (main, side), height in zip(steps, heights, strict=True):
            _step(axis, top, height, main, side)
            top += height
        _parts(axis, top + 0.15, last - 0.1, parts)
    return figure


def _left_out(title: str, found: Mapping[str, Any]) -> list[str]:
    reasons = [
        f"{textwrap.shorten(readable(str(name)), 38, placeholder=' …')}: {count:,}"
        for name, count in found["reasons"].items()
    ]
    listed = (
        reasons
        if len(reasons) <= REASONS
        else [*reasons[: REASONS - 1], f"{len(reasons) - REASONS + 1} other reasons"]
    )
    return [f"{title}: n = {found['images']:,}", *listed]


def _size(counted: Mapping[str, Any]) -> str:
    patients = counted["patients"]
    return f"n = {counted['images']:,}" + (
        ", patients unknown" if patients is None else f" of {patients:,} patients"
    )


def _part(name: str, part: Mapping[str, Any]) -> list[str]:
    title = {"train": "Training", "val": "Validation", "test": "Test"}[name]
    mix = (
        [f"in the unlabelled mix: {part['unlabelled_mix']['images']:,}"]
        if "unlabelled_mix" in part
        else []
    )
    counts = [f"{kind}: {part[kind]['images']:,}" for kind in ("normal", "anomalous")]
    patients = (
        ["patients unknown"] if part["patients"] is None else [f"{part['patients']:,} patients"]
    )
    return [title, f"n = {part['images']:,}", *patients, *counts, *mix]


def _box(
    axis: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    lines: list[str],
    fill: str = "white",
) -> None:
    from matplotlib.patches import FancyBboxPatch

    shape = FancyBboxPatch(
        (x, y),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=fill,
        edgecolor=MUTED,
        linewidth=1,
    )
    axis.add_patch(shape)
    start = y + height / 2 - LINE * (len(lines) - 1) / 2
    for place, text in enumerate(lines):
        weight = "bold" if place == 0 else "normal"
        axis.text(
            x + width / 2,
            start + place * LINE,
            text,
            ha="center",
            va="center",
            fontsize=9,
            fontweight=weight,
            color=INK,
        )


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.annotate(
        "",
        end,
        start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": MUTED,
            "linewidth": 1.2,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )


def _step(axis: Axes, top: float, height: float, main: list[str], side: list[str]) -> None:
    """A box with an arrow to the next one, and what is left out on the way."""
    tall = LINE * (len(main) + 0.6)
    _box(axis, 0.35, top, 2.5, tall, main, "#eef4f8")
    _arrow(axis, (1.6, top + tall), (1.6, top + height))
    if side:
        high = LINE * (len(side) + 0.5)
        middle = top + tall / 2
        start = max(top - 0.04, middle - high / 2)
        _box(axis, 3.4, start, 3.4, high, side)
        _arrow(axis, (2.85, middle), (3.4, middle))


def _parts(axis: Axes, top: float, height: float, parts: list[list[str]]) -> None:
    width = (FLOW_WIDTH - 0.4) / len(parts) - 0.15
    axis.plot([1.6, 1.6], [top - 0.15, top - 0.1], color=MUTED, linewidth=1.2)
    centres = [0.275 + place * (width + 0.15) + width / 2 for place in range(len(parts))]
    axis.plot(
        [min(*centres, 1.6), max(*centres, 1.6)], [top - 0.1, top - 0.1], color=MUTED, linewidth=1.2
    )
    for place, (centre, lines) in enumerate(zip(centres, parts, strict=True)):
        axis.plot([centre, centre], [top - 0.1, top], color=MUTED, linewidth=1.2)
        fill = PALETTE[0] + "22" if place == len(parts) - 1 else GRID + "66"
        _box(axis, centre - width / 2, top, width, height, lines, fill)
