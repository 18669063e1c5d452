import math

import numpy as np
import pytest
import torch

from medgan.evaluation.reading import require_finite_numbers, require_reasons
from medgan.evaluation.real_images import (
    LabelledFeatures,
    LabelledImages,
    Networks,
    QualitySettings,
    describe_real,
)
from medgan.evaluation.spaces import FeatureSpace
from medgan.evaluation.synthesis import quality_by_class
from medgan.files.documents import to_json
from medgan.metrics.lpips import Unavailable
from medgan.metrics.precision_recall import Neighbours
from medgan.metrics.quality import QualityMetric

SETTINGS = QualitySettings()
NO_LPIPS = Unavailable("lpips_squeeze", "not available: no weights")
DOMAIN = {
    f"{name}_domain"
    for name in ("fid", "kid", "precision", "recall", "density", "coverage", "copied_share")
}


def features(images):
    return images.flatten(1)[:, :6]


def images(n, seed, size=32):
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def of_one_class(images):
    return LabelledImages(images, np.zeros(len(images), int))


def judged(synthetic, real, classes, network=features, settings=SETTINGS, training=None):
    networks = Networks(NO_LPIPS, [FeatureSpace("domain", "network", "", network)])
    described = describe_real(real, networks, settings, training)
    return quality_by_class(synthetic, described, classes, networks, settings)


def report_of(synthetic, real, **more):
    sets = of_one_class(synthetic), of_one_class(real)
    return judged(*sets, ("normal",), features, **more).of("normal")


def test_every_figure_is_there_with_its_real_vs_real_or_a_reason():
    report = report_of(images(12, 0), images(20, 1))
    assert set(report) == {
        *(
            f"{metric}_{pairing}"
            for metric in ("psnr", "ms_gmsd", "lpips_squeeze")
            for pairing in ("random", "nearest")
        ),
        "ms_ssim",
        *DOMAIN,
    }
    assert report["lpips_squeeze_random"] == QualityMetric(
        value=None, reason="not available: no weights"
    )
    assert (report["psnr_random"].n, report["psnr_random"].n_real_vs_real) == (12, 20)
    assert report["psnr_nearest"].value >= report["psnr_random"].value
    assert report["ms_gmsd_nearest"].value <= report["ms_gmsd_random"].value
    assert (
        report["fid_domain"].n_real,
        report["kid_domain"].n,
        report["coverage_domain"].n,
    ) == (10, 12, 10)
    assert all(
        {"value", "n", "n_real", "real_vs_real"} <= set(to_json(report[key]))
        for key in DOMAIN - {"copied_share_domain"}
    )
    assert "training images were not given" in report["copied_share_domain"].reason
    require_finite_numbers(to_json(report), "quality")
    require_reasons(to_json(report), "quality")


def test_copies_of_real_images_stand_out_by_their_nearest_figures():
    real = images(16, 1)
    report = report_of(real[:8].clone(), real)
    assert report["psnr_nearest"].value == pytest.approx(80)
    assert report["psnr_nearest"].real_vs_real < 20
    assert report["psnr_random"].real_vs_real < 20
    assert report["ms_gmsd_nearest"].value == pytest.approx(0, abs=1e-6)
    assert report["fid_domain"].real_vs_real > 0


def test_copies_of_training_images_stand_out_by_their_share():
    training = images(300, 5)
    described = LabelledFeatures(features(training).numpy(), np.zeros(300, int))
    fresh, copied = (
        report_of(made, images(150, 1), training=described)
        for made in (images(100, 7), training[:100])
    )
    assert copied["copied_share_domain"].value == 1
    assert fresh["copied_share_domain"].value < 0.1


def test_each_image_passes_the_feature_network_once():
    seen = []

    def counting(batch):
        seen.append(len(batch))
        return features(batch)

    labels = np.repeat([0, 1], 150)
    both = LabelledImages(images(300, 0), labels), LabelledImages(images(300, 1), labels)
    report = judged(*both, ("normal", "viral"), counting, QualitySettings(max_images=4))
    assert list(report.by_class) == ["normal", "viral"]
    assert sum(seen) == 600
    assert (report.overall["kid_domain"].n, report.of("viral")["kid_domain"].n) == (300, 150)


def test_classes_are_paired_within_themselves():
    dark, bright = images(14, 0) * 0.01 - 0.9, images(14, 1) * 0.01 + 0.9
    labels = np.repeat([0, 1], 14)
    both = torch.cat([dark, bright])
    report = judged(
        LabelledImages(both, labels),
        LabelledImages(both.flip(0), labels[::-1]),
        ("normal", "viral", "unseen"),
        features,
        QualitySettings(),
    )
    assert list(report.by_class) == ["normal", "viral"]
    assert report.of("normal")["psnr_random"].value > 30
    assert report.of("normal")["precision_domain"].value > 0.5
    assert report.overall["psnr_random"].n == 28
    expected = np.mean([report.of(name)["psnr_random"].value for name in ("normal", "viral")])
    assert report.overall["psnr_random"].value == pytest.approx(expected)


def test_with_one_class_overall_is_that_class():
    report = judged(
        of_one_class(images(12, 0)),
        of_one_class(images(20, 1)),
        ("normal", "viral"),
        features,
        QualitySettings(),
    )
    assert report.overall == report.of("normal")


def test_patients_and_neighbours_reach_the_figures():
    patients = np.repeat(np.arange(4), [9, 5, 3, 3])
    real = LabelledImages(images(20, 1), np.zeros(20, int), patients)
    found = judged(
        of_one_class(images(12, 0)),
        real,
        ("normal",),
        features,
        QualitySettings(neighbours=Neighbours(1, 2)),
    ).of("normal")
    assert found["fid_domain"].n < 10, "halves are of whole patients"
    assert (found["recall_domain"].k, found["density_domain"].k) == (1, 2)


def test_a_class_without_real_images_is_null_with_a_reason():
    report = report_of(images(4, 0), images(0, 1))
    assert {figure.value for figure in report.values()} == {None}
    assert all(figure.reason for figure in report.values())


def test_a_feature_that_is_not_finite_is_a_reason_and_not_a_crash(monkeypatch):
    monkeypatch.setitem(globals(), "features", lambda batch: batch.flatten(1)[:, :6] * torch.inf)
    report = report_of(images(12, 0), images(20, 1))
    assert all(
        "not a finite number" in report[key].reason for key in DOMAIN - {"copied_share_domain"}
    )
    assert math.isfinite(report["psnr_random"].value)


def test_without_a_feature_network_its_figures_say_why():
    missing = Unavailable("domain", "the network is not trained")
    report = judged(
        of_one_class(images(12, 0)),
        of_one_class(images(20, 1)),
        ("normal",),
        missing,
        QualitySettings(),
    )
    assert {report.overall[key].reason for key in DOMAIN} == {"the network is not trained"}


def test_small_images_have_no_ms_gmsd_but_the_rest():
    report = report_of(images(4, 0, 16), images(6, 1, 16))
    assert "17 pixels" in report["ms_gmsd_random"].reason
    assert math.isfinite(report["psnr_random"].value)
