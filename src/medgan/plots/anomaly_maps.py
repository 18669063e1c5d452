"""Anomaly maps as a reader of films wants them: the image, what the detector holds it against, what
differs, and where.

All images of one detector share one scale, so a color means the same in every row. The overlay is
transparent where normal images are just as high, so that the film shows through. Layout is in
inches: the figures are as wide as a phone shows them legibly.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.plots.style import HEAT, INK, MUTED, PALETTE, house_style

SIGNED = "RdBu_r"
OUTLINE = "#39d0d8"
OPACITY = 0.8
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


@dataclass(frozen=True)
class Case:
    """One image and what a detector made of it."""

    heading: str
    """Cases that follow each other under the same heading stand below it together."""
    lines: Sequence[str]
    """What stands above the row."""
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
    """What colors mean, for all images of a detector."""

    low: float
    """Map values up to here are transparent in the overlay."""
    high: float
    """From here on the color is the last one."""
    residual: float = 1.0
    """The differences' colors run from minus this to this."""


class _Sheet:
    """A figure of one pair of axes in inches, filled from the top down."""

    def __init__(self, height: float) -> None:
        self.figure = Figure(figsize=(WIDTH, height))
        self.axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.axes.set_axis_off()
        self.height, self.y = height, 0.05

    def finished(self) -> Figure:
        """The figure; pictures have moved its limits."""
        self.axes.set(xlim=(0, WIDTH), ylim=(self.height, 0), aspect="auto")
        return self.figure

    def text(self, column: float, words: str, **style: Any) -> None:
        """A line of text below the present height; `column` counts panels."""
        settings: dict[str, Any] = {"fontsize": SMALL, "va": "baseline", "ha": "left", **style}
        self.axes.text(_left(column), self.y + ASCENT * settings["fontsize"], words, **settings)

    def picture(
        self, column: int, values: NDArray[Any], height: float = PANEL, **style: Any
    ) -> None:
        """Pixels or values whose top is at the present height."""
        place = (_left(column), _left(column) + PANEL, self.y + height, self.y)
        self.axes.imshow(values, extent=place, interpolation="nearest", **style)

    def outline(self, column: int, mask: NDArray[np.bool_] | None) -> None:
        """The border of a mask on the panel at the present height."""
        if mask is None or not mask.any() or mask.all():
            return
        rows, columns = ((np.arange(side) + 0.5) / side * PANEL for side in mask.shape)
        place = (_left(column) + columns, self.y + rows)
        self.axes.contour(
            *place, mask.astype(np.float64), levels=[0.5], colors=[OUTLINE], linewidths=1.1
        )


def _left(column: float) -> float:
    return MARGIN + column * (PANEL + GAP)


def case_rows(
    cases: Sequence[Case],
    scale: MapScale,
    *,
    title: str,
    counterpart: str = "",
    notes: Sequence[str] = (),
) -> Figure:
    """A row for each image: the image, its counterpart, the signed difference, and the map over the
    image.

    Without a counterpart the third panel is the map itself. Masks are outlined on the first and the
    last panel.

    Args:
        cases: in the order of the rows.
        scale: of all maps and differences.
        title: above all.
        counterpart: what the counterpart is; empty for a detector that compares with no image.
        notes: sentences below all.

    Raises:
        UserError: there is no image.
    """
    _require(cases)
    wrapped, groups = _wrapped(notes), _grouped(cases)
    rows = sum(PITCH + len(case.lines) * LINE for case in cases)
    columns = (
        "image",
        counterpart or NO_COUNTERPART,
        "difference" if counterpart else "map",
        "map on image",
    )
    with house_style():
        sheet = _Sheet(HEADER + len(groups) * HEADING + rows + len(wrapped) * LINE + FOOTER)
        _header(sheet, title, scale, columns, signed=bool(counterpart))
        for heading, members in groups:
            _heading(sheet, heading)
            for case in members:
                _row(sheet, case, scale)
        _footer(sheet, wrapped)
    return sheet.finished()


def case_pairs(
    cases: Sequence[Case], scale: MapScale, *, title: str, notes: Sequence[str] = ()
) -> Figure:
    """Two images a row, each beside the same image with its map over it; for many images at a
    glance.

    Raises:
        UserError: there is no image.
    """
    _require(cases)
    wrapped, groups = _wrapped(notes), _grouped(cases)
    lines = max(len(case.lines) for case in cases)
    pairs = sum(-(-len(members) // 2) for _, members in groups)
    with house_style():
        sheet = _Sheet(
            HEADER
            + len(groups) * HEADING
            + pairs * (PITCH + lines * LINE)
            + len(wrapped) * LINE
            + FOOTER
        )
        _header(
            sheet, title, scale, ("image", "map on image", "image", "map on image"), signed=False
        )
        for heading, members in groups:
            _heading(sheet, heading)
            for start in range(0, len(members), 2):
                _pair(sheet, members[start : start + 2], scale, lines)
        _footer(sheet, wrapped)
    return sheet.finished()


def no_cases(title: str, words: str) -> Figure:
    """A figure that says why there is nothing to show."""
    with house_style():
        sheet = _Sheet(0.6)
        sheet.text(0, title, fontsize=10, fontweight="bold")
        sheet.y += 0.26
        sheet.text(0, words, color=MUTED)
    return sheet.finished()


def _require(cases: Sequence[Case]) -> None:
    if not cases:
        raise UserError("There is no image to show a heat map of: the test split is empty.")


def _grouped(cases: Sequence[Case]) -> list[tuple[str, list[Case]]]:
    return [
        (heading, list(members)) for heading, members in groupby(cases, lambda case: case.heading)
    ]


def _wrapped(notes: Sequence[str]) -> list[str]:
    return [line for note in notes for line in textwrap.wrap(note, CHARACTERS)]


def _header(
    sheet: _Sheet, title: str, scale: MapScale, columns: Sequence[str], *, signed: bool
) -> None:
    """Title, names of the columns, and below them the colors."""
    sheet.text(0, title, fontsize=10, fontweight="bold")
    sheet.y += 0.24
    for column, name in enumerate(columns):
        _lines(sheet, column, textwrap.wrap(name, COLUMN_CHARACTERS), fontweight="bold", color=INK)
    sheet.y += LINE + 0.05
    if signed:
        _bar(sheet, 2, SIGNED, ("darker", "brighter"))
    _bar(sheet, 3, HEAT, (f"{scale.low:.3g}", f"≥ {scale.high:.3g}"))
    sheet.y = HEADER - FOOTER


def _bar(sheet: _Sheet, column: int, colors: str, ends: tuple[str, str]) -> None:
    """The colors from left to right, and what stands at either end."""
    sheet.picture(column, np.linspace(0, 1, 128)[None], height=0.08, cmap=colors, vmin=0, vmax=1)
    top = sheet.y
    sheet.y += 0.1
    sheet.text(column, ends[0], fontsize=7)
    sheet.text(column + PANEL / (PANEL + GAP), ends[1], fontsize=7, ha="right")
    sheet.y = top


def _heading(sheet: _Sheet, words: str) -> None:
    sheet.y += 0.04
    sheet.text(0, words, fontsize=9, fontweight="bold", color=PALETTE[0])
    sheet.y += HEADING - 0.04


def _lines(sheet: _Sheet, column: int, lines: Sequence[str], **style: Any) -> None:
    """Lines from the present height down, which stays."""
    before = sheet.y
    for number, line in enumerate(lines):
        sheet.text(column, line, **{"color": MUTED if number else INK, **style})
        sheet.y += LINE
    sheet.y = before


def _row(sheet: _Sheet, case: Case, scale: MapScale) -> None:
    _lines(sheet, 0, case.lines)
    sheet.y += len(case.lines) * LINE
    _film(sheet, 0, case.image)
    sheet.outline(0, case.mask)
    if case.counterpart is None or case.residual is None:
        sheet.axes.text(
            _left(1.45),
            sheet.y + PANEL / 2,
            NO_COUNTERPART,
            fontsize=SMALL,
            color=MUTED,
            ha="center",
            va="center",
        )
        sheet.picture(2, _numbers(case.anomaly_map), cmap=HEAT, vmin=scale.low, vmax=scale.high)
    else:
        _film(sheet, 1, case.counterpart)
        sheet.picture(
            2, _numbers(case.residual), cmap=SIGNED, vmin=-scale.residual, vmax=scale.residual
        )
    _overlay(sheet, 3, case, scale)
    sheet.y += PITCH


def _pair(sheet: _Sheet, cases: Sequence[Case], scale: MapScale, lines: int) -> None:
    for column, case in zip((0, 2), cases, strict=False):
        _lines(sheet, column, case.lines)
    sheet.y += lines * LINE
    for column, case in zip((0, 2), cases, strict=False):
        _film(sheet, column, case.image)
        sheet.outline(column, case.mask)
        _overlay(sheet, column + 1, case, scale)
    sheet.y += PITCH


def _film(sheet: _Sheet, column: int, image: NDArray[np.uint8]) -> None:
    grey = image.shape[-1] == 1
    sheet.picture(
        column, image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=255
    )


def _overlay(sheet: _Sheet, column: int, case: Case, scale: MapScale) -> None:
    """The map over the image: the higher a value, the less of the image shows through."""
    _film(sheet, column, case.image)
    values = _numbers(case.anomaly_map)
    strength = np.clip((values - scale.low) / max(scale.high - scale.low, 1e-12), 0, 1)
    sheet.picture(
        column, values, cmap=HEAT, vmin=scale.low, vmax=scale.high, alpha=OPACITY * strength
    )
    sheet.outline(column, case.mask)


def _numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _footer(sheet: _Sheet, lines: Sequence[str]) -> None:
    sheet.y += 0.04
    for line in lines:
        sheet.text(0, line, color=MUTED)
        sheet.y += LINE
