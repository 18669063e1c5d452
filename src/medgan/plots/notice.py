"""A picture that says why there is no picture."""

from __future__ import annotations

import textwrap

from matplotlib.figure import Figure

from medgan.plots.style import MUTED, house_style, panel

COLUMNS = 70


def notice(title: str, reason: str) -> Figure:
    """A title and a sentence."""
    with house_style():
        lines = textwrap.wrap(reason, COLUMNS)
        figure, axis = panel(6.0, 0.9 + 0.25 * len(lines))
        axis.set_axis_off()
        axis.set_title(title)
        axis.text(0, 1, "\n".join(lines), color=MUTED, va="top", transform=axis.transAxes)
    return figure
