"""A map over an image, pixel by pixel."""

import numpy as np
from matplotlib import colormaps

from medgan.plots.anomaly_maps import MapScale
from medgan.plots.overlay import enlarged, hottest, overlay, zoomed

SCALE = MapScale(1.0, 3.0)


def test_the_image_shows_where_the_map_is_low_and_the_color_where_it_is_high() -> None:
    image = np.full((2, 2, 1), 100, np.uint8)
    values = np.array([[0.0, 1.0], [2.0, 9.0]])
    drawn = overlay(image, values, SCALE, opacity=0.5)
    assert drawn.shape == (2, 2, 3)
    np.testing.assert_array_equal(drawn[0], np.full((2, 3), 100))
    middle, last = (np.array(colormaps["inferno"](one)[:3]) * 255 for one in (0.5, 1.0))
    np.testing.assert_allclose(drawn[1, 0], 100 * 0.75 + middle * 0.25, atol=0.51)
    np.testing.assert_allclose(drawn[1, 1], 100 * 0.5 + last * 0.5, atol=0.51)
    np.testing.assert_array_equal(overlay(image, values, SCALE, 0.0), np.full((2, 2, 3), 100))


def test_pixels_are_repeated_and_maps_are_smooth() -> None:
    image = np.array([[[0], [200]]], np.uint8)
    np.testing.assert_array_equal(enlarged(image, 4, smooth=False)[:, :, 0], [[0, 0, 200, 200]] * 2)
    values = enlarged(np.array([[0.0, 4.0], [0.0, 4.0]]), 8, smooth=True)
    assert values.shape == (8, 8)
    assert (np.diff(values[0]) >= 0).all()
    assert len(np.unique(values[0])) > 2


def test_zoom_shows_the_hottest_place_and_stays_inside() -> None:
    values = np.zeros((8, 12))
    values[7, 3] = 1
    assert hottest(values) == (7.5 / 8, 3.5 / 12)
    part = zoomed(values, hottest(values), 2)
    assert part.shape == (4, 6)
    assert part[3].argmax() == 3
    np.testing.assert_array_equal(zoomed(values, (0.0, 1.0), 1), values)
