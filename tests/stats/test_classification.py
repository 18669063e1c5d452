from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from medgan.stats.classification import GRID, roc_band

RNG = np.random.default_rng(0)
LABELS = (np.arange(200) % 2).astype(int)
SCORES = LABELS + RNG.normal(size=200)
PATIENTS = np.arange(200) // 4


def test_the_curve_is_scikit_learns() -> None:
    false, true, _ = roc_curve(LABELS, SCORES, drop_intermediate=False)
    # Where the curve rises straight up a grid of rates cannot follow, so areas are compared.
    value, low, high = roc_band(LABELS, SCORES, PATIENTS, 50)
    assert np.trapezoid(value, GRID) == pytest.approx(np.trapezoid(true, false), abs=0.01)
    assert (low <= value + 1e-9).mean() > 0.95
    assert (high >= value - 1e-9).mean() > 0.95


def test_copies_of_a_patients_image_do_not_narrow_the_band() -> None:
    labels, scores, patients = (
        np.repeat(column, 9) for column in (LABELS[:60], SCORES[:60], np.arange(60))
    )
    of_patients, of_images = (
        roc_band(labels, scores, groups, 100) for groups in (patients, np.arange(len(labels)))
    )
    widths = [float(np.mean(high - low)) for _, low, high in (of_patients, of_images)]
    assert widths[0] > 2 * widths[1] > 0


def test_curves_of_several_trainings_are_averaged() -> None:
    backwards = np.stack([SCORES, -SCORES])
    value, _, _ = roc_band(LABELS, backwards, PATIENTS, 20)
    one, other = (roc_band(LABELS, scores, PATIENTS, 20)[0] for scores in backwards)
    assert value == pytest.approx((one + other) / 2)
