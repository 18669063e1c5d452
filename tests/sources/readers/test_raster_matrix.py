"""Every kind of sample of a raster file is read as it is meant, or refused with its name.

The tables of docs/formats.md say which; each of their cells is a test.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import frames
from tests.faults.making import code, metadata, noise, pixels, raster, refused
from tests.sources.readers.raster_files import packed, png, tiff

DOCS = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
HEIGHT, WIDTH = 24, 32
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH] / 31.0
COLOR = np.stack([(X + Y) / 2, np.sin(4 * X) / 2 + 0.5, Y**2], axis=2)
GRAY = COLOR[:, :, :1] / COLOR[:, :, 0].max()
ALPHA = np.where(X < 0.6, 1.0, 0.2)[:, :, None]
BLACK, WHITE, RGB, PALETTE, CMYK, YCBCR, LAB = 1, 0, 2, 3, 5, 6, 8
EXTRA, COLOR_MAP, SUBSAMPLING, ORIENTATION, SUBFILE = 338, 320, 530, 274, 254
UNSPECIFIED, PREMULTIPLIED, ALONE = 0, 1, 2
FORMS = {"unsigned": 1, "signed": 2, "float": 3}
Layout = tuple[int, np.ndarray, dict[int, list[int]], np.ndarray]


def with_alpha(color: np.ndarray) -> list[tuple[np.ndarray, dict[int, list[int]]]]:
    return [
        (np.dstack([color, ALPHA]), {EXTRA: [ALONE]}),
        (np.dstack([color * ALPHA, ALPHA]), {EXTRA: [PREMULTIPLIED]}),
    ]


COLUMNS: dict[str, list[Layout]] = {
    "grey": [(BLACK, GRAY, {}, GRAY)],
    "grey, WhiteIsZero": [(WHITE, 1 - GRAY, {}, GRAY)],
    "grey, alpha": [(BLACK, *kind, GRAY * ALPHA) for kind in with_alpha(GRAY)],
    "RGB": [
        (RGB, COLOR, {}, COLOR),
        (RGB, np.dstack([COLOR, ALPHA]), {EXTRA: [UNSPECIFIED]}, COLOR),
    ],
    "RGB, alpha": [(RGB, *kind, COLOR * ALPHA) for kind in with_alpha(COLOR)],
    "palette": [(PALETTE, GRAY, {}, GRAY)],
    "CMYK": [(CMYK, np.dstack([1 - COLOR, 0 * ALPHA]), {}, COLOR)],
    "LAB": [(LAB, COLOR, {}, COLOR)],
}


def table(title: str) -> Iterator[tuple[str, str, str]]:
    """(row, column, cell) of the table below a line of docs/formats.md."""
    lines = DOCS.partition(title)[2].split("\n\n")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    for row in rows[2:]:
        yield from zip([row[0]] * 99, rows[0][1:], row[1:], strict=False)


def stored(truth: np.ndarray, bits: int, form: str) -> np.ndarray:
    """Values from 0 to 1 as samples."""
    if form == "float":
        return truth.astype(f"f{bits // 8}")
    top = 2.0**bits - 1 if bits < 64 else 2.0**63
    kind = {1: 8, 2: 8, 4: 8, 12: 16}.get(bits, bits)
    if form == "signed":
        top, low = 2.0 ** min(bits, 62) - 1, -(2.0 ** (min(bits, 62) - 1))
        return np.rint(truth * top + low).astype(f"i{kind // 8}")
    return np.rint(truth * top).astype(f"u{kind // 8}")


def correlation(shown: np.ndarray, truth: np.ndarray) -> float:
    full = np.broadcast_to(truth, (HEIGHT, WIDTH, max(truth.shape[2], shown.shape[2])))
    return float(np.corrcoef(np.broadcast_to(shown, full.shape).ravel(), full.ravel())[0, 1])


def quantized(truth: np.ndarray, bits: int) -> np.ndarray:
    """What is left of a truth in few bits."""
    return np.rint(truth * (2**bits - 1)) if bits < 8 else truth


def ramp_of_colors(bits: int, values: np.ndarray) -> tuple[list[int], np.ndarray]:
    """A color map of 16 bits from white to black, and the colors that it gives."""
    ramp = np.linspace(1, 0, 2**bits)
    colors = np.stack([ramp, ramp**2, ramp / 2])
    shown = colors[:, np.rint(values[:, :, 0] * (2**bits - 1)).astype(int)]
    return np.rint(colors * 65535).astype(int).ravel().tolist(), np.moveaxis(shown, 0, 2)


@pytest.mark.parametrize(("row", "column", "cell"), table("The samples of TIFF files"))
def test_tiff(tmp_path: Path, row: str, column: str, cell: str) -> None:
    bits, form = int(row.split("-bit ")[0]), row.split("-bit ")[1]
    if cell == "–":
        return
    for photometric, values, tags, truth in COLUMNS[column]:
        seen = -quantized(values, bits) if photometric == WHITE else quantized(truth, bits)
        if photometric == PALETTE:
            colors, seen = ramp_of_colors(bits, values)
            tags = {COLOR_MAP: colors}
        samples = stored(values, bits, form)
        for order, big, deflate, planar in itertools.product("<>", *[(False, True)] * 3):
            options = {"order": order, "big": big, "deflate": deflate, "planar": planar}
            path = tiff(
                tmp_path / "x.tif", samples, photometric, FORMS[form], bits, tags=tags, **options
            )
            try:
                found = ""
                assert correlation(pixels(path), seen) > 0.99, options
            except ImageRefused as refusal:
                found = refusal.code
            assert found in (("", "FORMAT") if cell == "read" else ("FORMAT",)), options
            plain = order == "<" and not planar
            assert not (plain and found) or cell != "read", options


def test_tiff_ycbcr(tmp_path: Path) -> None:
    colors = Image.fromarray(np.rint(COLOR * 255).astype(np.uint8)).convert("YCbCr")
    for deflate in (False, True):
        path = tiff(
            tmp_path / "x.tif",
            np.asarray(colors),
            YCBCR,
            tags={SUBSAMPLING: [1, 1]},
            deflate=deflate,
        )
        assert correlation(pixels(path), COLOR) > 0.99
    assert code(tiff(tmp_path / "x.tif", np.asarray(colors), YCBCR)) == "FORMAT", "2 x 2 by default"


@pytest.mark.parametrize(("row", "column", "cell"), table("The samples of PNG files"))
def test_png(tmp_path: Path, row: str, column: str, cell: str) -> None:
    bits = int(row.split("-bit")[0])
    if cell == "–":
        return
    values = {"grey": GRAY, "RGB": COLOR}.get(column.split(",")[0], GRAY)
    palette, transparent, truth = None, b"", values
    samples = stored(values, bits, "unsigned")
    if column.endswith("alpha"):
        samples = stored(np.dstack([values, ALPHA]), bits, "unsigned")
        truth = values * ALPHA
    if column.startswith("palette"):
        colors, truth = ramp_of_colors(bits, values)
        palette = np.reshape(colors, (3, -1)).T / 257
    elif column.endswith("transparent color"):
        clear = samples[5, 7]
        transparent = struct.pack(f">{len(clear)}H", *clear.tolist())
        truth = np.where((samples == clear).all(axis=2, keepdims=True), 0, values)
    if column == "palette, transparent color":
        index = int(samples[-1, -1, 0])
        transparent = bytes([255] * index + [0])
        truth = np.where(samples == index, 0, truth)
    path = png(tmp_path / "x.png", samples, bits, palette, transparent)
    assert cell == "read"
    seen = truth if palette is not None else quantized(truth, bits)
    assert correlation(pixels(path), seen) > 0.99


def test_16_bit_color_keeps_its_lower_byte(tmp_path: Path) -> None:
    dark = np.rint(COLOR * 200).astype(np.uint16)
    for path in (png(tmp_path / "x.png", dark), tiff(tmp_path / "x.tif", dark, RGB)):
        assert len(np.unique(pixels(path))) > 90
        assert metadata(path)["color"] == "RGB, 16 bit"
        assert np.array_equal(pixels(path, window=(0.0, 255.0)), dark)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "group4"])
def test_polarity_and_depth_hold_in_every_compression(tmp_path: Path, compression: str) -> None:
    if compression == "group4":
        images = [Image.fromarray(GRAY[:, :, 0] > 0.5)]
    else:
        samples = np.rint(GRAY[:, :, 0] * 4095).astype(np.uint16)
        images = [Image.fromarray(samples), Image.fromarray((samples >> 4).astype(np.uint8))]
    for image in images:
        path, twin = tmp_path / "x.tif", tmp_path / "y.tif"
        image.save(path, compression=compression)
        assert correlation(pixels(path), np.atleast_3d(np.asarray(image))) > 0.99
        image.save(twin, compression=compression, tiffinfo={262: WHITE})
        expected = -1 if image.mode == "I;16" else 1  # Pillow inverts others as it writes them
        assert expected * np.corrcoef(pixels(path).ravel(), pixels(twin).ravel())[0, 1] > 0.99


def test_an_inverted_film_is_windowed_in_its_own_unit(tmp_path: Path) -> None:
    film = np.rint(GRAY * 4000).astype(np.uint16)
    path = tiff(tmp_path / "x.tif", film, WHITE)
    assert metadata(path)["color"] == "grey, 16 bit, WhiteIsZero, inverted"
    shown = pixels(path, window=(1000.0, 2000.0))
    assert (shown[film <= 1000] == 255).all()
    assert (shown[film >= 2000] == 0).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: tiff(path, noise(0, 9, 8), None), "without a polarity"),
        (
            lambda path: tiff(path, GRAY.astype(np.float16), form=3),
            r"16-bit float TIFF .BlackIsZero, 1 ch",
        ),
        (lambda path: tiff(path, GRAY, form=3), r"64-bit float .* save it as 8-bit"),
        (lambda path: tiff(path, noise(0, 9, 8), tags={32997: [5]}), "several slices"),
        (lambda path: tiff(path, noise(0, 9, 8, 2)), "2 channels"),
        (lambda path: tiff(path, noise(0, 9, 8, 5)), "5 channels"),
        (lambda path: tiff(path, noise(0, 9, 8), tags={259: [34712]}), "compression 34712"),
        (lambda path: tiff(path, noise(0, 9, 8), big=True, order=">"), "big-endian BigTIFF"),
        (lambda path: jpeg_of_12_bits(path), "cannot handle 12-bit"),
        (lambda path: bmp(path, 16, noise(0, 9, 8, 2), (0xF00, 0xF0, 0xF)), "bitfields"),
    ],
)
def test_other_kinds_are_refused_by_their_name(tmp_path: Path, make, words: str) -> None:
    with refused("FORMAT", words):
        pixels(make(tmp_path / "x"))


def test_an_imagej_stack_in_one_page_is_refused_and_one_with_its_pages_is_read(
    tmp_path: Path,
) -> None:
    first, *others = [Image.fromarray(noise(seed, 9, 8)) for seed in range(3)]
    named = {"description": "ImageJ=1.53t\nimages=3\nslices=3\nloop=false\n"}
    first.save(tmp_path / "hidden.tif", **named)
    with refused("FORMAT", "several slices"):
        pixels(tmp_path / "hidden.tif")
    first.save(tmp_path / "pages.tif", save_all=True, append_images=others, **named)
    every = ReadingConfig(frames="all")
    assert [*frames(tmp_path / "pages.tif", every)] == [0, 1, 2]
    first.save(tmp_path / "single.tif", description="ImageJ=1.53t\nimages=1\n")
    assert pixels(tmp_path / "single.tif").shape == (9, 8, 1)


def jpeg_of_12_bits(path: Path) -> Path:
    content = bytearray(raster(path, noise(0, 16, 16), format="JPEG").read_bytes())
    content[content.find(b"\xff\xc0") + 4] = 12
    path.write_bytes(content)
    return path


def bmp(
    path: Path, bits: int, rows: np.ndarray, masks: tuple[int, ...] = (), down: bool = False
) -> Path:
    """A BMP file of packed rows (H, bytes), stored from the bottom unless `down`."""
    height, width = rows.shape[:2]
    lines = rows.reshape(height, -1)[:: 1 if down else -1]
    lines = np.pad(lines, [(0, 0), (0, -lines.shape[1] % 4)])
    kind = (3, struct.pack("<3I", *masks)) if masks else (0, b"")
    size = struct.pack(
        "<IiiHHIIiiII", 40, width, -height if down else height, 1, bits, kind[0], 0, 0, 0, 0, 0
    )
    start = 14 + len(size) + len(kind[1])
    head = b"BM" + struct.pack("<IHHI", start + lines.size, 0, 0, start)
    path.write_bytes(head + size + kind[1] + lines.tobytes())
    return path


def test_bmp(tmp_path: Path) -> None:
    color = np.rint(COLOR * 255).astype(np.uint8)
    path, blue_first = tmp_path / "x.bmp", color[:, :, ::-1]
    red, green, blue = (color >> 3).astype(np.uint16).transpose(2, 0, 1)
    wide = (red << 11 | (green << 1) << 5 | blue)[:, :, None].view(np.uint8)
    narrow = (red << 10 | green << 5 | blue)[:, :, None].view(np.uint8)
    filled = np.dstack([blue_first, np.zeros_like(red, np.uint8)])
    assert np.array_equal(pixels(bmp(path, 24, blue_first)), color)
    assert np.array_equal(pixels(bmp(path, 24, blue_first, down=True)), color)
    assert np.array_equal(pixels(bmp(path, 32, filled)), color), "the fourth byte is no alpha"
    assert correlation(pixels(bmp(path, 16, narrow)), COLOR) > 0.99
    assert correlation(pixels(bmp(path, 16, wide, (0xF800, 0x7E0, 0x1F))), COLOR) > 0.99
    image = Image.fromarray(color)
    for mode in ("1", "L", "P", "RGBA"):
        shown = pixels(raster(path, image.convert(mode)))
        assert np.array_equal(
            shown,
            np.atleast_3d(
                np.asarray(image.convert(mode).convert("RGB" if mode in ("P", "RGBA") else "L"))
            ),
        )


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
def test_jpeg(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(np.rint(COLOR * 255).astype(np.uint8)).convert(mode)
    shown = pixels(raster(tmp_path / "x.jpg", image, quality=98))
    truth = np.asarray(image.convert("L" if mode == "L" else "RGB"))
    assert correlation(shown, np.atleast_3d(truth)) > 0.99


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("color", [BLACK, WHITE, RGB])
@pytest.mark.parametrize("deflate", [False, True])
def test_orientation_of_tiff(
    tmp_path: Path, turned: int, kind: type, color: int, deflate: bool
) -> None:
    upright = np.rint((COLOR if color == RGB else GRAY) * 255).astype(kind)
    turns = [(0, 0), (0, 1), (2, 0), (2, 1), (3, 1), (1, 0), (1, 1), (3, 0)]
    steps, mirrored = turns[turned - 1]
    stored_as = np.rot90(upright, steps)[:, :: -1 if mirrored else 1]
    path = tiff(
        tmp_path / "x.tif",
        np.ascontiguousarray(255 - stored_as if color == WHITE else stored_as),
        color,
        tags={ORIENTATION: [turned]},
        deflate=deflate,
    )
    shown = pixels(path, window=(0.0, 255.0))
    assert np.array_equal(shown, upright)


def test_png_whose_checksums_do_not_hold_are_refused(tmp_path: Path) -> None:
    path = png(tmp_path / "x.png", np.rint(COLOR * 255), bits=8)
    content, read = path.read_bytes(), 0
    for place in range(content.index(b"IDAT") + 4, content.index(b"IEND") - 8, 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        read += not code(path)
    assert read == 0


@pytest.mark.parametrize("colors", [1, 7])
def test_colors_beyond_the_palette_are_refused(tmp_path: Path, colors: int) -> None:
    indices = np.rint(GRAY * 7)
    for size, refusal in ((colors, "UNREADABLE"), (8, "")):
        palette = np.linspace(255, 0, 3 * size)
        path = png(tmp_path / "x.png", indices, bits=8, palette=palette)
        assert code(path) == refusal


def test_a_color_map_of_8_bits_is_not_black(tmp_path: Path) -> None:
    colors, seen = ramp_of_colors(8, GRAY)
    narrow = (np.array(colors) // 257).tolist()
    path = tiff(tmp_path / "x.tif", stored(GRAY, 8, "unsigned"), PALETTE, tags={COLOR_MAP: narrow})
    assert correlation(pixels(path), seen) > 0.99


def test_pages_of_one_file_may_differ_in_kind(tmp_path: Path) -> None:
    film = np.rint(GRAY * 4000).astype(np.uint16)
    pages = [film, np.rint(COLOR * 255).astype(np.uint8)]
    path = tmp_path / "x.tif"
    Image.fromarray(film[:, :, 0]).save(
        path, save_all=True, append_images=[Image.fromarray(pages[1])]
    )
    for number, page in enumerate(pages):
        assert correlation(pixels(path, number, frames="all"), page) > 0.99


def test_a_page_that_is_not_read_refuses_itself_alone(tmp_path: Path) -> None:
    page = noise(0, HEIGHT, WIDTH)
    path = tiff(tmp_path / "x.tif", [page, page.astype(np.float64), page])
    assert list(frames(path, ReadingConfig(frames="all"))) == [0, 1, 2]
    for number in (0, 2):
        assert np.array_equal(pixels(path, number, frames="all")[..., 0], page)
    with refused("FORMAT", "page 2: it is a 64-bit"):
        pixels(path, 1, frames="all")


def test_thumbnails_and_masks_are_no_pages(tmp_path: Path) -> None:
    page = noise(0, HEIGHT, WIDTH)
    path = tiff(tmp_path / "x.tif", [page, page[::2, ::2]], tags={SUBFILE: [1]})
    assert code(path) == "MULTIPAGE", "reduced copies alone are all the images that there are"
    Image.fromarray(page).save(
        path, save_all=True, append_images=[thumbnail_of(page)], compression="tiff_lzw"
    )
    assert np.array_equal(pixels(path)[..., 0], page)
    assert list(frames(path, ReadingConfig(frames="all"))) == []


def thumbnail_of(page: np.ndarray) -> Image.Image:
    small = Image.fromarray(page).reduce(2)
    small.encoderinfo = {"tiffinfo": {SUBFILE: 1}}
    return small


def test_the_limit_of_pixels_is_the_configured_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    page = noise(0, HEIGHT, WIDTH)
    for path in (raster(tmp_path / "x.png", page), tiff(tmp_path / "x.tif", page)):
        assert np.array_equal(pixels(path)[..., 0], page)
        with refused("TOO_LARGE", "32 x 24 pixels, more than reading.max_pixels = 767"):
            pixels(path, max_pixels=767)


def test_the_tables_are_found() -> None:
    cells = [*table("The samples of TIFF files"), *table("The samples of PNG files")]
    assert len(cells) > 140
    assert {cell for _, _, cell in cells} == {"read", "refused", "–"}
    assert packed(np.array([[1, 0, 1]]), 1) == b"\xa0"
