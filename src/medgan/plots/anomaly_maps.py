"""Anomaly maps in rows: the image, what the detector compares it with, the difference, the map.

All images of a detector share one scale, so that a color means the same in every row. Layout is in
inches: figures are as wide as a phone shows them legibly.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.plots.grids import show_image
from medgan.plots.style import HEAT, INK, MUTED, PALETTE, house_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGNED = "RdBu_r"
OUTLINE = "#39d0d8"
OPACITY = 0.8
CLEAR, BRIGHTEST = 0.75, 0.99
"""Quantiles of the pixels of normal validation maps: clear up to the first, last color from the
second.
"""
WIDTH, MARGIN, GAP = 4.4, 0.05, 0.06
LINE, SMALL = 0.15, 8.0
"""Height of a line of text in inches, and the size of its letters in points."""
ASCENT = 0.0135
"""Inches from the top of a line to its baseline, for each point of size."""
PANELS = 4
PANEL = (WIDTH - 2 * MARGIN - (PANELS - 1) * GAP) / PANELS
PITCH = PANEL + 0.09
CHARACTERS, COLUMN_CHARACTERS = 72, 16
"""Of a line over the whole width, and over one panel."""
HEADER, HEADING, FOOTER = 0.9, 0.24, 0.1
NO_COUNTERPART = "no counterpart"
CAPTIONS = ("input of the detector", "anomaly map over it")


@dataclass(frozen=True)
class Case:
    """An image and its anomaly map."""

    heading: str
    """Cases that follow each other under the same heading stand below it together."""
    lines: Sequence[str]
    """Above the row."""
    image: NDArray[np.uint8]
    """(H, W, 1 or 3)."""
    anomaly_map: NDArray[Any]
    """(H, W), higher is more anomalous."""
    counterpart: NDArray[np.uint8] | None = None
    """Of the shape of the image."""
    residual: NDArray[Any] | None = None
    """(H, W), image minus counterpart."""
    mask: NDArray[np.bool_] | None = None
    """(H, W), where the anomaly is known to lie."""


@dataclass(frozen=True)
class MapScale:
    """The colors of all images of a detector."""

    low: float
    """Map values up to here are transparent in the overlay."""
    high: float
    """Map values from here on have the last color."""
    residual: float = 1.0
    """The colors of differences run from minus this to this."""

    def strength(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Scale map values to opacity: 0 up to `low`, 1 from `high` on."""
        scaled = (np.asarray(values, np.float64) - self.low) / max(self.high - self.low, 1e-12)
        return np.asarray(np.clip(scaled, 0, 1))


def normal_scale(maps: NDArray[Any], residual: float = 1.0) -> MapScale:
    """Compute the scale of all anomaly maps of a detector, wherever they are shown, from the maps of
    the normal validation images (n, H, W); no other image may set it. `residual` is the limit of
    the differences from counterparts.
    """
    if not np.size(maps):
        return MapScale(0.0, 0.0, residual)
    low, high = np.quantile(np.asarray(maps, np.float64), [CLEAR, BRIGHTEST])
    return MapScale(float(low), float(high), residual)


def own_scale(maps: NDArray[Any], scale: MapScale | None) -> MapScale:
    """Widen a scale to the maps that are shown, where no validation maps were stored."""
    values = np.asarray(maps, np.float64)
    low, high = float(values.min()), float(np.quantile(values, BRIGHTEST))
    return MapScale(min(low, scale.low), max(high, scale.high)) if scale else MapScale(low, high)


class _Sheet:
    """A figure with one pair of axes in inches, filled from the top down."""

    def __init__(self, height: float, scale: MapScale | None = None) -> None:
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(WIDTH, height))
        self.axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.axes.set_axis_off()
        self.height, self.y = height, 0.05
        self.scale = scale or MapScale(0.0, 1.0)

    def finished(self) -> Figure:
        """Restore the limits, which pictures have moved."""
        self.axes.set(xlim=(0, WIDTH), ylim=(self.height, 0), aspect="auto")
        return self.figure

    def text(self, column: float, words: str, **style: Any) -> None:
        """Write a line below the present height; `column` counts panels."""
        settings: dict[str, Any] = {"fontsize": SMALL, "va": "baseline", "ha": "left", **style}
        self.axes.text(_left(column), self.y + ASCENT * settings["fontsize"], words, **settings)

    def lines(self, column: float, lines: Sequence[str], **style: Any) -> None:
        """Write lines from the present height down, the first one darker; the height stays."""
        before = self.y
        for number, line in enumerate(lines):
            self.text(column, line, **{"color": MUTED if number else INK, **style})
            self.y += LINE
        self.y = before

    def picture(self, column: int, values: NDArray[Any], **style: Any) -> None:
        """Draw pixels or values whose top is at the present height."""
        height = style.pop("height", PANEL)
        place = (_left(column), _left(column) + PANEL, self.y + height, self.y)
        self.axes.imshow(values, extent=place, interpolation="nearest", **style)

    def image(self, column: int, image: NDArray[np.uint8]) -> None:
        """Draw an image (H, W, 1 or 3)."""
        gray = image.shape[-1] == 1
        pixels, colors = (image[..., 0], "gray") if gray else (image, None)
        self.picture(column, pixels, cmap=colors, vmin=0, vmax=255)

    def map(self, column: int, case: Case, **style: Any) -> None:
        """Draw the map of a case in the common colors."""
        values = np.asarray(case.anomaly_map, dtype=np.float64)
        self.picture(column, values, cmap=HEAT, vmin=self.scale.low, vmax=self.scale.high, **style)

    def overlay(self, column: int, case: Case) -> None:
        """Draw the map over the image: the higher a value, the less of the image shows through."""
        self.image(column, case.image)
        strength = self.scale.strength(case.anomaly_map)
        self.map(column, case, alpha=OPACITY * strength)
        self.outline(column, case.mask)

    def outline(self, column: int, mask: NDArray[np.bool_] | None) -> None:
        """Draw the border of a mask on the panel at the present height."""
        if mask is None or not mask.any() or mask.all():
            return
        rows, columns = ((np.arange(side) + 0.5) / side * PANEL for side in mask.shape)
        place = (_left(column) + columns, self.y + rows)
        style: dict[str, Any] = {"levels": [0.5], "colors": [OUTLINE], "linewidths": 1.1}
        self.axes.contour(*place, mask.astype(np.float64), **style)

    def header(self, title: str, columns: Sequence[str], *, signed: bool) -> None:
        """Write the title and the names of the columns, with the color bars below them."""
        self.text(0, title, fontsize=10, fontweight="bold")
        self.y += 0.24
        for column, name in enumerate(columns):
            lines = textwrap.wrap(name, COLUMN_CHARACTERS)
            self.lines(column, lines, fontweight="bold", color=INK)
        self.y += LINE + 0.05
        if signed:
            self._bar(2, SIGNED, ("darker", "brighter"))
        self._bar(3, HEAT, (f"{self.scale.low:.3g}", f"≥ {self.scale.high:.3g}"))
        self.y = HEADER - FOOTER

    def _bar(self, column: int, colors: str, ends: tuple[str, str]) -> None:
        ramp = np.linspace(0, 1, 128)[None]
        self.picture(column, ramp, height=0.08, cmap=colors, vmin=0, vmax=1)
        self.y += 0.1
        self.text(column, ends[0], fontsize=7)
        self.text(column + PANEL / (PANEL + GAP), ends[1], fontsize=7, ha="right")
        self.y -= 0.1


def _left(column: float) -> float:
    return MARGIN + column * (PANEL + GAP)


@house_style()
def case_rows(
    cases: Sequence[Case],
    scale: MapScale,
    *,
    title: str,
    counterpart: str = "",
    notes: Sequence[str] = (),
) -> Figure:
    """Draw a row for each image: the image, its counterpart, the difference, the map over it.

    Without a counterpart (`counterpart` is its name) the third panel is the map itself. Masks are
    outlined on the first and the last panel. `notes` are sentences below all.

    Raises:
        UserError: there is no image.
    """
    third = "difference" if counterpart else "map"
    columns = ("image", counterpart or NO_COUNTERPART, third, "map on image")

    def row(sheet: _Sheet, members: Sequence[Case]) -> None:
        (case,) = members
        sheet.lines(0, case.lines)
        sheet.y += len(case.lines) * LINE
        sheet.image(0, case.image)
        sheet.outline(0, case.mask)
        _compared(sheet, case)
        sheet.overlay(3, case)
        sheet.y += PITCH

    height = sum(PITCH + len(case.lines) * LINE for case in cases)
    sheet = _Sheet(height + _around(cases, notes), scale)
    sheet.header(title, columns, signed=bool(counterpart))
    return _filled(sheet, cases, notes, 1, row)


@house_style()
def case_pairs(
    cases: Sequence[Case], scale: MapScale, *, title: str, notes: Sequence[str] = ()
) -> Figure:
    """Draw two images a row, each beside the same image with its map over it.

    Raises:
        UserError: there is no image.
    """
    lines = max((len(case.lines) for case in cases), default=0)
    rows = sum(-(-len(members) // 2) for _, members in _grouped(cases))

    def pair(sheet: _Sheet, members: Sequence[Case]) -> None:
        for column, case in zip((0, 2), members, strict=False):
            sheet.lines(column, case.lines)
        sheet.y += lines * LINE
        for column, case in zip((0, 2), members, strict=False):
            sheet.image(column, case.image)
            sheet.outline(column, case.mask)
            sheet.overlay(column + 1, case)
        sheet.y += PITCH

    sheet = _Sheet(rows * (PITCH + lines * LINE) + _around(cases, notes), scale)
    sheet.header(title, ("image", "map on image") * 2, signed=False)
    return _filled(sheet, cases, notes, 2, pair)


@house_style()
def no_cases(title: str, words: str) -> Figure:
    """Draw a title and why there is nothing to show."""
    sheet = _Sheet(0.6)
    sheet.text(0, title, fontsize=10, fontweight="bold")
    sheet.y += 0.26
    sheet.text(0, words, color=MUTED)
    return sheet.finished()


def _grouped(cases: Sequence[Case]) -> list[tuple[str, list[Case]]]:
    groups = groupby(cases, lambda case: case.heading)
    return [(heading, list(members)) for heading, members in groups]


def _wrapped(notes: Sequence[str]) -> list[str]:
    return [line for note in notes for line in textwrap.wrap(note, CHARACTERS)]


def _around(cases: Sequence[Case], notes: Sequence[str]) -> float:
    """The height of all but the rows."""
    if not cases:
        raise UserError("There is no image to show a heat map of: the test split is empty.")
    return HEADER + len(_grouped(cases)) * HEADING + len(_wrapped(notes)) * LINE + FOOTER


def _filled(
    sheet: _Sheet,
    cases: Sequence[Case],
    notes: Sequence[str],
    a_row: int,
    draw: Callable[[_Sheet, Sequence[Case]], None],
) -> Figure:
    for heading, members in _grouped(cases):
        sheet.y += 0.04
        sheet.text(0, heading, fontsize=9, fontweight="bold", color=PALETTE[0])
        sheet.y += HEADING - 0.04
        for start in range(0, len(members), a_row):
            draw(sheet, members[start : start + a_row])
    sheet.y += 0.04
    sheet.lines(0, _wrapped(notes), color=MUTED)
    return sheet.finished()


def _compared(sheet: _Sheet, case: Case) -> None:
    if case.counterpart is None or case.residual is None:
        place = (_left(1.45), sheet.y + PANEL / 2)
        style: dict[str, Any] = {"fontsize": SMALL, "color": MUTED, "ha": "center", "va": "center"}
        sheet.axes.text(*place, NO_COUNTERPART, **style)
        sheet.map(2, case)
        return
    sheet.image(1, case.counterpart)
    limit, values = sheet.scale.residual, np.asarray(case.residual, dtype=np.float64)
    sheet.picture(2, values, cmap=SIGNED, vmin=-limit, vmax=limit)


LONGEST_NAME = 64


@house_style()
def scored_image(
    pixels: NDArray[np.uint8],
    anomaly_map: NDArray[Any],
    scale: MapScale,
    name: str,
    words: str,
    note: str,
    captions: tuple[str, str],
) -> Figure:
    """Draw an image (H, W, 1 or 3) as the detector sees it beside the same image with its anomaly
    map (H, W) over it, and the scale of the map, the same for all pictures to be compared.

    The name is shortened at its beginning, where paths are alike. Below it stand `words`, below
    the pictures `note`, and above each of them its caption.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    low, high = scale.low, max(scale.high, scale.low + 1e-9)
    figure = Figure(figsize=(6.4, 3.9))
    for left, caption in zip((0.015, 0.455), captions, strict=True):
        axis = figure.add_axes((left, 0.09, 0.42, 0.69))
        show_image(axis, pixels)
        axis.set_title(caption, fontsize=9, fontweight="normal", pad=3)
    strength = scale.strength(anomaly_map)
    style: dict[str, Any] = {"cmap": HEAT, "interpolation": "bilinear", "vmin": low, "vmax": high}
    axis.imshow(np.asarray(anomaly_map, np.float64), alpha=OPACITY * strength, **style)
    bar = figure.add_axes((0.895, 0.09, 0.02, 0.69))
    figure.colorbar(ScalarMappable(Normalize(low, high), HEAT), cax=bar).ax.tick_params(labelsize=8)
    printable = "".join(letter if letter.isprintable() else "?" for letter in name)
    if len(printable) > LONGEST_NAME:
        printable = "…" + printable[1 - LONGEST_NAME :]
    figure.text(0.015, 0.935, printable, fontsize=10, fontweight="bold", parse_math=False)
    figure.text(0.015, 0.875, words, fontsize=10, parse_math=False)
    figure.text(0.015, 0.025, note, fontsize=8, color=MUTED)
    return figure
