import math

import pytest
import torch

from medgan.errors import UserError
from medgan.metrics.pairs import MS_GMSD, PSNR, ms_gmsd, paired_quality, psnr


def images(n=6, seed=0, channels=1, size=32):
    return (
        torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    )


def test_psnr_by_hand():
    black, grey = -torch.ones(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    assert psnr(black, grey).item() == pytest.approx(10 * math.log10(1 / 0.25))
    assert psnr(black, black).item() == pytest.approx(80)


def test_psnr_equals_piq():
    from piq import psnr as reference

    first, second = images(4, 0, 3), images(4, 1, 3)
    expected = reference((first + 1) / 2, (second + 1) / 2, data_range=1.0, reduction="none")
    assert psnr(first, second).float() == pytest.approx(expected, abs=1e-4)


def gmsd_scale(first, second):
    """One scale by the formula, on grey images in [0, 255]; alpha 0.5 and t 170 are those of
    MS-GMSD.
    """
    prewitt = torch.tensor([[1.0, 0, -1], [1, 0, -1], [1, 0, -1]], dtype=first.dtype) / 3
    kernels = torch.stack([prewitt, prewitt.T])[:, None]

    def gradient(x):
        return (
            torch.nn.functional.conv2d(x, kernels, padding=1).square().sum(1, keepdim=True).sqrt()
        )

    a, b = gradient(first), gradient(second)
    similarity = (1.5 * a * b + 170) / (a**2 + b**2 - 0.5 * a * b + 170)
    return similarity.flatten(1).var(1, unbiased=False)


def test_ms_gmsd_is_the_formula_on_four_scales():
    first, second = images(3, 0).double(), images(3, 1).double()
    a, b = (first + 1) / 2 * 255, (second + 1) / 2 * 255
    total = torch.zeros(3, dtype=torch.float64)
    for weight in (0.096, 0.596, 0.289, 0.019):
        total += weight * gmsd_scale(a, b)
        a, b = torch.nn.functional.avg_pool2d(a, 2), torch.nn.functional.avg_pool2d(b, 2)
    assert ms_gmsd(first, second).double() == pytest.approx(total.sqrt(), abs=1e-4)


def test_ms_gmsd_is_0_for_equal_images_and_symmetric():
    first, second = images(3, 0), images(3, 1)
    assert ms_gmsd(first, first) == pytest.approx(torch.zeros(3), abs=1e-6)
    assert ms_gmsd(first, second) == pytest.approx(ms_gmsd(second, first), abs=1e-6)
    with pytest.raises(UserError, match="17 pixels"):
        ms_gmsd(images(1, size=16), images(1, size=16))


@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 32), (1, 43)])
def test_ms_gmsd_of_all_pairs_is_that_of_each_pair(channels, size):
    first, second = images(3, 0, channels, size), images(4, 1, channels, size)
    each = [ms_gmsd(one.expand(4, -1, -1, -1), second) for one in first.split(1)]
    assert MS_GMSD.distances(first, second) == pytest.approx(torch.stack(each), abs=1e-6)


@pytest.mark.parametrize("metric", [PSNR, MS_GMSD])
def test_nearest_finds_the_planted_original(metric):
    real = images(7, 3)
    order = torch.tensor([4, 0, 6])
    noisy = (
        real[order] + 0.02 * torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    ).clamp(-1, 1)
    assert metric.distances(noisy, real).argmin(1).tolist() == order.tolist()
    found = paired_quality(noisy, real, metric, "nearest", torch.Generator())
    assert found == pytest.approx(metric.pairs(noisy, real[order]))


@pytest.mark.parametrize("pairing", ["random", "nearest"])
def test_no_image_is_its_own_pair(pairing):
    real = images(9, 2)
    for seed in range(5):
        assert (
            paired_quality(
                real, real, PSNR, pairing, torch.Generator().manual_seed(seed), same_set=True
            ).max()
            < 20
        )


def test_random_pairs_use_every_real_image_and_follow_the_seed():
    real = images(5, 2)
    seen = paired_quality(real, real, PSNR, "random", torch.Generator().manual_seed(1))
    again = paired_quality(real, real, PSNR, "random", torch.Generator().manual_seed(1))
    assert torch.equal(seen, again)
    assert len(paired_quality(images(12, 3), real, PSNR, "random", torch.Generator())) == 12


def test_no_pairs_are_refused():
    with pytest.raises(UserError, match="no pairs"):
        paired_quality(images(0), images(3), PSNR, "random", torch.Generator())
    with pytest.raises(UserError, match="no pairs"):
        paired_quality(images(1), images(1), PSNR, "nearest", torch.Generator(), same_set=True)
