import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from medgan.errors import UserError
from medgan.plots.detectors import confusion_matrix, pr_curves, roc_curves, score_histograms
from medgan.plots.forest import differences, forest
from medgan.plots.grids import image_grid
from medgan.plots.training import training_curves

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 80)
SCORES = np.round(RNG.normal(LABELS, 1), 1)
PIXELS = RNG.integers(0, 255, (5, 16, 16), dtype=np.uint8)


def drawn(figure: Figure) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=50)
    return Image.open(buffer)


def legend_of(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_the_legends_carry_the_areas_and_the_best_comes_first():
    ranked = {"bad_one": (LABELS, -SCORES), "good_one": (LABELS, SCORES)}
    area, precision = roc_auc_score(LABELS, SCORES), average_precision_score(LABELS, SCORES)
    assert legend_of(roc_curves(ranked))[1:] == [
        f"good one ({area:.3f})",
        f"bad one ({1 - area:.3f})",
    ]
    assert legend_of(pr_curves(ranked))[1] == f"good one ({precision:.3f})"


def test_a_single_class_has_no_curve_and_no_crash():
    ranked = {"one": (np.ones(5), np.arange(5.0))}
    assert legend_of(roc_curves(ranked)) == ["chance (0.500)"]
    assert drawn(pr_curves(ranked)).size[0] > 0


def test_the_confusion_matrix_shows_counts_and_shares():
    texts = [
        text.get_text()
        for text in confusion_matrix([[30, 10], [0, 0]], ("normal", "anomalous"), "a").axes[0].texts
    ]
    assert texts == ["30\n75%", "10\n25%", "0\n0%", "0\n0%"]


@pytest.mark.parametrize("shape", [(5, 16, 16), (5, 16, 16, 1), (5, 16, 16, 3)])
def test_grids_take_grey_and_color(shape):
    pixels = np.broadcast_to(PIXELS.reshape(5, 16, 16, *(1,) * (len(shape) - 3)), shape)
    assert len([axis for axis in image_grid(pixels, ["a"] * 5, columns=3).axes if axis.images]) == 5


def test_nothing_to_show_is_refused():
    with pytest.raises(UserError):
        image_grid(PIXELS[:0])


def test_the_forest_puts_the_best_on_top_and_says_why_one_is_missing():
    figure = forest(
        {
            "a": {"value": 0.7, "low": 0.6, "high": 0.8},
            "b_b": {"value": 0.9, "low": 0.85, "high": 0.95},
            "c": {"value": None, "reason": "no anomalies"},
        }
    )
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["c", "a", "b b"]
    assert "no anomalies" in [text.get_text() for text in figure.axes[0].texts]


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


def test_histograms_name_each_category_with_its_number():
    labels = legend_of(
        score_histograms(SCORES, np.where(LABELS == 1, "viral", "normal"), 0.5, "dcgan")
    )
    assert f"normal (n = {(LABELS == 0).sum()})" in labels
    assert any("threshold" in text for text in labels)
    drawn(score_histograms(np.ones(4), np.array(["normal"] * 4)))


def test_figures_leave_the_callers_style_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    roc_curves({"a": (LABELS, SCORES)})
    assert dict(matplotlib.rcParams) == before


def test_differences_show_value_corrected_p_and_what_was_not_tested():
    tests = {
        "gan": {
            "against": "autoencoder",
            "difference": {"value": -0.2, "low": -0.3, "high": -0.1},
            "p_holm": 0.0001,
            "verdict": "worse than",
        },
        "new": {
            "against": "autoencoder",
            "difference": {"value": 0.05, "low": -0.1, "high": 0.2},
            "p_holm": 0.4,
            "verdict": "no difference",
        },
        "autoencoder": {
            "against": "autoencoder",
            "difference": {"value": None, "reason": "it is the baseline"},
            "verdict": "no test",
        },
    }
    figure = differences(tests, "AUROC")
    axis = figure.axes[0]
    words = {text.get_text() for text in axis.texts}
    assert {"-0.200, p < 0.001", "+0.050, p = 0.400", "it is the baseline"} <= words
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "autoencoder",
        "gan\nagainst autoencoder",
        "new\nagainst autoencoder",
    ]
    assert axis.get_xlim()[0] < -0.3 < 0.2 < axis.get_xlim()[1]
    filled = {
        line.get_xdata()[0]: line.get_markerfacecolor()
        for line in axis.lines
        if line.get_marker() == "o"
    }
    assert filled[0.05] == "white" != filled[-0.2]
    assert drawn(figure).width > 100
