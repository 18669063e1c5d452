import io

import numpy as np
import pytest
from PIL import Image

from medgan.datasets.parts import render
from medgan.errors import UserError
from medgan.plots.grids import CELL, Pair, image_grid, side_by_side
from medgan.report.page import WIDTH

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 255, (5, 16, 16), dtype=np.uint8)


def pair(number, channels=1):
    left, right = RNG.integers(0, 255, (2, 16, 20, channels), dtype=np.uint8)
    return Pair(
        left,
        right,
        f"pair {number}",
        f"a/long/path/to/the/left/picture-{number}.jpeg\ntrain",
        "right",
    )


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_every_pair_stands_with_its_heading_and_the_ends_of_long_names():
    figure = side_by_side(
        [pair(number, channels=1 + 2 * (number % 2)) for number in range(5)], "near-duplicates"
    )
    assert sum(bool(axis.images) for axis in figure.axes) == 10
    written = texts(figure)
    assert [f"pair {number}" in written for number in range(5)] == [True] * 5
    assert any(text.startswith("…") and text.endswith("picture-4.jpeg\ntrain") for text in written)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    assert Image.open(buffer).size[0] > 100


def test_no_pair_is_said_in_a_sentence():
    figure = side_by_side([], nothing="No two pictures are alike.")
    assert not figure.axes
    assert "No two pictures are alike." in [text.get_text() for text in figure.texts]


@pytest.mark.parametrize("shape", [(5, 16, 16), (5, 16, 16, 1), (5, 16, 16, 3)])
def test_grids_take_grey_and_color(shape):
    pixels = np.broadcast_to(PIXELS.reshape(5, 16, 16, *(1,) * (len(shape) - 3)), shape)
    figure = image_grid(pixels, list("abcde"), columns=3)
    (sheet,) = (np.asarray(image.get_array()) for image in figure.axes[0].images)
    titles = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    for title, image in zip("abcde", PIXELS, strict=True):
        center, above = titles[title]
        left, top = int(center) - CELL // 2, int(above) + 3
        shown = sheet[top : top + CELL, left : left + CELL]
        assert (shown[4::8, 4::8] == image[..., None]).all(), title


def test_oblong_images_keep_their_shape():
    canvas = image_grid(np.zeros((1, 8, 16), np.uint8)).axes[0].images[0].get_array()
    dark = np.argwhere(np.asarray(canvas)[..., 0] == 0)
    assert tuple(np.ptp(dark, axis=0) + 1) == (CELL // 2, CELL)


def test_nothing_to_show_is_refused():
    with pytest.raises(UserError):
        image_grid(PIXELS[:0])


def test_a_sheet_of_pairs_is_no_wider_than_a_picture_of_the_report():
    assert Image.open(io.BytesIO(render(side_by_side([pair(n) for n in range(12)])))).width <= WIDTH
