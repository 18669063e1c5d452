"""Deflate streams of TIFF files: libtiff stops at the last pixel, before the checksum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.faults.making import code, noise, pixels, raster, refused
from tests.sources.readers.raster_files import tiff

GRAY = noise(0, 32, 48)
LAYOUTS = [{}, {"rows": 5}, {"tile": 16}]


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sound_streams_are_read_as_they_are(
    tmp_path: Path, order: str, big: bool, layout: dict[str, int]
) -> None:
    color, deep = noise(1, 32, 48, 3), noise(2, 32, 48).astype(np.uint16) << 8
    path, form = tmp_path / "x.tif", {"order": order, "big": big, "deflate": True, **layout}
    assert np.array_equal(pixels(tiff(path, color, 2, **form)), color)
    tiff(path, [GRAY, deep], **form)
    assert np.array_equal(pixels(path, 0, frames="all")[:, :, 0], GRAY)
    second = pixels(path, 1, frames="all", window=(0.0, 65280.0))
    assert np.array_equal(second[:, :, 0], deep >> 8)


@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "tiff_deflate"])
def test_what_libtiff_writes_is_read(tmp_path: Path, predictor: int, compression: str) -> None:
    color = noise(0, 300, 200, 3)
    image, path = Image.fromarray(color), tmp_path / "x.tif"
    raster(path, image, compression=compression, tiffinfo={317: predictor})
    assert np.array_equal(pixels(path), color)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damaged_streams_are_refused(tmp_path: Path, layout: dict[str, int]) -> None:
    """Wherever the damage is, also in the checksum itself; but for the bits between two streams,
    which mean nothing.
    """
    gray = GRAY // 16 * 16  # so that it is compressed
    content = tiff(tmp_path / "x.tif", gray, deflate=True, **layout).read_bytes()
    first, path, read = content.index(b"\x78\x9c") + 2, tmp_path / "damaged.tif", 0
    for place in range(first, len(content), 3):
        changed = bytes([content[place] ^ 1 << place % 8])
        path.write_bytes(content[:place] + changed + content[place + 1 :])
        read += not code(path) and not np.array_equal(pixels(path)[:, :, 0], gray)
    assert read == 0


def test_a_stream_does_not_unpack_to_more_than_the_largest_image(tmp_path: Path) -> None:
    bomb = np.zeros((2000, 2000), np.uint8)
    path = tiff(tmp_path / "x.tif", bomb, deflate=True)
    large, small = (side.to_bytes(4, "little") for side in (2000, 20))
    path.write_bytes(path.read_bytes().replace(large, small))
    with refused("UNREADABLE", "compressed data"):
        pixels(path, max_pixels=2000)
