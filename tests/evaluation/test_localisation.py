"""Pixel-level metrics against scikit-learn, a brute-force PRO, and images that are resampled one by
one.
"""

import numpy as np
import pytest
from scipy import ndimage
from scipy.integrate import trapezoid
from sklearn.metrics import average_precision_score, roc_auc_score

from medgan.evaluation.details import PixelThreshold
from medgan.evaluation.localisation import (
    BINS,
    MarkedImages,
    bin_edges,
    dice,
    freeze_pixel_threshold,
    localisation_metrics,
    pixel_auroc,
    pixel_average_precision,
    pixel_counts,
    pro_area,
)

RNG = np.random.default_rng(0)
ONES = np.ones((1, 12))
CUT = PixelThreshold("a test", 0.5, labels_used="none")


def planted(n=12, side=20, strength=0.8, decimals=2):
    """Half of the images have two regions of different size; maps rise inside of them."""
    masks = np.zeros((n, side, side), dtype=bool)
    masks[::2, 2:6, 3:5] = True
    masks[::2, 10:18, 9:18] = True
    return np.round(RNG.normal(masks * strength, 1.0), decimals), masks


def brute_force_pro(maps, masks, limit=0.3):
    """One threshold after the other, one region after the other."""
    curve = [(0.0, 0.0)]
    for threshold in np.unique(maps)[::-1]:
        called = maps >= threshold
        overlaps = []
        for index, mask in enumerate(masks):
            labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
            overlaps += [called[index][labels == region].mean() for region in range(1, count + 1)]
        curve.append((called[~masks].mean(), float(np.mean(overlaps))))
    false, overlap = np.array(curve).T
    grid = np.unique(np.concatenate([false[false < limit], [limit]]))
    # np.interp takes the last of equal places; the curve rises straight up there, which has no
    # area.
    return trapezoid(np.interp(grid, false, overlap), grid) / limit


def test_areas_are_scikit_learns():
    maps, masks = planted()
    counts = pixel_counts(maps, masks, bin_edges(maps, masks))
    assert pixel_auroc(counts, ONES)[0] == pytest.approx(
        roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12
    )
    assert pixel_average_precision(counts, ONES)[0] == pytest.approx(
        average_precision_score(masks.ravel(), maps.ravel()), abs=1e-12
    )


def test_bins_of_equal_mass_stay_within_what_is_promised():
    maps, masks = planted(n=12, side=64, decimals=8)
    edges = bin_edges(maps, masks)
    assert BINS < len(edges) <= 2 * BINS < len(np.unique(maps))
    counts = pixel_counts(maps, masks, edges)
    assert abs(pixel_auroc(counts, ONES)[0] - roc_auc_score(masks.ravel(), maps.ravel())) < 1 / BINS


@pytest.mark.parametrize("share", [0.05, 0.01, 0.001, 0.0005])
@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_average_precision_of_small_lesions_is_scikit_learns(share, strength):
    rng = np.random.default_rng(1)
    masks = rng.random((20, 128, 128)) < share
    maps = rng.normal(masks * strength, 1.0)
    counts = pixel_counts(maps, masks, bin_edges(maps, masks))
    exact = average_precision_score(masks.ravel(), maps.ravel())
    assert abs(pixel_average_precision(counts, np.ones((1, 20)))[0] - exact) < 0.002


@pytest.mark.parametrize("strength", [0.0, 0.8, 3.0])
def test_pro_is_the_brute_force_one(strength):
    maps, masks = planted(strength=strength, decimals=1)
    counts = pixel_counts(maps, masks, bin_edges(maps, masks))
    assert pro_area(counts, ONES)[0] == pytest.approx(brute_force_pro(maps, masks), abs=1e-3)


def test_pro_counts_regions_not_pixels():
    """The small region alone is found: half of the regions, a tenth of the pixels."""
    _, masks = planted()
    found = np.zeros_like(masks)
    found[::2, 2:6, 3:5] = True
    counts = pixel_counts(found.astype(float), masks, np.array([0.0, 1.0]))
    assert pro_area(counts, ONES)[0] == pytest.approx(0.5 + 0.5 * 0.15, abs=1e-9)
    perfect = pixel_counts(masks.astype(float), masks, np.array([0.0, 1.0]))
    assert pro_area(perfect, ONES)[0] == pytest.approx(1.0)


def test_regions_that_touch_at_a_corner_are_one():
    mask = np.zeros((1, 6, 6), dtype=bool)
    mask[0, 1, 1] = mask[0, 2, 2] = True
    assert pixel_counts(mask.astype(float), mask, np.array([0.0, 1.0])).regions.tolist() == [1]


def test_a_resample_is_the_figure_of_the_images_drawn():
    maps, masks = planted()
    counts = pixel_counts(maps, masks, bin_edges(maps, masks))
    drawn = RNG.integers(0, 12, 12)
    weights = np.bincount(drawn, minlength=12).astype(float)[None]
    chosen = pixel_counts(maps[drawn], masks[drawn], bin_edges(maps, masks))
    for figure in (pixel_auroc, pixel_average_precision, pro_area):
        assert figure(counts, weights)[0] == pytest.approx(figure(chosen, ONES)[0], abs=1e-12)


def test_dice_and_its_frozen_cut():
    maps, masks = planted(strength=3.0)
    marked, normal = np.ones(12, dtype=bool), ~masks.any((1, 2))
    cut = freeze_pixel_threshold(maps, masks, marked, normal)
    assert cut.labels_used == "threshold"
    means = [np.nanmean(dice(maps, masks, value)) for value in np.unique(maps)]
    assert np.nanmean(dice(maps, masks, cut.value)) == pytest.approx(max(means))
    blind = freeze_pixel_threshold(maps, masks, normal, normal)
    assert blind.labels_used == "none"
    assert blind.value == pytest.approx(np.quantile(maps[normal], 0.99))
    assert np.isnan(dice(maps, masks, cut.value)[normal]).all()


def metrics_of(maps, masks):
    groups = np.arange(len(maps)).astype(str)
    return localisation_metrics(maps, MarkedImages(masks, groups, CUT, 100))


def test_intervals_hold_their_figures_and_patients_widen_them():
    maps, masks = planted(n=60, side=12)
    images, patients = np.arange(60).astype(str), (np.arange(60) // 10).astype(str)
    by_image, by_patient = (
        localisation_metrics(maps, MarkedImages(masks, groups, CUT, 300))
        for groups in (images, patients)
    )
    for name, figure in by_image.items():
        assert figure.low <= figure.value <= figure.high, name
        assert figure.value == by_patient[name].value


def test_a_whole_image_that_is_brighter_is_no_place():
    """All pixels of anomalous images raised by the same amount: many think they see where, the
    figure within anomalous images does not.
    """
    masks = planted()[1]
    maps = RNG.normal(0, 1, masks.shape) + 5 * masks.any((1, 2))[:, None, None]
    found = metrics_of(maps, masks)
    assert found["pixel_auroc"].value > 0.75
    assert abs(found["pixel_auroc_anomalous"].value - 0.5) < 0.05


def test_what_cannot_be_had_says_why():
    maps = RNG.normal(0, 1, (4, 8, 8))
    found = metrics_of(maps, np.zeros((4, 8, 8), dtype=bool))
    assert {figure.value for figure in found.values()} == {None}
    assert all("no test image has a marked anomaly" in figure.reason for figure in found.values())
