import numpy as np
import pytest
import torch

from medgan.errors import UserError
from medgan.metrics.diversity import PAIRS, scales, similarities


def noise(n, side=32, channels=1):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize(
    ("side", "expected"), [(10, 0), (11, 1), (28, 2), (64, 3), (128, 4), (161, 5), (224, 5)]
)
def test_the_scales_that_fit(side, expected):
    assert scales(side) == expected


def test_one_image_again_and_again_is_1_and_noise_is_near_0():
    one = noise(1).repeat(20, 1, 1, 1)
    assert similarities(one).numpy() == pytest.approx(1, abs=1e-4)
    assert similarities(noise(20, 64, 3)).mean() < 0.1


def test_two_kinds_of_images_lie_between():
    two = noise(2).repeat(50, 1, 1, 1)
    found = similarities(two, seed=1).numpy()
    same = found > 0.99
    assert 0.3 < same.mean() < 0.7
    assert found[~same].max() < 0.2


def test_all_scales_equal_piq_with_its_own_weights():
    from piq import multi_scale_ssim

    images = noise(4, 176)
    images = images[:1] + 0.5 * (images - images[:1])
    order = np.random.default_rng(3).permutation(4)
    units = (images + 1) / 2
    expected = multi_scale_ssim(units[order[:2]], units[order[2:]], reduction="none")
    assert torch.allclose(similarities(images, seed=3), expected, atol=1e-3)


def test_pairs_are_at_most_100_and_of_different_patients():
    assert len(similarities(noise(300))) == PAIRS
    patients = np.repeat(np.arange(10), 4)
    images = noise(10).repeat_interleave(4, 0)
    assert similarities(images, patients).max() < 0.9, "equal images are of one patient"


@pytest.mark.parametrize(("images", "match"), [(noise(3), "two pairs"), (noise(8, 8), "11 pixels")])
def test_what_cannot_be_measured_is_refused(images, match):
    with pytest.raises(UserError, match=match):
        similarities(images)
