"""What the tags of a TIFF page say of its samples, where Pillow's mode does not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import TiffTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from medgan.sources.raw import ImageRefused, Values

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
SAMPLES, PLANAR, COLOR_MAP, FORM, SUBSAMPLING, REFERENCE = 277, 284, 320, 339, 530, 532
SUBFILE, FILL_ORDER, DESCRIPTION, DEPTH = 254, 266, 270, 32997
IMAGEJ_STACK = re.compile(r"ImageJ=.*^images=(\d+)", re.DOTALL | re.MULTILINE)
REDUCED_OR_MASK = 0b101  # bits of SUBFILE
SEPARATE = 2  # value of PLANAR: one plane for each channel
UNCOMPRESSED, OLD_JPEG = 1, 6  # values of COMPRESSION
FULL_RANGE = (0, 255, 128, 255, 128, 255)  # REFERENCE of YCbCr that uses all of 8 bits
WHITE_IS_ZERO, CMYK, YCBCR = 0, 5, 6
FORMS = ("unknown", "unsigned", "signed", "float", "undefined", "complex", "complex float")
ALPHA = ("A", "a")  # ends of modes with transparency
NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
"""Raw mode that Pillow gives a big-endian file -> that of what libtiff unpacks."""
REMEDY = "save it as 8-bit or 16-bit grey or RGB, or as 32-bit float grey"
INVERTED_BY_PILLOW = ("1", "L")  # modes of WhiteIsZero pages that Pillow itself inverts


def first_directory(path: Path) -> ImageFileDirectory_v2:
    """Read the tags of the first page, also of a file that Pillow does not open."""
    with path.open("rb") as file:
        header = file.read(8)
        big = 43 in header[2:4]
        directory = ImageFileDirectory_v2(header + file.read(8) if big else header)
        file.seek(directory.next)
        directory.load(file)
    return directory


def unknown(tags: ImageFileDirectory_v2) -> str:
    """Describe a page that is not read. Raises `SyntaxError` where it has no size: damaged."""
    if not {WIDTH, HEIGHT} <= set(tags):
        raise SyntaxError("no TIFF page")
    bits, forms = (sorted(set(_all(tags, key))) for key in (BITS, FORM))
    form = "/".join(FORMS[form if 0 < form < len(FORMS) else 0] for form in forms)
    color, packed = _name(tags, PHOTOMETRIC), _name(tags, COMPRESSION)
    kind = f"{'/'.join(map(str, bits))}-bit {form} TIFF ({color}, {tags.get(SAMPLES, 1)} channels"
    return f"it is a {kind}, compression {packed}), which is not read; {REMEDY}"


def _name(tags: ImageFileDirectory_v2, key: int) -> str:
    value = tags.get(key, 1)
    names = (name for name, number in TiffTags.lookup(key).enum.items() if number == value)
    return next(names, str(value)[:8])


def check(tags: ImageFileDirectory_v2, mode: str) -> None:
    """Refuse a page that Pillow opens, in this mode, but would not decode as it is meant."""
    deep = max(_all(tags, BITS)) > 8
    uncompressed = tags.get(COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED
    color = tags.get(PHOTOMETRIC)
    chroma = tuple(tags.get(SUBSAMPLING, (2, 2))), tuple(tags.get(REFERENCE, FULL_RANGE))
    planes, channels = tags.get(PLANAR) == SEPARATE, tags.get(SAMPLES, 1)
    problems = {
        "without a polarity (tag 262)": color is None and tags.get(COMPRESSION) != OLD_JPEG,
        "of several slices in one page": tags.get(DEPTH, 1) != 1 or _hides_others(tags),
        "of 16-bit, YCbCr or transparent channels in planes": planes
        and channels > 1
        and (deep or color == YCBCR or mode.endswith(ALPHA)),
        "of one channel in planes, of other than 8 bits or inverted": planes
        and channels == 1
        and uncompressed
        and (_all(tags, BITS) != (8,) or color == WHITE_IS_ZERO or tags.get(FILL_ORDER, 1) != 1),
        "of 16-bit CMYK": deep and color == CMYK,
        "of LAB colors": mode == "LAB",
        "of YCbCr that is subsampled or not of full range": color == YCBCR
        and uncompressed
        and chroma != ((1, 1), FULL_RANGE),
    }
    found = next((problem for problem, holds in problems.items() if holds), None)
    if found:
        raise ImageRefused("FORMAT", f"it is a TIFF {found}, which is not read; {REMEDY}")


def _hides_others(tags: ImageFileDirectory_v2) -> bool:
    """Return whether ImageJ wrote a stack of which only the first image has a page."""
    described = IMAGEJ_STACK.match(str(tags.get(DESCRIPTION, "")))
    return described is not None and int(described[1]) > 1 and tags.next == 0


def is_auxiliary(tags: ImageFileDirectory_v2) -> bool:
    """Return whether a page is a reduced copy or a transparency mask of another."""
    return bool(int(tags.get(SUBFILE, 0)) & REDUCED_OR_MASK)


def as_stored(values: Values, tags: ImageFileDirectory_v2, mode: str) -> Values:
    """Give samples the sign that Pillow's mode, L or I, loses."""
    stored = {("L", 8, 2): np.int8, ("I", 32, 1): np.uint32}
    kind = stored.get((mode, _all(tags, BITS)[0], _all(tags, FORM)[0]))
    return values.view(kind) if kind else values


def bytes_of_pixel(tags: ImageFileDirectory_v2) -> int:
    """Return the bytes of all samples of a pixel."""
    return -(-max(_all(tags, BITS)) * int(tags.get(SAMPLES, 1)) // 8)


def white_is_zero(tags: ImageFileDirectory_v2, mode: str) -> bool:
    """Return whether high values are dark, and Pillow has not inverted them."""
    return tags.get(PHOTOMETRIC) == WHITE_IS_ZERO and mode not in INVERTED_BY_PILLOW


def palette(tags: ImageFileDirectory_v2) -> bytes:
    """Return the reds, greens and blues; some writers store 8 of the 16 bits."""
    colors = np.asarray(tags[COLOR_MAP])
    return bytes((colors if colors.max() < 256 else colors // 256).astype(np.uint8))


def _all(tags: ImageFileDirectory_v2, key: int) -> tuple[int, ...]:
    """Return a tag with one value for each channel; 1 by default."""
    return tuple(np.atleast_1d(tags.get(key, 1)).tolist()) or (1,)
