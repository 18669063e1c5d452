"""Heat maps: one scale for all rows, outlines where masks are, words where there is nothing to
compare with.
"""

import io

import numpy as np
import pytest
from PIL import Image

from medgan.errors import UserError
from medgan.plots.anomaly_maps import (
    NO_COUNTERPART,
    Case,
    MapScale,
    case_pairs,
    case_rows,
    no_cases,
)

RNG = np.random.default_rng(0)
SCALE = MapScale(0.1, 0.5, 0.3)
SIDE = 12
DISC = np.hypot(*np.ogrid[-6:6, -6:6]) < 3


def case(heading="Hits", channels=1, compared=True, mask=None):
    image = RNG.integers(0, 255, (SIDE, SIDE, channels), dtype=np.uint8)
    residual = RNG.normal(0, 1, (SIDE, SIDE)) if compared else None
    return Case(
        heading,
        ("image 1", "score 2"),
        image,
        RNG.random((SIDE, SIDE)),
        image if compared else None,
        residual,
        mask,
    )


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def pictures(figure, colors):
    return [
        image
        for image in figure.axes[0].images
        if image.get_cmap().name == colors and image.get_array().shape[0] > 1
    ]


def rendered(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=50)
    return Image.open(buffer)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("make", [case_rows, case_pairs])
def test_grey_and_color_are_drawn(make, channels):
    figure = make(
        [case(channels=channels), case("Misses", channels)], SCALE, title="dcgan", notes=["a note"]
    )
    assert rendered(figure).size[0] > 100
    assert {"Hits", "Misses", "a note", "dcgan"} <= set(texts(figure))


def test_all_maps_and_all_differences_share_their_scales():
    figure = case_rows([case() for _ in range(3)], SCALE, title="x", counterpart="reconstruction")
    assert {image.get_clim() for image in pictures(figure, "inferno")} == {(0.1, 0.5)}
    assert {image.get_clim() for image in pictures(figure, "RdBu_r")} == {(-0.3, 0.3)}
    assert len(pictures(figure, "RdBu_r")) == 3


def test_the_overlay_lets_the_film_through_where_the_map_is_low():
    figure = case_rows([case()], SCALE, title="x", counterpart="reconstruction")
    (overlay,) = pictures(figure, "inferno")
    alpha, values = overlay.get_alpha(), overlay.get_array()
    assert (alpha[values <= SCALE.low] == 0).all()
    assert (alpha[values >= SCALE.high] == alpha.max()).all()


def test_a_detector_without_counterpart_says_so_and_shows_its_map():
    figure = case_rows([case(compared=False)] * 2, SCALE, title="x")
    assert texts(figure).count(NO_COUNTERPART) == 3
    assert len(pictures(figure, "inferno")) == 4
    assert not pictures(figure, "RdBu_r")


def test_masks_are_outlined_where_they_lie():
    plain, marked = (
        case_rows([case(mask=mask)], SCALE, title="x")
        for mask in (np.zeros((SIDE, SIDE), bool), DISC)
    )
    assert not plain.axes[0].collections
    outline, _ = marked.axes[0].collections
    left, top, right, bottom = outline.get_paths()[0].get_extents().extents
    image = marked.axes[0].images[1].get_extent()
    assert image[0] < left < right < image[1]
    assert min(image[2:]) < top < bottom < max(image[2:])


def test_one_heading_for_cases_that_follow_each_other():
    figure = case_pairs([case("Misses")] * 3 + [case("False alarms")], SCALE, title="x")
    assert [texts(figure).count(name) for name in ("Misses", "False alarms")] == [1, 1]


def test_nothing_to_show_is_refused_or_said():
    for make in (case_rows, case_pairs):
        with pytest.raises(UserError):
            make([], SCALE, title="x")
    assert "There is none." in texts(no_cases("x", "There is none."))
