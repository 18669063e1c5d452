"""Training curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from medgan.models import display_name
from medgan.plots.style import PALETTE, house_style, new_figure
from medgan.words import readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOT_TERMS = ("step", "stage", "images_per_second", "seconds", "time")
SMOOTHED_OVER = 0.02
"""Share of the training that the thick line averages over."""


@house_style()
def training_curves(curves: pd.DataFrame, title: str = "") -> Figure:
    """Draw a panel for each player: its losses (thin) and their running means (thick) by step.

    `curves` has a column `step`, and one for each term, named `player/term` or `term`; NaN where a
    term was not computed.
    """
    panels: dict[str, list[str]] = {}
    for name in curves.select_dtypes("number"):
        if name not in NOT_TERMS:
            panels.setdefault(str(name).rpartition("/")[0] or "loss", []).append(str(name))
    figure = new_figure(7.0, 0.6 + 2.3 * max(1, len(panels)), display_name(title))
    axes = figure.subplots(max(1, len(panels)), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (player, names) in zip(axes, panels.items(), strict=False):
        _draw(axis, curves, names)
        axis.set_title(readable(player))
    axes[-1].set_xlabel("step")
    return figure


def _draw(axis: Axes, curves: pd.DataFrame, names: Sequence[str]) -> None:
    for index, name in enumerate(names):
        known = curves[["step", name]].dropna().replace([np.inf, -np.inf], np.nan)
        color = PALETTE[index % len(PALETTE)]
        mean = known[name].rolling(max(1, int(len(known) * SMOOTHED_OVER)), min_periods=1).mean()
        label = readable(name.split("/")[-1])
        axis.plot(known["step"], known[name], color=color, linewidth=0.7, alpha=0.35)
        axis.plot(known["step"], mean, color=color, linewidth=1.6, label=label)
    axis.legend(loc="upper right", ncols=min(4, max(1, len(names))))
