import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from medgan.plots.detectors import confusion_matrix, pr_curves, roc_curves, score_histograms

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
