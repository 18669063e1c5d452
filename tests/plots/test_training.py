import numpy as np
import pandas as pd

from medgan.plots.training import training_curves
from tests.plots.test_detectors import drawn


def test_each_player_has_a_panel_and_gaps_are_left_out():
    curves = pd.DataFrame(
        {
            "step": range(20),
            "stage": "adversarial",
            "discriminator/adversarial": np.linspace(1, 0, 20),
            "generator/adversarial": [np.nan] * 19 + [1.0],
        }
    )
    figure = training_curves(curves, "dcgan")
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["discriminator", "generator"]
    drawn(figure)
    drawn(training_curves(pd.DataFrame({"step": []}), "empty"))
