"""What is cut off, in numbers and words."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from medgan.files.documents import to_json
from medgan.images.config import PreprocessingConfig
from medgan.images.cropping import cut_examples, cut_profile, examples
from medgan.images.resizing import Crop
from medgan.sources.raw import Picture


def sized(*sizes: tuple[int, int]) -> pd.DataFrame:
    """A manifest of images of these heights and widths."""
    names = [str(number) for number in range(len(sizes))]
    heights, widths = zip(*sizes, strict=True)
    kinds = ["normal", "viral"] * len(sizes)
    return pd.DataFrame(
        {
            "image_id": names,
            "path": names,
            "category": kinds[: len(sizes)],
            "height": heights,
            "width": widths,
        }
    )


class Blank:
    """A source of blank images of the sizes of a manifest."""

    name = "blank"

    def __init__(self, manifest: pd.DataFrame) -> None:
        self.manifest = manifest

    def rows(self) -> pd.DataFrame:
        return self.manifest

    def read(self, path: str) -> Picture:
        height, width = self.manifest.loc[int(path), ["height", "width"]]
        return Picture(np.full((int(height), int(width), 1), 99, np.uint8))

    def fingerprint(self, path: str) -> str:
        return path


def test_a_crop_is_told_in_shares() -> None:
    profile = cut_profile(sized((100, 200), (100, 100)), 64, Crop(top=0.08, centre=True))
    found = to_json(profile)
    assert found["removed"]["height"] == {
        "min": pytest.approx(0.08),
        "median": pytest.approx(0.08),
        "max": pytest.approx(0.08),
    }
    assert found["removed"]["width"]["max"] == pytest.approx(0.54)
    assert found["removed"]["area"]["max"] == pytest.approx(1 - 92 * 92 / 20_000)
    assert found["squeezed"]["share_of_images"] == 0
    assert found["enlarged"] == {"share_of_images": 0.0, "shortest_kept_side": 92}
    assert "cut off: 8 % of the height, 8 to 54 % of the width" in str(profile)
    json.dumps(found, allow_nan=False)


def test_without_a_crop_images_are_squeezed_and_small_ones_enlarged() -> None:
    profile = cut_profile(sized((100, 200), (100, 100), (40, 40), (400, 100)), 64, None)
    found = to_json(profile)
    assert found["crop"] is None
    assert found["squeezed"] == {
        "share_of_images": 0.5,
        "long_by_short_side": {"min": 1.0, "median": 1.5, "max": 4.0},
    }
    assert found["enlarged"] == {"share_of_images": 0.25, "shortest_kept_side": 40}
    assert found["width_by_height"] == {"min": 0.25, "median": 1.0, "max": 2.0}
    assert found["sizes"] == 4
    assert (
        "nothing is cut off · squeezed: 50 % of the images, by a factor of up to 4.00 · enlarged: 25 %"
        in str(profile)
    )


def test_bars_squeeze_nothing() -> None:
    profile = cut_profile(sized((100, 200), (100, 100)), 64, Crop(pad=True))
    found = to_json(profile)
    assert found["squeezed"]["share_of_images"] == 0
    assert found["bars"] == {"min": 0.0, "median": 0.25, "max": 0.5}
    assert "black bars: 0 to 50 % of the stored square" in str(profile)


def test_the_examples_are_typical_ones_and_the_extremes() -> None:
    manifest = sized((100, 100), (100, 500), (100, 110), (100, 120), (100, 120), (200, 100))
    shown = examples(manifest)
    assert shown["shown_as"].tolist() == ["normal", "viral", "the widest", "the narrowest"]
    assert shown["path"].tolist() == ["2", "3", "1", "5"]
    assert examples(sized((50, 50), (50, 50)))["shown_as"].tolist() == ["normal", "viral"]


def test_an_example_is_what_the_store_gets() -> None:
    manifest = sized((100, 200), (50, 50))
    config = PreprocessingConfig(size=32, crop=Crop(top=0.1, centre=True))
    wide = cut_examples(Blank(manifest), manifest, config, 40)[0]
    assert wide.picture.shape == (20, 40, 1)
    assert wide.kept == (10, 55, 100, 145)
    assert wide.stored.shape == (32, 32, 1)
    assert wide.words == "cut: 10 % of the height, 55 % of the width"
    assert (
        cut_examples(Blank(manifest), manifest, PreprocessingConfig(size=32), 40)[0].words
        == "squeezed 2.00 : 1"
    )
