"""The contents of a dataset: its profile, and the intensities of its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medgan.images.profile import CategoryProfile, Flow, Profile
from medgan.plots.style import (
    CHANCE,
    INK,
    PALETTE,
    bare,
    colored_table,
    house_style,
    name_rows,
    new_figure,
)
from medgan.words import capital, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw: TypeAlias = "Callable[[Axes], None]"
ByCategory = Mapping[str, CategoryProfile]
SHOWN_VALUES = 9
"""Values of an attribute with a column of their own; the rarest others share one."""
FEW = 4
"""Least number of bars that a panel has room for."""
WIDTH = 6.4
"""Of a panel in inches."""
ALWAYS = ("patient", "split", "sex", "age", "site", "view", "date")
"""Columns that are listed as missing even where nothing is known."""
HINT = (
    "Tables: share of the images of a row. V: association with the class, bias-corrected Cramér's "
    "V, from 0 (none) to 1 (complete)."
)
TITLES = {"split": "Split that came with the data", "age_band": "Age in years"}


@house_style()
def profile_figure(profile: Profile) -> Figure:
    """Draw the flow of images, the classes, each known attribute against the class, image sizes,
    and the missing values.

    An attribute is a table with a row for each class: the share of its images with each value.
    Where rows differ, the attribute is a possible shortcut to the class; V measures it.

    Args:
        profile: of at least one image.
    """
    panels = _panels(profile)
    heights = [max(height for height, _ in panels[at : at + 2]) for at in range(0, len(panels), 2)]
    known = profile.patients
    patients = f"{known:,} patients" if known else "patients unknown"
    sides = (f"{side.max:.0f}" for side in (profile.width, profile.height) if side)
    size = f", all {' × '.join(sides)} px" if _one_size(profile) else ""
    title = f"Dataset: {profile.images:,} images, {patients}{size}"
    figure = new_figure(2 * WIDTH, sum(heights) + 0.8, title, HINT)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    for index, (_, draw) in enumerate(panels):
        draw(figure.add_subplot(grid[index // 2, index % 2]))
    return figure


def _panels(profile: Profile) -> list[tuple[float, Draw]]:
    """Height in inches and drawing of every panel, in reading order."""
    classes = profile.by_category
    labels = [f"{readable(name)} ({row.images:,})" for name, row in classes.items()]
    tall, places = 1.1 + 0.27 * max(3, len(labels)), max(FEW, len(labels))
    flow, missing = _flow(profile.flow), _missing(profile)
    related = profile.association_with_category
    tables = [
        (tall + 0.25, partial(_table, name, table, labels, related.get(name)))
        for name, table in profile.category_by.items()
        if len(next(iter(table.values()))) > 1
    ]
    boxes = [("shorter_side", "Shorter side in pixels"), ("width_by_height", "Width by height")]
    sizes = (
        [] if _one_size(profile) else [(tall, partial(_boxes, classes, *what)) for what in boxes]
    )
    flow_title, missing_title = "Images from source to manifest", "Missing, share of the images"
    return [
        (1.0 + 0.27 * max(3, len(flow)), lambda axis: _bars(axis, flow, flow_title, places)),
        (1.0 + 0.4 * max(2, len(labels)), lambda axis: _classes(axis, classes)),
        *tables,
        *sizes,
        (1.0 + 0.24 * len(missing), lambda axis: _bars(axis, missing, missing_title, full=1.0)),
    ]


def _one_size(profile: Profile) -> bool:
    return all(side and side.min == side.max for side in (profile.width, profile.height))


Bar = tuple[str, float, str, str]
"""Name, length, the length in words, color."""


def _flow(flow: Flow) -> list[Bar]:
    steps = [
        ("listed", flow.listed, PALETTE[5]),
        *((f"left out: {readable(why)}", n, PALETTE[3]) for why, n in flow.left_out.items()),
        *((f"quarantined: {code}", n, PALETTE[1]) for code, n in flow.quarantined.items()),
        ("kept", flow.kept, PALETTE[0]),
    ]
    return [(name, count, f"{count:,}", color) for name, count, color in steps]


def _missing(profile: Profile) -> list[Bar]:
    """Share of images without a value, for each column; rare columns only where something is
    known.
    """
    found = []
    for name, share in profile.missing.items():
        values: Mapping[str, int] = next(iter(profile.category_by.get(name, {}).values()), {})
        words = f"all {next(iter(values))}" if len(values) == 1 else "all known"
        told = words if share == 0 else "none known" if share == 1 else _percent(share)
        if name in ALWAYS or share < 1:
            found.append((readable(name), share, told, CHANCE))
    return sorted(found, key=lambda bar: bar[1])


def _bars(
    axis: Axes, bars: Sequence[Bar], title: str, places: int = FEW, full: float | None = None
) -> None:
    names, lengths, words, colors = zip(*bars, strict=True)
    axis.barh(range(len(bars)), lengths, color=colors, height=0.7)
    for place, (length, text) in enumerate(zip(lengths, words, strict=True)):
        axis.text(length, place, f" {text}", va="center", fontsize=8)
    longest = full or max([*lengths, 1e-9])
    axis.set(ylim=(max(len(bars), places) - 0.5, -0.5), xlim=(0, longest * 1.2), title=title)
    _quiet(axis, names)


def _quiet(axis: Axes, names: Sequence[str]) -> None:
    bare(axis)
    axis.set_xticks([])
    axis.set_yticks(range(len(names)), names, fontsize=8)


def _classes(axis: Axes, classes: ByCategory) -> None:
    places = np.arange(len(classes))
    for offset, unit, color in ((-0.19, "images", PALETTE[0]), (0.19, "patients", PALETTE[3])):
        counts = [getattr(row, unit) for row in classes.values()]
        lengths = [count or 0 for count in counts]
        axis.barh(places + offset, lengths, height=0.36, color=color, label=unit)
        for place, count in zip(places, counts, strict=True):
            words = "patients unknown" if count is None else f"{count:,}"
            axis.text(count or 0, place + offset, f" {words}", va="center", fontsize=7)
    largest = max(row.images for row in classes.values())
    axis.set(xlim=(0, largest * 1.15), ylim=(len(classes) - 0.5, -0.5), title="Classes")
    _quiet(axis, [readable(name) for name in classes])
    above: dict[str, Any] = {"bbox_to_anchor": (1.0, 1.0), "ncols": 2, "borderaxespad": 0.2}
    axis.legend(loc="lower right", fontsize=8, **above)


def _table(
    attribute: str,
    table: Mapping[str, Mapping[str, int]],
    labels: Sequence[str],
    related: float | None,
    axis: Axes,
) -> None:
    """Draw a table of shares; rows in the order of `labels`."""
    columns, shares = _shares(table)
    title = TITLES.get(attribute, capital(readable(attribute)))
    texts = [["" if share == 0 else _percent(share) for share in row] for row in shares]
    colored_table(axis, texts, shares, fontsize=7.5)
    between = np.arange(1, len(shares)) - 0.5
    axis.hlines(between, -0.5, len(columns) - 0.5, color="white", linewidth=2)
    slanted = len(columns) > 3 and max(map(len, columns)) > 7
    turned: dict[str, Any] = {"rotation": 30, "ha": "right"} if slanted else {}
    axis.set_xticks(range(len(columns)), columns, fontsize=8, **turned)
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axis.set_title(title if related is None else f"{title}   V = {related:.2f}")


def _percent(share: float) -> str:
    return "<1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _shares(table: Mapping[str, Mapping[str, int]]) -> tuple[list[str], NDArray[np.float64]]:
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


def _boxes(classes: ByCategory, what: str, title: str, axis: Axes) -> None:
    """Draw the smallest, the quartiles and the largest value of each class."""
    keys = ("whislo", "q1", "med", "q3", "whishi")
    boxes = [dict(zip(keys, getattr(row, what), strict=True)) for row in classes.values()]
    line = {"color": PALETTE[0]}
    style: dict[str, Any] = {
        "boxprops": {"facecolor": "#cfe3ec", "edgecolor": PALETTE[0]},
        "medianprops": {"color": PALETTE[1], "linewidth": 2},
        "whiskerprops": line,
        "capprops": line,
    }
    shape: dict[str, Any] = {"orientation": "horizontal", "widths": 0.55, "patch_artist": True}
    axis.bxp(boxes, positions=range(len(boxes)), showfliers=False, **shape, **style)
    name_rows(axis, [readable(name) for name in classes])
    axis.invert_yaxis()
    axis.set(xlim=(0, max(box["whishi"] for box in boxes) * 1.1), title=title)
    axis.tick_params(labelsize=8)


COLUMNS = 4
NAMED = 8
"""Classes that a legend has room for; with more, only the panels name them."""
STYLES = tuple((color, dashes) for dashes in ("-", ":") for color in PALETTE)


@house_style()
def intensity_histograms(
    bands: Mapping[str, NDArray[Any]], counts: Mapping[str, int], title: str
) -> Figure:
    """Draw a panel with the mean histogram of every class, then one for each class: its mean, and
    the band of 90 % of its images.

    The panels are as high as the bins between the darkest and the brightest one, which black
    borders would dwarf; the shares of those two bins are written into each panel.

    Args:
        bands: class to (3, bins): 5th percentile, mean and 95th percentile of the share of pixels
            in each bin.
        counts: class to the number of images behind it.
        title: above all panels.
    """
    panels = 1 + len(bands)
    columns = min(COLUMNS, panels)
    rows = -(-panels // columns)
    figure = new_figure(3.1 * columns, 2.5 * rows + 0.5, title)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for axis in axes[panels:]:
        axis.set_axis_off()
    for axis in axes[:panels]:
        axis.set(xlim=(0, 255), xticks=[0, 64, 128, 192, 255])
        axis.tick_params(labelsize=8, labelbottom=True)
    _means(axes[0], bands)
    ceiling = _ceiling([band[2] for band in bands.values()]) * 1.25
    for axis, (name, band), style in zip(axes[1:], bands.items(), cycle(STYLES)):
        _class_panel(axis, band, style)
        axis.set_title(f"{readable(name)} (n = {counts[name]})", fontsize=9)
        axis.set_ylim(0, ceiling)
    figure.supxlabel("gray level (luminance)", fontsize=9)
    figure.supylabel("share of the pixels in a bin of 8 levels", fontsize=9)
    return figure


def _ceiling(rows: Sequence[NDArray[Any]]) -> float:
    """The highest bin between the darkest and the brightest."""
    return max(float(row[1:-1].max()) for row in rows) or 1.0


def _levels(band: NDArray[Any]) -> NDArray[np.float64]:
    """The middle of each bin in gray levels."""
    return np.asarray((np.arange(band.shape[1]) + 0.5) * 256 / band.shape[1])


def _means(axis: Axes, bands: Mapping[str, NDArray[Any]]) -> None:
    for (name, band), (color, dashes) in zip(bands.items(), cycle(STYLES)):
        style: dict[str, Any] = {"color": color, "linestyle": dashes, "linewidth": 1.5}
        axis.plot(_levels(band), band[1], label=readable(name), **style)
    axis.set_title("mean of each class", fontsize=9)
    axis.set_ylim(0, _ceiling([band[1] for band in bands.values()]) * 1.45)
    if len(bands) <= NAMED:
        size, columns = (6.0, 2) if len(bands) > 4 else (7.5, 1)
        axis.legend(fontsize=size, ncols=columns, loc="upper right")


def _class_panel(axis: Axes, band: NDArray[Any], style: tuple[str, str]) -> None:
    color, dashes = style
    axis.fill_between(_levels(band), band[0], band[2], color=color, alpha=0.25, linewidth=0)
    axis.plot(_levels(band), band[1], color=color, linewidth=1.5, linestyle=dashes)
    shares = f"darkest bin {100 * band[1, 0]:.1f} %\nbrightest bin {100 * band[1, -1]:.1f} %"
    corner: dict[str, Any] = {"transform": axis.transAxes, "ha": "right", "va": "top"}
    axis.text(0.97, 0.95, shares, fontsize=7, color=INK, **corner)
