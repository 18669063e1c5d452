from __future__ import annotations

import numpy as np
import pytest
import torch

from medgan.errors import UserError
from medgan.images.transforms import (
    AUGMENTATIONS,
    INTENSITY,
    Intensity,
    augment,
    check_augmentations,
    crop_padding,
    pad_square,
    prepare,
    window_side,
)

PIXELS = torch.from_numpy(
    np.random.default_rng(2).integers(20, 200, (6, 28, 28, 1), dtype=np.uint8)
)


@pytest.mark.parametrize("intensity", INTENSITY)
def test_prepared_images_are_square_float_and_in_range(intensity: str) -> None:
    images = prepare(PIXELS, Intensity(intensity), 32)
    assert images.shape == (6, 1, 32, 32)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1


def test_unit_maps_the_ends_of_the_scale() -> None:
    ends = torch.tensor([0, 255], dtype=torch.uint8).repeat(32, 16)[None, :, :, None]
    assert set(prepare(ends, Intensity("unit"), 32).unique().tolist()) == {-1.0, 1.0}


def test_standardising_is_the_formula_of_each_image_alone() -> None:
    image = PIXELS[3].numpy().astype(np.float64)
    expected = np.clip((image - image.mean()) / image.std(), -3, 3) / 3
    inner = crop_padding(prepare(PIXELS, Intensity("standardised"), 32), 28, 28)
    assert np.allclose(inner[3, 0].numpy(), expected[:, :, 0], atol=1e-5)
    assert torch.equal(
        prepare(PIXELS[3:4], Intensity("standardised"), 32),
        prepare(PIXELS, Intensity("standardised"), 32)[3:4],
    )


def test_standardising_removes_exposure() -> None:
    darker = (PIXELS.float() * 0.5 + 10).round().to(torch.uint8)
    assert torch.allclose(
        prepare(darker, Intensity("standardised"), 32),
        prepare(PIXELS, Intensity("standardised"), 32),
        atol=0.01,
    )


@pytest.mark.parametrize("intensity", ["standardised", "local"])
def test_a_constant_image_stays_finite(intensity: str) -> None:
    pixels = torch.full((1, 32, 32, 1), 7, dtype=torch.uint8)
    assert prepare(pixels, Intensity(intensity), 32).abs().max() == 0


def naive_local(image: np.ndarray, side: int) -> np.ndarray:
    """Pixel by pixel, in double precision; (H, W, C)."""

    def windowed(values: np.ndarray) -> np.ndarray:
        half, found = side // 2, np.zeros(image.shape[:2])
        for y, x in np.ndindex(*image.shape[:2]):
            window = (slice(max(0, at - half), at + half + 1) for at in (y, x))
            found[y, x] = values[tuple(window)].mean()
        return found

    centered = image.astype(np.float64)
    centered -= windowed(centered)[..., None]
    spreads = np.sqrt(windowed(centered**2))
    spreads = np.maximum(spreads, spreads.mean())
    return np.clip(centered / spreads[..., None], -3, 3) / 3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("window", "side"), [(0.5, 15), (0.3, 9), (1.0, 29)])
def test_local_standardising_is_the_naive_loop(channels: int, window: float, side: int) -> None:
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 256, (3, 28, 28, channels), dtype=np.uint8)
    pixels[1, :, 14:] = 30  # a flat half
    assert window_side(window, 28) == side
    found = prepare(torch.from_numpy(pixels), Intensity("local", window), 32)
    expected = np.stack([naive_local(image, side) for image in pixels])
    inner = crop_padding(found, 28, 28).permute(0, 2, 3, 1).numpy()
    assert np.allclose(inner, expected, atol=1e-4)
    assert found[:, :, :2].abs().max() == found[..., :2].abs().max() == 0  # the padding


def test_local_standardising_removes_shading_and_standardising_does_not() -> None:
    ramp = torch.linspace(-30, 30, 28)[None, :, None, None]
    shaded = (PIXELS.float() / 2 + 50 + ramp).round().to(torch.uint8)
    left = {
        name: (prepare(shaded, Intensity(name), 32) - prepare(PIXELS, Intensity(name), 32))
        .abs()
        .mean()
        for name in ("standardised", "local")
    }
    assert left["local"] < left["standardised"] / 3


def test_a_change_comes_before_intensity_and_padding() -> None:
    """So standardising removes brightness and contrast, and padding stays 0."""
    pixels = (PIXELS.float() * 0.5 + 60).to(torch.uint8)  # nothing saturates

    def brighter(images: torch.Tensor) -> torch.Tensor:
        return 0.9 * images + 0.05

    for name in ("standardised", "local"):
        given = prepare(pixels, Intensity(name), 32)
        assert torch.allclose(prepare(pixels, Intensity(name), 32, brighter), given, atol=1e-3)
    plain = prepare(pixels, Intensity("unit"), 28)
    changed = prepare(pixels, Intensity("unit"), 32, brighter)
    assert torch.allclose(crop_padding(changed, 28, 28), brighter(plain), atol=1e-5)
    assert changed[:, :, 0].abs().max() == 0


def test_an_intensity_names_the_window_that_it_uses() -> None:
    assert str(Intensity.of("standardised", 0.5)) == "standardised"
    assert str(Intensity.of("local", 0.25)) == "local, window 0.25"
    assert Intensity.of("unit", 0.5) == Intensity("unit")


def test_padding_keeps_distances_and_can_be_undone() -> None:
    images = torch.randn(4, 1, 27, 30)
    padded = pad_square(images, 32)
    assert torch.equal(crop_padding(padded, 27, 30), images)
    assert torch.allclose(
        torch.cdist(padded.flatten(1), padded.flatten(1)),
        torch.cdist(images.flatten(1), images.flatten(1)),
        atol=1e-4,
    )


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentation_changes_each_image_a_little_and_repeatably(name: str) -> None:
    images = prepare(PIXELS, Intensity("standardised"), 32).repeat(4, 1, 1, 1)
    changed = augment(images, [name], torch.Generator().manual_seed(5))
    assert changed.shape == images.shape
    assert changed.abs().max() <= 1
    assert torch.equal(changed, augment(images, [name], torch.Generator().manual_seed(5)))
    assert not torch.equal(changed, augment(images, [name], torch.Generator().manual_seed(6)))
    assert not torch.equal(changed[0], changed[6]) or not torch.equal(changed[0], changed[12]), (
        "each image has a draw of its own"
    )


def test_translation_moves_a_dot_by_a_few_pixels_at_most() -> None:
    images = torch.full((64, 1, 64, 64), -1.0)
    images[:, :, 31:33, 31:33] = 1.0
    changed = augment(images, ["translation"], torch.Generator().manual_seed(1)) + 1
    weights = changed / changed.sum(dim=(2, 3), keepdim=True)
    columns = (weights.sum(dim=2) * torch.arange(64)).sum(dim=2).squeeze(1)
    assert (columns - 31.5).abs().max() <= 3.3
    assert columns.std() > 0.8


@pytest.mark.parametrize(
    ("name", "views"), [("horizontal_flip", 2), ("vertical_flip", 2), ("quarter_turn", 4)]
)
def test_a_flip_or_turn_gives_each_of_its_views_and_loses_no_pixel(name: str, views: int) -> None:
    image = prepare(PIXELS[:1], Intensity("standardised"), 32)
    changed = augment(image.repeat(64, 1, 1, 1), [name], torch.Generator().manual_seed(0))
    assert len(changed.unique(dim=0)) == views
    assert torch.equal(
        changed.flatten(1).sort(dim=1).values, image.flatten(1).sort(dim=1).values.expand(64, -1)
    )
    expected = {
        "horizontal_flip": [image, image.flip(3)],
        "vertical_flip": [image, image.flip(2)],
        "quarter_turn": [torch.rot90(image, turns, (2, 3)) for turns in range(4)],
    }[name]
    assert torch.equal(changed.unique(dim=0), torch.cat(expected).unique(dim=0))


def test_an_unknown_augmentation_is_refused_with_the_choices() -> None:
    with pytest.raises(
        UserError,
        match=r"augmentation\.allowed names `spin`.*rotation, translation, brightness, contrast, horizontal_flip",
    ):
        check_augmentations(["rotation", "spin"])
