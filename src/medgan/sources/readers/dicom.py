"""Read DICOM files (pydicom).

Only the listed attributes of the header are read; others never leave the file. Sizes are checked
against the caps, the length of the file and the compressed data before one frame is decoded.
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
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.filereader import _read_file_meta_info, read_dataset, read_preamble
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import as_pixel_options
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, JPEGExtended12Bit, RLELossless

from medgan.files.parallel import Recent, stamp
from medgan.sources.raw import ImageRefused, Values
from medgan.sources.readers import dicom_metadata, dicom_pixels
from medgan.sources.readers.config import ReadingConfig, evenly_spaced
from medgan.sources.readers.decoding import Decoded, check_frame, check_pixels, percentile_window

# Warnings and log records of pydicom quote the file, names of patients included.
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
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "BurnedInAnnotation"),
    *(*PALETTES, SEGMENTED, *dicom_pixels.KEYWORDS, *dicom_metadata.KEYWORDS),
)
"""All attributes that are ever read."""
TAGS: list[BaseTag | int] = [BaseTag(cast(int, tag_for_keyword(keyword))) for keyword in KEYWORDS]
PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
MAX_FRAMES = 16_384
SAMPLED_FRAMES = 16  # frames of a file that its percentiles are computed from
SAMPLED_VALUES = 2**18  # values of each of them
COLORS = {
    "MONOCHROME1": "MONOCHROME1, inverted",
    "MONOCHROME2": "MONOCHROME2",
    "RGB": "RGB",
    "PALETTE COLOR": "palette to RGB",
    **{name: f"{name} to RGB" for name in ("YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")},
}
"""Photometric interpretation -> its description in the manifest; others are refused."""
NATIVE_SHARES = {"YBR_FULL_422": 2 / 3}
"""Photometric interpretation -> share of the bytes that uncompressed pixels have."""
_windows: Recent[tuple[float, float]] = Recent(8)


@dataclass(frozen=True)
class _File:
    """An open file, positioned at its pixel data."""

    stream: BinaryIO
    header: Dataset
    syntax: UID
    options: dict[str, Any]
    size: int  # bytes from the start of the pixel data to the end of the file

    @property
    def count(self) -> int:
        return int(self.header.get("NumberOfFrames") or 1)

    @property
    def shape(self) -> tuple[int, int, int]:
        return int(self.header.Rows), int(self.header.Columns), int(self.header.SamplesPerPixel)

    @property
    def photometric(self) -> str:
        return str(self.header.PhotometricInterpretation)


def frames(path: Path, config: ReadingConfig) -> Sequence[int]:
    """Number the frames, where all of several are used."""
    if config.frames != "all":
        return ()
    with _opened(path, config) as file:
        _check_header(file, config)
        return range(file.count) if file.count > 1 else ()


def read(path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
    """Decode a frame. Raises `ImageRefused`."""
    with _opened(path, config) as file:
        _check_header(file, config)
        check_frame(file.count, frame, config, "frames")
        decoded = _decoded(file, path, frame or 0, config)
        metadata = dicom_metadata.describe(file.header, config)
    return Decoded(decoded.values, decoded.low, decoded.high, {**metadata, **decoded.metadata})


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
            specific_tags=TAGS,
        )
        header.file_meta = meta
        options = _pixel_element(stream, syntax)
        start = stream.tell()
        size = stream.seek(0, io.SEEK_END) - start
        stream.seek(start)
        yield _File(stream, header, syntax, options, size)


def _inflated(raw: BinaryIO, config: ReadingConfig) -> BinaryIO:
    """Unpack the rest of a file in the deflated syntax, up to the cap."""
    cap = config.max_volume_bytes
    data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw.read(), cap + 1)
    if len(data) > cap:
        raise ImageRefused("TOO_LARGE", f"it unpacks to more than reading.max_volume_bytes = {cap}")
    return io.BytesIO(data)


def _pixel_element(stream: BinaryIO, syntax: UID) -> dict[str, Any]:
    """Read tag, value representation and length of the pixel data into options of the decoder."""
    start = stream.read(8)
    if len(start) < 8:
        raise ImageRefused("NO_PIXELS", "it has no pixel data: it is no image, or it is cut")
    order = "><"[syntax.is_little_endian]
    group, element, representation = struct.unpack_from(f"{order}HH2s", start)
    options = {"pixel_keyword": PIXELS[group << 16 | element]}
    if syntax.is_implicit_VR or not representation.isalpha():  # some writers change to implicit
        return options
    stream.read(4)
    return options | {"pixel_vr": representation.decode("ascii")}


def _check_header(file: _File, config: ReadingConfig) -> None:
    """Raise `ImageRefused` for a header that is not allowed, or does not match the file."""
    burned_in = str(file.header.get("BurnedInAnnotation") or "").upper() == "YES"
    if burned_in and config.burned_in == "refuse":
        remedy = "reading.burned_in = keep reads it anyway"
        raise ImageRefused("BURNED_IN", f"its header says that its pixels show text; {remedy}")
    if file.photometric not in COLORS or SEGMENTED in file.header:
        raise ImageRefused("FORMAT", f"its colors are none of {', '.join(COLORS)}")
    rows, columns, samples = file.shape
    check_pixels(columns, rows, config)
    if samples not in (1, 3) or not 1 <= file.count <= MAX_FRAMES:
        raise ImageRefused("UNREADABLE", f"it has {samples} samples and {file.count} frames")
    bits = rows * columns * samples * int(file.header.BitsAllocated) * file.count
    native = math.ceil(bits / 8 * NATIVE_SHARES.get(file.photometric, 1.0))
    least = 8 * file.count if file.syntax.is_encapsulated else native  # an item header a frame
    if file.size < least:
        raise ImageRefused("UNREADABLE", f"it is cut: it has {file.size} of {least} bytes")


def _decoded(file: _File, path: Path, frame: int, config: ReadingConfig) -> Decoded:
    stored = _stored(file, frame)
    if file.photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, file.header)
    metadata = {"color": COLORS[file.photometric]}
    if stored.ndim == 3:
        if stored.dtype == np.uint8:
            return Decoded(stored, metadata=metadata)
        palette = file.header.get(PALETTES[0])
        depth = int(palette[2] if palette else file.header.BitsStored)
        return Decoded(stored, 0.0, 2.0**depth - 1.0, metadata)
    values = dicom_pixels.modality_values(stored, file.header, frame)
    shown = dicom_pixels.voi_window(
        values, file.header, frame, config, lambda: _percentiles(file, path, values)
    )
    low, high = shown.limits or (None, None)
    if file.photometric == "MONOCHROME1":
        low, high = (255.0, 0.0) if low is None else (high, low)
    if shown.name:
        metadata["window"] = shown.name
    return Decoded(shown.values[:, :, None], low, high, metadata)


def _stored(file: _File, frame: int) -> Values:
    """Decode stored values (H, W) or, in color, RGB (H, W, 3)."""
    decoder = _decoder(file)
    start = file.stream.tell()
    if file.syntax.is_encapsulated:
        _check_frame(file, frame)
        file.stream.seek(start)
    options = as_pixel_options(file.header, transfer_syntax_uid=file.syntax, **file.options)
    values, _ = decoder.as_array(file.stream, index=frame, **options)
    file.stream.seek(start)
    return cast(Values, values)


def _decoder(file: _File) -> Any:
    try:
        decoder = get_decoder(file.syntax)
    except NotImplementedError:
        raise ImageRefused("NO_DECODER", "no package decodes its transfer syntax") from None
    deep = file.syntax == JPEGExtended12Bit and int(file.header.BitsStored) > 8
    only_8_bit = deep and set(decoder.available_plugins) <= {"pillow"}
    if not decoder.is_available or only_8_bit:
        remedy = 'a package that is missing: pip install "medgan[dicom]"'
        raise ImageRefused("NO_DECODER", f"its syntax, {file.syntax.name}, needs {remedy}")
    return decoder


def _check_frame(file: _File, frame: int) -> None:
    """Raise `ImageRefused` for a compressed frame of another size than the header says."""
    header = file.header
    offsets = None
    if "ExtendedOffsetTable" in header:
        offsets = header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths
    data = get_frame(file.stream, frame, number_of_frames=file.count, extended_offsets=offsets)
    rows, columns, samples = file.shape
    if file.syntax != RLELossless:
        dicom_pixels.check_size(data, (columns, rows, samples))
        return
    raw = rows * columns * samples * math.ceil(int(header.BitsAllocated) / 8)
    if len(data) > 2 * raw + 64 + 16 * 15:
        raise ImageRefused("UNREADABLE", "its compressed data are too long for its size")


def _percentiles(file: _File, path: Path, values: Values) -> tuple[float, float]:
    """Compute the percentiles of an image, or of its whole file, which keeps frames comparable."""

    def sampled() -> tuple[float, float]:
        parts = []
        for frame in evenly_spaced(file.count, SAMPLED_FRAMES):
            shown = dicom_pixels.modality_values(_stored(file, frame), file.header, frame)
            parts.append(shown.reshape(-1)[:: shown.size // SAMPLED_VALUES | 1])
        return percentile_window(np.concatenate(parts))

    return percentile_window(values) if file.count == 1 else _windows.get(stamp(path), sampled)
