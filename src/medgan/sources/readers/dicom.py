"""Reads DICOM files (pydicom): stored values, modality LUT, VOI window, and what of the header may
be told.

The header is read alone, with a list of the attributes that are wanted; the others never leave the
file. Then sizes are checked against the caps, against the length of the file and against what
compressed data say of themselves, and only then one frame is decoded.
"""

from __future__ import annotations

import io
import logging
import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.filereader import _read_file_meta_info, read_dataset, read_preamble
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import as_pixel_options
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, JPEGExtended12Bit, RLELossless

from medgan.sources.raw import ImageRefused
from medgan.sources.readers import dicom_metadata, dicom_pixels
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import Decoded, Recent, check_pixels, percentile_window, stamp
from medgan.sources.readers.dicom_pixels import check_size

# What pydicom warns of and logs quotes the file, names of patients included.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

PALETTES = tuple(
    f"{color}PaletteColorLookupTable{part}"
    for color in ("Red", "Green", "Blue")
    for part in ("Descriptor", "Data")
)
SEGMENTED = "SegmentedRedPaletteColorLookupTableData"
KEYWORDS = (
    *(
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "BitsAllocated",
    ),
    *(
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "ExtendedOffsetTable",
        "ExtendedOffsetTableLengths",
        "BurnedInAnnotation",
    ),
    *(*PALETTES, SEGMENTED),
)
TAGS = [
    cast(int, tag_for_keyword(keyword))
    for keyword in (*KEYWORDS, *dicom_pixels.KEYWORDS, *dicom_metadata.KEYWORDS)
]
"""All that is ever taken from a file."""
PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
MAX_FRAMES = 16_384
FRAMES_LOOKED_AT = 16
"""Frames of a file that its percentiles are computed from."""
VALUES_LOOKED_AT = 2**18
"""Values of each of them."""
NEEDS_PLUGIN = 'pip install "medgan[dicom]"'
COLORS = {
    "MONOCHROME1": "MONOCHROME1, inverted",
    "MONOCHROME2": "MONOCHROME2",
    "RGB": "RGB",
    "PALETTE COLOR": "palette to RGB",
    **{name: f"{name} to RGB" for name in ("YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")},
}
"""Photometric interpretation that is read -> what the manifest says became of it."""
_spreads: Recent[tuple[float, float]] = Recent(8)


@dataclass(frozen=True)
class _File:
    """An open file, positioned at its pixel data."""

    stream: BinaryIO
    header: Dataset
    syntax: UID
    options: dict[str, Any]
    size: int
    """Bytes from the start of the pixel data to the end of the file."""

    @property
    def count(self) -> int:
        return int(self.header.get("NumberOfFrames") or 1)

    @property
    def shape(self) -> tuple[int, int, int]:
        return int(self.header.Rows), int(self.header.Columns), int(self.header.SamplesPerPixel)


def frames(path: Path, config: ReadingConfig) -> Sequence[int]:
    """Numbers of the frames, where all of several count."""
    if config.frames != "all":
        return ()
    with _opened(path, config) as file:
        _check_header(file, config)
        return range(file.count) if file.count > 1 else ()


def read(path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
    """One frame. Raises `ImageRefused`."""
    with _opened(path, config) as file:
        _check_header(file, config)
        if file.count > 1 and frame is None and config.frames != "first":
            raise ImageRefused(
                "MULTIPAGE",
                f"it holds {file.count} frames; say with reading.frames whether the first or all of them count",
            )
        decoded = _decoded(file, path, frame or 0, config)
        facts = dicom_metadata.describe(file.header, config)
    return Decoded(decoded.values, decoded.low, decoded.high, {**facts, **decoded.metadata})


@contextmanager
def _opened(path: Path, config: ReadingConfig) -> Iterator[_File]:
    with path.open("rb") as raw:
        read_preamble(raw, force=False)
        meta = _read_file_meta_info(raw)
        syntax = UID(meta.TransferSyntaxUID)
        stream = _inflated(raw, config) if syntax == DeflatedExplicitVRLittleEndian else raw
        header = read_dataset(
            stream,
            is_implicit_VR=syntax.is_implicit_VR,
            is_little_endian=syntax.is_little_endian,
            stop_when=lambda tag, _, __: tag in PIXELS,
            specific_tags=[BaseTag(tag) for tag in TAGS],
        )
        header.file_meta = meta
        options = _pixel_element(stream, syntax)
        start = stream.tell()
        size = stream.seek(0, io.SEEK_END) - start
        stream.seek(start)
        yield _File(stream, header, syntax, options, size)


def _inflated(raw: BinaryIO, config: ReadingConfig) -> BinaryIO:
    """The rest of a file in the deflated syntax, unpacked up to the cap."""
    unpacked = zlib.decompressobj(-zlib.MAX_WBITS)
    data = unpacked.decompress(raw.read(), config.max_volume_bytes + 1)
    if len(data) > config.max_volume_bytes:
        raise ImageRefused(
            "TOO_LARGE",
            f"it unpacks to more than reading.max_volume_bytes = {config.max_volume_bytes}",
        )
    return io.BytesIO(data)


def _pixel_element(stream: BinaryIO, syntax: UID) -> dict[str, Any]:
    """Reads tag, value representation and length of the pixel data; what the decoder wants to know
    of them.
    """
    order = "><"[syntax.is_little_endian]
    start = stream.read(8)
    if len(start) < 8:
        raise ImageRefused(
            "NO_PIXELS",
            "it has no pixel data: it is a report, a plan or a table of contents, or it is cut",
        )
    group, element, representation = struct.unpack_from(f"{order}HH2s", start)
    if (
        syntax.is_implicit_VR or not representation.isalpha()
    ):  # some writers change to implicit in the middle of a file
        return {"pixel_keyword": PIXELS[group << 16 | element]}
    stream.read(4)
    return {
        "pixel_keyword": PIXELS[group << 16 | element],
        "pixel_vr": representation.decode("ascii"),
    }


def _check_header(file: _File, config: ReadingConfig) -> None:
    """Raises `ImageRefused` for what is not to be decoded, or not what is there."""
    if (
        str(file.header.get("BurnedInAnnotation") or "").upper() == "YES"
        and config.burned_in == "refuse"
    ):
        raise ImageRefused(
            "BURNED_IN",
            "it says that text is drawn into its pixels; reading.burned_in = keep takes it all the same",
        )
    color = str(file.header.PhotometricInterpretation)
    if color not in COLORS or SEGMENTED in file.header:
        raise ImageRefused(
            "FORMAT", f"its colors are of a kind that is not read; read are {', '.join(COLORS)}"
        )
    rows, columns, samples = file.shape
    check_pixels(columns, rows, config)
    if samples not in (1, 3) or not 1 <= file.count <= MAX_FRAMES:
        raise ImageRefused(
            "UNREADABLE", f"its header says {samples} samples a pixel and {file.count} frames"
        )
    _check_length(file, rows * columns * samples)


def _check_length(file: _File, values: int) -> None:
    bits = values * int(file.header.BitsAllocated)
    # 4:2:2 stores two thirds of the bytes; a compressed frame has at least an item header.
    shares = {"YBR_FULL_422": 2 / 3}
    native = math.ceil(
        bits * file.count / 8 * shares.get(str(file.header.PhotometricInterpretation), 1.0)
    )
    least = 8 * file.count if file.syntax.is_encapsulated else native
    if file.size < least:
        raise ImageRefused(
            "UNREADABLE", f"it is cut: its pixel data have {file.size} bytes of at least {least}"
        )


def _decoded(file: _File, path: Path, frame: int, config: ReadingConfig) -> Decoded:
    photometric = str(file.header.PhotometricInterpretation)
    stored = _stored(file, frame)
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, file.header)
    facts = {"color": COLORS[photometric]}
    if stored.ndim == 3:
        return Decoded(stored, *_full_range(stored, file.header), facts)
    values = dicom_pixels.modality_values(stored, file.header, frame)
    shown = dicom_pixels.shown(
        values, file.header, frame, config, lambda: _spread(file, path, values)
    )
    limits = shown.limits or ((0.0, 255.0) if photometric == "MONOCHROME1" else (None, None))
    low, high = reversed(limits) if photometric == "MONOCHROME1" else limits
    return Decoded(
        shown.values[:, :, None],
        low,
        high,
        facts | ({"window": shown.window} if shown.window else {}),
    )


def _full_range(values: NDArray[np.generic], header: Dataset) -> tuple[float | None, float | None]:
    """Colors are shown as they are, from 0 to the highest number of their depth."""
    if values.dtype == np.uint8:
        return None, None
    palette = header.get(PALETTES[0])
    return 0.0, 2.0 ** int(palette[2] if palette else header.BitsStored) - 1.0


def _stored(file: _File, frame: int) -> NDArray[np.generic]:
    """Stored values (H, W) or, in color, RGB (H, W, 3)."""
    decoder = _decoder(file)
    start = file.stream.tell()
    if file.syntax.is_encapsulated:
        _check_frame(file, frame)
        file.stream.seek(start)
    options = as_pixel_options(file.header, transfer_syntax_uid=file.syntax, **file.options)
    values, _ = decoder.as_array(file.stream, index=frame, **options)
    file.stream.seek(start)
    return cast(NDArray[np.generic], values)


def _decoder(file: _File) -> Any:
    try:
        decoder = get_decoder(file.syntax)
    except NotImplementedError:
        raise ImageRefused(
            "NO_DECODER",
            "its transfer syntax is one that no known package decodes; save it uncompressed",
        ) from None
    only_8_bit = (
        file.syntax == JPEGExtended12Bit
        and int(file.header.BitsStored) > 8
        and set(decoder.available_plugins) <= {"pillow"}
    )
    if not decoder.is_available or only_8_bit:
        raise ImageRefused(
            "NO_DECODER",
            f"its transfer syntax, {file.syntax.name}, needs a package that is missing: {NEEDS_PLUGIN}",
        )
    return decoder


def _check_frame(file: _File, frame: int) -> None:
    offsets = (
        (file.header.ExtendedOffsetTable, file.header.ExtendedOffsetTableLengths)
        if "ExtendedOffsetTable" in file.header
        else None
    )
    data = get_frame(file.stream, frame, number_of_frames=file.count, extended_offsets=offsets)
    rows, columns, samples = file.shape
    if file.syntax != RLELossless:
        check_size(data, columns, rows, samples)
    elif (
        len(data)
        > 64
        + 2 * rows * columns * samples * math.ceil(int(file.header.BitsAllocated) / 8)
        + 16 * 15
    ):
        raise ImageRefused(
            "UNREADABLE", "its compressed data are longer than any image of its size"
        )


def _spread(file: _File, path: Path, values: NDArray[np.generic]) -> tuple[float, float]:
    """Percentiles of an image; those of the whole file where it has several frames, so that they
    stay comparable.
    """
    if file.count == 1:
        return percentile_window(values)
    return _spreads.get(stamp(path), lambda: percentile_window(_sample(file)))


def _sample(file: _File) -> NDArray[np.generic]:
    chosen = np.unique(
        np.linspace(0, file.count - 1, min(file.count, FRAMES_LOOKED_AT)).round().astype(int)
    )
    parts = []
    for frame in map(int, chosen):
        values = dicom_pixels.modality_values(_stored(file, frame), file.header, frame).reshape(-1)
        parts.append(values[:: values.size // VALUES_LOOKED_AT | 1])
    return np.concatenate(parts)
