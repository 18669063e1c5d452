import io

import numpy as np
import pytest
from PIL import Image

from medgan.report import page as module
from medgan.report.page import compact, compacted, content_name


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def opened(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_a_few_colored_pixels_keep_their_colors_among_many_greys():
    rng = np.random.default_rng(0)
    pixels = np.repeat(rng.integers(0, 256, (300, 300, 1), dtype=np.uint8), 3, axis=2)
    pixels[:20, :200] = np.stack(
        [np.arange(200), np.full(200, 30), 255 - np.arange(200)], axis=1
    ).astype(np.uint8)
    made = compact(png(pixels))
    assert len(made) < len(png(pixels))
    assert np.abs(opened(made) - pixels)[:20, :200].max() <= 24


def test_a_wide_picture_becomes_narrower_and_keeps_its_shape():
    made = compact(
        png(np.random.default_rng(0).integers(0, 256, (100, 400, 3), dtype=np.uint8)), width=200
    )
    assert opened(made).shape == (50, 200, 3)


@pytest.mark.parametrize("side", [1, 8])
def test_a_picture_that_is_small_already_stays_as_it_is(side):
    made = png(np.zeros((side, side), dtype=np.uint8))
    assert len(compact(made)) <= len(made)


def test_a_picture_is_made_small_once_and_again_when_it_or_the_form_changes(monkeypatch):
    first, second = (
        png(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8))
        for seed in (0, 1)
    )
    made = compacted([first, first])
    assert {name: values.tobytes() for name, values in made.items()} == {
        content_name(first): compact(first)
    }
    monkeypatch.setattr(module, "compact", lambda _: pytest.fail("made small again"))
    assert compacted([first], made) == made
    with pytest.raises(pytest.fail.Exception, match="made small again"):
        compacted([second], made)
    monkeypatch.setattr(module, "FORM", module.FORM + 1)
    with pytest.raises(pytest.fail.Exception, match="made small again"):
        compacted([first], made)
