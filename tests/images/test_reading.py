from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan.images.picture import ImageRefused
from medgan.images.reading import read_image

RNG = np.random.default_rng(3)
NOISE = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)


def refusal(path: Path, **options: int) -> str:
    with pytest.raises(ImageRefused) as caught:
        read_image(path, **options)
    return caught.value.code


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize(
    "content", [b"", b"garbage" * 50, b"\xff\xd8\xff garbage", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\x00\xff\xff\xff\xff"]
)
def test_a_file_that_is_no_image_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(content)
    assert refusal(path) == "UNREADABLE"


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_file_is_never_read_short(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, format=kind)
    whole, path = buffer.getvalue(), tmp_path / "image"
    path.write_bytes(whole)
    pixels, refused = read_image(path), 0
    for length in np.linspace(0, len(whole) - 1, 100).astype(int):
        path.write_bytes(whole[:length])
        try:
            assert np.array_equal(read_image(path), pixels)
        except ImageRefused as error:
            refused += error.code == "UNREADABLE"
    assert refused >= 98


def test_a_pixel_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = saved(tmp_path / "bomb.png", Image.new("1", (9000, 9000)))
    assert path.stat().st_size < 20_000
    assert refusal(path) == "TOO_LARGE"
    assert refusal(saved(tmp_path / "small.png", Image.fromarray(NOISE)), pixel_cap=2399) == "TOO_LARGE"


def test_a_16_bit_ramp_keeps_its_grey_levels(tmp_path: Path) -> None:
    ramp = np.linspace(1000, 5000, 64 * 64).astype(np.uint16).reshape(64, 64)
    pixels = read_image(saved(tmp_path / "deep.png", Image.fromarray(ramp)))
    assert pixels.shape == (64, 64, 1)
    assert len(np.unique(pixels)) >= 250
    assert (np.diff(pixels.ravel().astype(int)) >= 0).all()


def test_every_colour_mode_has_a_defined_conversion(tmp_path: Path) -> None:
    colour = Image.fromarray(NOISE)
    assert np.array_equal(read_image(saved(tmp_path / "rgb.png", colour)), NOISE)
    grey = np.asarray(colour.convert("L"))
    assert np.array_equal(read_image(saved(tmp_path / "grey.png", Image.fromarray(grey)))[..., 0], grey)
    assert read_image(saved(tmp_path / "binary.png", colour.convert("1"))).shape == (40, 60, 1)
    palette = colour.convert("P")
    assert np.array_equal(read_image(saved(tmp_path / "palette.png", palette)), np.asarray(palette.convert("RGB")))
    cmyk = read_image(saved(tmp_path / "cmyk.tif", colour.convert("CMYK")))
    assert np.abs(cmyk.astype(int) - NOISE).max() <= 1


def test_transparency_is_laid_on_black(tmp_path: Path) -> None:
    clear = np.dstack([NOISE, np.zeros((40, 60), np.uint8)])
    clear[:20, :, 3] = 255
    pixels = read_image(saved(tmp_path / "clear.png", Image.fromarray(clear)))
    assert np.array_equal(pixels[:20], NOISE[:20])
    assert not pixels[20:].any()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = np.arange(12, dtype=np.uint8).reshape(3, 4)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "turned.png", Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    assert np.array_equal(read_image(path)[..., 0], upright)


def test_formats_outside_the_allow_list_are_refused(tmp_path: Path) -> None:
    assert refusal(saved(tmp_path / "moving.gif", Image.fromarray(NOISE).convert("P"))) == "FORMAT"
    assert refusal(saved(tmp_path / "web.webp", Image.fromarray(NOISE))) == "FORMAT"
    for name, head in {"a.fits": b"SIMPLE  =", "a.eps": b"%!PS-Adobe", "a.psd": b"8BPS\x00\x01", "a.dcm": bytes(128) + b"DICM"}.items():
        (tmp_path / name).write_bytes(head + bytes(200))
        assert refusal(tmp_path / name) == "FORMAT"


def test_the_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    path = saved(tmp_path / "picture.png", Image.fromarray(NOISE), format="BMP")
    assert np.array_equal(read_image(path), NOISE)


def test_several_pages_are_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(NOISE + shift) for shift in range(3)]
    assert refusal(saved(tmp_path / "pages.tif", pages[0], save_all=True, append_images=pages[1:])) == "MULTIPAGE"


def test_pixels_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    values = np.ones((8, 8), np.float32)
    values[3, 3] = np.nan
    assert refusal(saved(tmp_path / "nan.tif", Image.fromarray(values))) == "NONFINITE"


def test_random_damage_raises_nothing_else(tmp_path: Path) -> None:
    whole, path = {}, tmp_path / "image"
    for kind in ("JPEG", "PNG", "BMP", "TIFF"):
        buffer = io.BytesIO()
        Image.fromarray(NOISE).save(buffer, format=kind)
        whole[kind] = np.frombuffer(buffer.getvalue(), np.uint8)
    for turn in range(200):
        data = whole[list(whole)[turn % 4]].copy()
        data[RNG.integers(0, len(data), 8)] = RNG.integers(0, 256, 8)
        path.write_bytes(data.tobytes())
        with contextlib.suppress(ImageRefused):
            assert read_image(path).dtype == np.uint8
