"""Read JPEG, PNG, BMP and TIFF files.

Pillow decodes them. Where its mode does not say what the samples are (sign, depth, polarity), the
raw mode of the decoder and the tags of a TIFF file do; what Pillow would change is refused.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageOps, ImagePalette
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from medgan.sources.raw import ImageRefused, Pixels, Values
from medgan.sources.readers import tiff_tags as tags
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import Decoded, check_frame, check_pixels, windowed
from medgan.sources.readers.formats import detect
from medgan.sources.readers.jpeg import CheckedJpeg
from medgan.sources.readers.tiff_streams import DEFLATE, with_checked_streams

DECODERS: Mapping[str, Callable[[Path], ImageFile]] = {
    "JPEG": CheckedJpeg,
    "PNG": PngImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
}
"""Decoders of Pillow that are used; each further one would be one more way to attack. Unlike
`Image.open`, they say what they do not know."""
UNKNOWN_VARIANT = ("cannot handle", "Unsupported BMP")
"""Beginnings of Pillow's messages about files that are sound, but of a variant it does not know."""
MAX_PAGES = 16_384
LOWER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""End of a raw mode of 16 bits, of which Pillow keeps the upper byte -> end of the raw mode of the
other byte order, whose upper byte is the lower one."""
GRAY_STEP = {"L;2": 85, "L;4": 17}
"""Raw mode of PNG -> what Pillow multiplies gray levels with, but not the transparent one."""


def frames(path: Path, config: ReadingConfig) -> Sequence[int]:
    """Number the pages, where all of several are used; thumbnails and masks are no pages."""
    if config.frames != "all":
        return ()
    with _opened(path) as image:
        pages = _pages(image)
    return pages if len(pages) > 1 else ()


def read(path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
    """Decode a page. Raises `ImageRefused`."""
    if detect(path, DECODERS) == "PNG":
        with PngImageFile(path) as whole:
            whole.verify()  # the decoder does not compare the checksums of the pixels
    with _page(path, frame, config) as image:
        raw = _raw_mode(image)
        if image.mode in ("RGB", "RGBA") and ";16" in raw and image.format != "BMP":
            values, color = _deep(path, frame, config, raw)
        else:
            values, color = _shallow(image)
        clear = image.info.get("transparency") if image.format == "PNG" else None
        if clear is not None and image.mode != "P":
            values, color = _without(values, clear, raw), f"{color}, transparency on black"
        if not isinstance(image, TiffImageFile):
            return windowed(values, color, config)
        values = tags.as_stored(values, image.tag_v2, image.mode)
        shown = windowed(values, color, config)
        return _inverted(shown) if tags.white_is_zero(image.tag_v2, image.mode) else shown


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    """Open a file. Raises `ImageRefused` for a variant of its format that is not read."""
    kind = detect(path, DECODERS)
    try:
        image = DECODERS[kind](path)
    except (SyntaxError, OSError, ValueError) as error:
        if kind == "TIFF":
            raise ImageRefused("FORMAT", tags.unknown(tags.first_directory(path))) from error
        if str(error).startswith(UNKNOWN_VARIANT):
            raise ImageRefused("FORMAT", f"it is {kind} of a variant not read: {error}") from error
        raise
    # Pillow maps a file that it knows by name, and exchanges the sides of a turned TIFF before.
    image.filename = ""
    with image:
        yield image


@contextlib.contextmanager
def _page(path: Path, frame: int | None, config: ReadingConfig) -> Iterator[ImageFile]:
    """Open one page, checked and not yet decoded."""
    with _opened(path) as image:
        check_pixels(image.width, image.height, config)
        if Image.MAX_IMAGE_PIXELS is not None:  # the limit of Pillow, which is not ours
            Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, config.max_pixels)
        pages = _pages(image)
        check_frame(len(pages), frame, config, "pages")
        number = pages[0] if frame is None else frame
        if number:
            _seek(image, number)
            check_pixels(image.width, image.height, config)
        if isinstance(image, TiffImageFile):
            tags.check(image.tag_v2, image.mode)
            yield _tiff(image, path, number, config)
        else:
            yield image


def _tiff(image: TiffImageFile, path: Path, number: int, config: ReadingConfig) -> TiffImageFile:
    """Prepare a page for decoding."""
    if image.tag_v2.get(tags.COMPRESSION) in DEFLATE:
        limit = config.max_pixels * tags.bytes_of_pixel(image.tag_v2)
        image = TiffImageFile(BytesIO(with_checked_streams(path.read_bytes(), number, limit)))
        image.seek(number)
    if image.tile[0].codec_name == "libtiff":
        _decode_as(image, tags.NATIVE.get(raw := _raw_mode(image), raw))
    if image.mode in ("P", "PA"):
        image.palette = ImagePalette.raw("RGB;L", tags.palette(image.tag_v2))
    return image


def _pages(image: ImageFile) -> Sequence[int]:
    """Number the pages that are images: not the reduced copies and masks of a TIFF file."""
    count = _count(image)
    if count == 1 or not isinstance(image, TiffImageFile):
        return range(count)
    pages = []
    for number in range(count):
        with contextlib.suppress(SyntaxError):  # a page of another kind is refused when it is read
            image.seek(number)
        if not tags.is_auxiliary(image.tag_v2):
            pages.append(number)
    image.seek(0)
    return pages or range(count)


def _count(image: ImageFile) -> int:
    for _ in range(MAX_PAGES):
        with contextlib.suppress(SyntaxError):  # counting goes on behind a page of another kind
            count = int(getattr(image, "n_frames", 1))
            if count <= MAX_PAGES:
                return count
            break
    raise ImageRefused("TOO_LARGE", f"it has more than {MAX_PAGES} pages")


def _seek(image: ImageFile, number: int) -> None:
    try:
        image.seek(number)
    except SyntaxError as error:
        directory = cast(TiffImageFile, image).tag_v2
        raise ImageRefused("FORMAT", f"page {number + 1}: {tags.unknown(directory)}") from error


def _raw_mode(image: ImageFile) -> str:
    """Return Pillow's name of the layout of the stored samples."""
    arguments = image.tile[0].args if image.tile else ""
    return str(arguments if isinstance(arguments, str) else (*(arguments or ()), "")[0])


def _decode_as(image: ImageFile, raw_mode: str) -> None:
    """Let Pillow decode an image from another layout of samples."""
    image.tile = [
        tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)
        for tile in image.tile
    ]


def _upright(image: ImageFile) -> Image.Image:
    image.load()
    return ImageOps.exif_transpose(image)


def _shallow(image: ImageFile) -> tuple[Values, str]:
    """Decode an image whose samples Pillow keeps: up to 8 bits, or one channel."""
    upright = _upright(image)
    if upright.mode not in MODES:
        raise ImageRefused("FORMAT", f"its colors are {upright.mode}, which are not read")
    convert, color = MODES[upright.mode]
    return convert(upright), color


def _deep(path: Path, frame: int | None, config: ReadingConfig, raw: str) -> tuple[Values, str]:
    """Decode 2 to 4 channels of 16 bits. Pillow keeps the upper byte: both bytes are decoded."""

    def decoded(raw_mode: str) -> Pixels:
        with _page(path, frame, config) as image:
            if image.format == "PNG" and getattr(image, "is_animated", False):
                raise ImageRefused(
                    "FORMAT", "it is an animated PNG of 16 bits and several channels"
                )
            _decode_as(image, raw_mode)
            return np.asarray(_upright(image))

    if raw == "LA;16B":  # four bytes, as RGBA of 8 bits
        values = np.ascontiguousarray(decoded("RGBA")).view(">u2")
    else:
        whole = raw.replace("a", "A")  # Pillow would divide colors that were multiplied by alpha
        upper, lower = decoded(whole), decoded(whole[:-1] + LOWER_BYTE[whole[-1]])
        values = upper.astype(np.uint16) << 8 | lower
    colors, name = values.shape[2] - 1 | 1, "grey" if values.shape[2] == 2 else "RGB"
    if values.shape[2] == colors:
        return values, f"{name}, 16 bit"
    shown = values[:, :, :colors]
    if "a" not in raw:
        shown = (shown * (values[:, :, colors:] / 65535)).round().astype(np.uint16)
    return shown, f"{name}, 16 bit, transparency on black"


def _without(values: Values, clear: int | tuple[int, ...], raw: str) -> Values:
    """Show pixels of the transparent color black."""
    deep = values if values.ndim == 3 else values[:, :, None]
    step = GRAY_STEP.get(raw, 1)
    seen = (deep != np.asarray(clear, np.int64) * step).any(axis=2, keepdims=True)
    return cast(Values, np.where(seen, deep, np.zeros_like(deep)))


def _inverted(shown: Decoded) -> Decoded:
    color = f"{shown.metadata['color']}, WhiteIsZero, inverted"
    metadata = {**shown.metadata, "color": color}
    return replace(shown, low=shown.high, high=shown.low, metadata=metadata)


def _gray(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("L"))


def _rgb(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))


def _on_black(image: Image.Image) -> Pixels:
    full = image.convert("RGBA")
    return _rgb(Image.alpha_composite(Image.new("RGBA", full.size, (0, 0, 0, 255)), full))


def _palette(image: Image.Image) -> Pixels:
    colors = len(image.palette.palette) // len(image.palette.mode) if image.palette else 0
    if int(np.asarray(image).max()) >= colors:  # Pillow shows these black
        problem = f"it has pixels of other colors than the {colors} of its palette"
        raise ImageRefused("UNREADABLE", problem)
    return _on_black(image) if "transparency" in image.info else _rgb(image)


MODES: dict[str, tuple[Callable[[Image.Image], Values], str]] = {
    "1": (_gray, "black and white"),
    "L": (_gray, "grey"),
    "LA": (lambda image: _on_black(image)[:, :, 0], "grey, transparency on black"),
    "La": (lambda image: np.asarray(image)[:, :, 0], "grey, transparency on black"),
    "RGB": (_rgb, "RGB"),
    "P": (_palette, "palette to RGB"),
    "PA": (_on_black, "palette to RGB, transparency on black"),
    "RGBA": (_on_black, "RGB, transparency on black"),
    "CMYK": (_rgb, "CMYK to RGB"),
    "YCbCr": (_rgb, "YCbCr to RGB"),
    "I": (np.asarray, "grey, 32 bit"),
    **dict.fromkeys(("I;16", "I;16B", "I;16L"), (np.asarray, "grey, 16 bit")),
    "F": (np.asarray, "grey, float"),
}
"""Mode of Pillow -> conversion to an array, and its description."""
