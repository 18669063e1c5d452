"""Damage in JPEG files is told where it can be: libjpeg itself fills in pixels and says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medgan.sources.readers.jpeg import layout_of
from tests.faults.making import code, noise, pixels, raster, refused

END = b"\xff\xd9"
PIXELS = 400
"""No header of a gray image is longer."""


def picture(mode: str = "L", side: int = 96) -> Image.Image:
    """Noise over a ramp: no block is like another."""
    ramp = np.linspace(0, 150, side)[None, :, None] + noise(0, side, side, 3) / 3
    return Image.fromarray(ramp.astype(np.uint8)).convert(mode)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimize": True, "quality": 20},
        {"progressive": True},
        {"restart_marker_blocks": 5},
        {"subsampling": "4:4:4", "restart_marker_rows": 1},
    ],
)
@pytest.mark.parametrize("side", [1, 8, 96, 301])
def test_sound_files_are_read_as_they_are(
    tmp_path: Path, mode: str, options: dict[str, Any], side: int
) -> None:
    path = raster(tmp_path / "x.jpg", picture(mode, side), **options)
    with Image.open(path) as image:
        shown = np.asarray(image.convert("L" if mode == "L" else "RGB"))
    assert np.array_equal(pixels(path), np.atleast_3d(shown))


@pytest.mark.parametrize("padding", [b"\x00" * 300, b"\xff" * 5, b"\x12\x34"])
@pytest.mark.parametrize("behind", [b"", b"\r\n", b"another image" + END])
def test_bytes_behind_the_last_pixel_are_no_damage(
    tmp_path: Path, padding: bytes, behind: bytes
) -> None:
    path = raster(tmp_path / "x.jpg", picture())
    sound, content = pixels(path), path.read_bytes()
    path.write_bytes(content.removesuffix(END) + padding + END + behind)
    assert np.array_equal(pixels(path), sound)


def test_a_scan_that_ends_early_is_refused(tmp_path: Path) -> None:
    content = raster(tmp_path / "x.jpg", picture()).read_bytes()
    (end,) = layout_of(content).ends
    path, read = tmp_path / "cut.jpg", 0
    for place in range(PIXELS, end - 40, 37):
        for tail in (END, b"\0" * 7 + END, content[place + 64 :]):
            path.write_bytes(content[:place] + tail)
            read += not code(path)
    assert read == 0


def test_data_that_hold_more_than_the_pixels_are_refused(tmp_path: Path) -> None:
    content = raster(tmp_path / "x.jpg", picture()).read_bytes()
    path = tmp_path / "x.jpg"
    path.write_bytes(content[: PIXELS + 500] + content[PIXELS + 300 :])
    with refused("UNREADABLE", "they hold more than its pixels"):
        pixels(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\xff\xd1", b"\x7f\xd1"),  # the second of the restarts is gone
        (b"\xff\xd1", b"\xff\xd4"),
        (b"\xff\xd1", b"\xff\x02"),
        (b"\xff\xdd\x00\x04\x00\x05", b"\xff\xdd\x00\x04\x00\x00"),  # no restarts are announced
    ],
)
@pytest.mark.parametrize("progressive", [False, True])
def test_markers_among_the_pixels_are_refused(
    tmp_path: Path, old: bytes, new: bytes, progressive: bool
) -> None:
    path = tmp_path / "x.jpg"
    raster(path, picture(), restart_marker_blocks=5, progressive=progressive)
    content = path.read_bytes()
    assert not code(path)
    path.write_bytes(content.replace(old, new, 1))
    with refused("UNREADABLE", "a marker is among its pixels"):
        pixels(path)
