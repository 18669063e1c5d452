"""Pictures of images and maps."""

import numpy as np

from medgan.app.pictures import enlarged, heat, overlay, scaled


def test_enlarging_repeats_pixels() -> None:
    image = np.array([[[0], [255]], [[128], [1]]], np.uint8)
    large = enlarged(image, 5)
    assert large.shape == (6, 6, 3)
    np.testing.assert_array_equal(large[::3, ::3, 0], image[:, :, 0])
    np.testing.assert_array_equal(large[0:3, 3:6], np.full((3, 3, 3), 255))


def test_maps_are_clipped_to_their_range() -> None:
    np.testing.assert_allclose(
        scaled(np.array([[-1.0, 0.0, 1.0, 5.0]]), 0.0, 2.0), [[0.0, 0.0, 0.5, 1.0]]
    )
    assert np.isfinite(scaled(np.zeros((1, 1)), 0.0, 0.0)).all()


def test_an_overlay_leaves_cold_places_as_they_were() -> None:
    image = np.full((1, 2, 1), 100, np.uint8)
    mixed = overlay(image, np.array([[0.0, 1.0]]))
    np.testing.assert_array_equal(mixed[0, 0], [100, 100, 100])
    assert (mixed[0, 1] != 100).any()
    assert heat(np.array([[0.0, 1.0]])).sum(2)[0].argmax() == 1
