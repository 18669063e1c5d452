import math

import numpy as np
import pytest
import torch

from medgan.evaluation.quality import quality_by_class, quality_report
from medgan.evaluation.results import require_finite_numbers
from medgan.metrics.perceptual import Unavailable

NO_LPIPS = Unavailable("lpips_squeeze", "not available: no weights")


def features(images):
    return images.flatten(1)[:, :6]


def images(n, seed, size=32):
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_every_figure_is_there_with_its_real_vs_real_or_a_reason():
    report = quality_report(images(12, 0), images(20, 1), images(10, 2), NO_LPIPS, features, seed=0)
    assert set(report) == {
        *(f"{metric}_{pairing}" for metric in ("psnr", "ms_gmsd", "lpips_squeeze") for pairing in ("random", "nearest")),
        "fid_domain",
    }
    assert report["lpips_squeeze_random"] == {"value": None, "reason": "not available: no weights"}
    assert (report["psnr_random"]["n"], report["psnr_random"]["n_real_vs_real"]) == (12, 10)
    assert report["psnr_nearest"]["value"] >= report["psnr_random"]["value"]
    assert report["ms_gmsd_nearest"]["value"] <= report["ms_gmsd_random"]["value"]
    assert report["fid_domain"]["n_real"] == 20
    require_finite_numbers(report, "quality")


def test_copies_of_real_images_stand_out_by_their_nearest_figures():
    real = images(16, 1)
    report = quality_report(real[:8].clone(), real, images(8, 2), NO_LPIPS, features, seed=0)
    assert report["psnr_nearest"]["value"] == pytest.approx(80)
    assert report["psnr_nearest"]["real_vs_real"] < 20
    assert report["ms_gmsd_nearest"]["value"] == pytest.approx(0, abs=1e-6)


def test_without_other_real_images_no_image_is_compared_with_itself():
    report = quality_report(images(8, 0), images(16, 1), None, NO_LPIPS, features, seed=0)
    assert report["psnr_nearest"]["real_vs_real"] < 20
    assert report["psnr_random"]["real_vs_real"] < 20
    assert report["fid_domain"]["real_vs_real"] > 0


def test_classes_are_paired_within_themselves():
    dark, bright = images(10, 0) * 0.01 - 0.9, images(10, 1) * 0.01 + 0.9
    labels = np.repeat([0, 1], 10)
    both = torch.cat([dark, bright])
    report = quality_by_class(
        both, labels, both.flip(0), labels[::-1], both, labels, ("normal", "viral", "unseen"), NO_LPIPS, features, seed=0
    )
    assert list(report) == ["overall", "normal", "viral"]
    assert report["normal"]["psnr_random"]["value"] > 30
    assert report["overall"]["psnr_random"]["n"] == 20
    expected = np.mean([report[name]["psnr_random"]["value"] for name in ("normal", "viral")])
    assert report["overall"]["psnr_random"]["value"] == pytest.approx(expected)


def test_a_class_without_real_images_is_null_with_a_reason():
    report = quality_report(images(4, 0), images(0, 1), None, NO_LPIPS, features, seed=0)
    assert {figure["value"] for figure in report.values()} == {None}
    assert all(figure["reason"] for figure in report.values())


def test_small_images_have_no_ms_gmsd_but_the_rest():
    report = quality_report(images(4, 0, 16), images(6, 1, 16), None, NO_LPIPS, features, seed=0)
    assert "17 pixels" in report["ms_gmsd_random"]["reason"]
    assert math.isfinite(report["psnr_random"]["value"])
