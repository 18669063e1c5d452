"""Training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medgan.plots.style import PALETTE, house_style, readable

NOT_TERMS = ("step", "stage", "images_per_second", "seconds", "time")
SMOOTHED_OVER = 0.02
"""Share of the training that the thick line averages over."""


def training_curves(curves: pd.DataFrame, title: str = "") -> Figure:
    """Each player's losses against the step, a panel each: what was measured, thin, and its running
    mean, thick.

    Args:
        curves: a column `step`, and one column for each term, named `player/term` or `term`; NaN
            where a term was not computed.
        title: above the panels.
    """
    panels = _panels(
        [
            str(name)
            for name in curves.columns
            if name not in NOT_TERMS and pd.api.types.is_numeric_dtype(curves[name])
        ]
    )
    with house_style():
        figure = Figure(figsize=(7.0, 0.6 + 2.3 * max(1, len(panels))), layout="constrained")
        axes = figure.subplots(max(1, len(panels)), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (player, names) in zip(axes, panels.items(), strict=False):
            _draw(axis, curves, names)
            axis.set_title(readable(player))
        axes[-1].set_xlabel("step")
        figure.suptitle(readable(title), x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure


def _panels(names: Sequence[str]) -> Mapping[str, list[str]]:
    """Terms by player."""
    players: dict[str, list[str]] = {}
    for name in names:
        player, slash, _ = name.rpartition("/")
        players.setdefault(player if slash else "loss", []).append(name)
    return players


def _draw(axis: Axes, curves: pd.DataFrame, names: Sequence[str]) -> None:
    for index, name in enumerate(names):
        known = curves[["step", name]].dropna().replace([np.inf, -np.inf], np.nan)
        color = PALETTE[index % len(PALETTE)]
        window = max(1, int(len(known) * SMOOTHED_OVER))
        axis.plot(known["step"], known[name], color=color, linewidth=0.7, alpha=0.35)
        axis.plot(
            known["step"],
            known[name].rolling(window, min_periods=1).mean(),
            color=color,
            linewidth=1.6,
            label=readable(name.split("/")[-1]),
        )
    axis.legend(loc="upper right", ncols=min(4, max(1, len(names))))
