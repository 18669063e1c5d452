"""Names of pictures, parameters of a command, and the figure of one image."""

from __future__ import annotations

import numpy as np
import pytest

from medgan.errors import UserError
from medgan.files.names import LONGEST
from medgan.inference.output import picture, picture_name
from medgan.plots.anomaly_maps import MapScale
from medgan.project.given import given_parameters


@pytest.mark.parametrize(
    "path",
    [
        "a/b.png",
        "../../etc/passwd",
        "a\\b\n\0c.png",
        "Röntgen/ß 胸部.dcm",
        "x" * 300,
        "胸" * 200,
        ".hidden",
        "con:a|b?.png",
        "-rf",
    ],
)
def test_a_picture_has_a_safe_name(path: str) -> None:
    name = picture_name(path, "")
    assert len(name.encode()) <= LONGEST + len(".png")
    assert "/" not in name
    assert name.isprintable()
    assert not name.startswith((".", "-"))
    assert name.endswith(".png")


def test_no_two_images_share_a_picture() -> None:
    paths = ["a/b.png", "a_b.png", "A/b.png", "é.png", "e\u0301.png", "x" * 300, "x" * 301, "v"]
    names = [picture_name(path, "") for path in paths] + [
        picture_name("v", "001"),
        picture_name("v_001", ""),
    ]
    assert len({name.casefold() for name in names}) == len(names)


@pytest.mark.parametrize("channels", [1, 3])
def test_any_name_can_be_drawn(channels: int) -> None:
    pixels, values = np.zeros((8, 8, channels), np.uint8), np.zeros((8, 8), np.float16)
    found = picture(pixels, values, MapScale(0.0, 0.0), "$x^{胸\n" + "y" * 200, "score 1")
    assert found.startswith(b"\x89PNG")


def test_a_stronger_map_is_drawn_hotter() -> None:
    pixels = np.full((8, 8, 1), 90, np.uint8)
    quiet, loud = (
        picture(pixels, np.full((8, 8), value), MapScale(0.0, 1.0), "a", "b")
        for value in (0.0, 0.9)
    )
    assert quiet != loud


def test_parameters_are_nested() -> None:
    assert given_parameters("flag=bloodmnist, preprocessing.size=28") == {
        "flag": "bloodmnist",
        "preprocessing": {"size": 28},
    }
    assert given_parameters("") == {}
    with pytest.raises(UserError, match="--params has `size`: give NAME=VALUE"):
        given_parameters("size")
