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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.filereader import _read_file_meta_info, read_dataset, read_preamble
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
    RLELossless,
)
from pydicom.values import converters

from medgan.files.parallel import Recent, stamp
from medgan.sources.raw import Bools, ImageRefused, Values
from medgan.sources.readers import dicom_header, dicom_kinds, dicom_metadata, dicom_pixels, volumes
from medgan.sources.readers.config import ReadingConfig, evenly_spaced
from medgan.sources.readers.decoding import Decoded, check_frame, percentile_window
from medgan.sources.readers.dicom_attributes import numbers
from medgan.sources.readers.dicom_frames import check_rest, check_size
from medgan.sources.readers.dicom_header import COLORS, MONOCHROME, check_header, frame_count
from medgan.sources.readers.dicom_pixels import Stored
from medgan.sources.readers.formats import PREFIX

# Warnings and log records of pydicom quote the file, names of patients included.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

ASPECT = "PixelAspectRatio"
KEYWORDS = (
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", ASPECT, *dicom_header.KEYWORDS),
    *(*dicom_kinds.KEYWORDS, *dicom_pixels.KEYWORDS, *dicom_metadata.KEYWORDS),
)
"""All attributes that are ever read."""
TAGS: list[BaseTag | int] = [BaseTag(cast(int, tag_for_keyword(keyword))) for keyword in KEYWORDS]
PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
SAMPLED_FRAMES = 16  # frames of a file that its percentiles are computed from
SAMPLED_VALUES = 2**18  # values of each of them
PIXEL_VRS = frozenset((b"OB", b"OW", b"OF", b"OD", b"UN"))  # all with lengths of four bytes
UNDEFINED = 0xFFFFFFFF  # length of compressed pixel data
_windows: Recent[tuple[float, float]] = Recent(8)


@dataclass(frozen=True)
class _File:
    """An open file with a checked header, positioned at its pixel data."""

    stream: BinaryIO
    header: Dataset
    syntax: UID
    options: dict[str, str]  # of the decoder

    @property
    def count(self) -> int:
        return frame_count(self.header)

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
        return range(file.count) if file.count > 1 else ()


def read(path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
    """Decode a frame. Raises `ImageRefused`."""
    with _opened(path, config) as file:
        check_frame(file.count, frame, config, "frames")
        decoded = _squared(_decoded(file, path, frame or 0, config), file.header, config)
        metadata = dicom_metadata.describe(file.header, config)
    return Decoded(decoded.values, decoded.low, decoded.high, {**metadata, **decoded.metadata})


@contextmanager
def _opened(path: Path, config: ReadingConfig) -> Iterator[_File]:
    with path.open("rb") as file:
        packed = volumes.is_packed(path)
        raw = _unpacked(file, config, 16 + zlib.MAX_WBITS) if packed else file
        if raw.read(len(PREFIX)) != PREFIX:  # some files begin with it
            raw.seek(0)
            read_preamble(raw, force=True)
        meta = _read_file_meta_info(raw)
        syntax = _transfer_syntax(raw, meta)
        deflated = syntax == DeflatedExplicitVRLittleEndian
        stream = _unpacked(raw, config, -zlib.MAX_WBITS) if deflated else raw
        header = read_dataset(
            stream,
            is_implicit_VR=syntax.is_implicit_VR,
            is_little_endian=syntax.is_little_endian,
            stop_when=lambda tag, _, __: tag in PIXELS,
            specific_tags=TAGS,
        )
        header.file_meta = meta
        dicom_kinds.check_kind(header, config)
        options, size = _pixel_element(stream, syntax)
        needed = check_header(
            header, options["pixel_keyword"], syntax.is_encapsulated, size, config
        )
        check_rest(stream, header, syntax, needed, size)
        yield _File(stream, header, syntax, options)


def _unpacked(raw: BinaryIO, config: ReadingConfig, bits: int) -> BinaryIO:
    """Unpack the rest of a file, up to the cap. The checksum of gzip is behind all data."""
    cap = config.max_volume_bytes
    unpacking = zlib.decompressobj(bits)
    data = unpacking.decompress(raw.read(), cap + 1)
    if len(data) > cap:
        raise ImageRefused("TOO_LARGE", f"it unpacks to more than reading.max_volume_bytes = {cap}")
    if not unpacking.eof:
        raise ImageRefused("UNREADABLE", "its compressed data are cut or damaged")
    return io.BytesIO(data)


def _transfer_syntax(raw: BinaryIO, meta: Dataset) -> UID:
    """Return the stated syntax or, without one, that of the first element."""
    stated = meta.get("TransferSyntaxUID")
    if not stated:
        start = raw.read(6)
        raw.seek(-len(start), io.SEEK_CUR)
        if start[4:6].decode("latin-1") not in converters:
            stated = ImplicitVRLittleEndian
        else:
            stated = ExplicitVRBigEndian if start[0] == 0 else ExplicitVRLittleEndian
        meta.TransferSyntaxUID = stated
    syntax = UID(str(stated))
    if syntax.is_private or syntax.type != "Transfer Syntax":
        raise ImageRefused("NO_DECODER", "no package decodes its transfer syntax")
    return syntax


def _pixel_element(stream: BinaryIO, syntax: UID) -> tuple[dict[str, str], int]:
    """Return the options of the decoder that the pixel element states, and its bytes."""
    start = stream.read(8)
    if len(start) < 8:
        problem = "it has no PixelData: it is no image, or it is cut"
        raise ImageRefused("NO_PIXELS", problem)
    order = "><"[syntax.is_little_endian]
    group, element, representation = struct.unpack_from(f"{order}HH2s", start)
    options = {"pixel_keyword": PIXELS[group << 16 | element]}
    length = start[4:]
    if (
        representation in PIXEL_VRS
    ):  # some writers change to another syntax: even lengths have no O, U
        options["pixel_vr"] = representation.decode("ascii")
        length = stream.read(4)
    stated = struct.unpack(f"{order}I", length)[0]
    if (stated == UNDEFINED) != syntax.is_encapsulated:
        problem = "compressed" if stated == UNDEFINED else "not compressed"
        problem = f"its PixelData are {problem}, against its TransferSyntaxUID"
        raise ImageRefused("UNREADABLE", problem)
    place = stream.tell()
    rest = stream.seek(0, io.SEEK_END) - place
    stream.seek(place)
    return options, min(stated, rest)


def _decoded(file: _File, path: Path, frame: int, config: ReadingConfig) -> Decoded:
    stored, header = _stored(file, frame), file.header
    if file.photometric not in MONOCHROME:
        return _colored(file, stored.values)
    values = dicom_pixels.modality_values(stored.values, header, frame)
    shown = dicom_pixels.voi_window(
        values, header, frame, config, lambda: _percentiles(file, path, values, stored.padded)
    )
    inverted = file.photometric == "MONOCHROME1"
    if stored.padded is not None:
        shown = dicom_pixels.show_black(shown, stored.padded, inverted)
    low, high = shown.limits or (None, None)
    if inverted:
        low, high = (255.0, 0.0) if low is None else (high, low)
    metadata = {"color": COLORS[file.photometric]} | ({"window": shown.name} if shown.name else {})
    return Decoded(shown.values[:, :, None], low, high, metadata)


def _squared(decoded: Decoded, header: Dataset, config: ReadingConfig) -> Decoded:
    """Resample pixels that are not square (PS3.3 C.7.6.3.1.7)."""
    ratio = numbers(header, ASPECT)
    if len(ratio) != 2 or max(ratio) <= volumes.SAME_SPACING * min(ratio):
        return decoded
    spacing, values = (ratio[0], ratio[1]), decoded.values
    volumes.check_spacing(spacing, (values.shape[0], values.shape[1]), config)
    shown: Values = volumes.squared(values, spacing)
    if decoded.low is None:
        shown = np.rint(shown).astype(np.uint8)
    color = f"{decoded.metadata['color']}, resampled to square pixels"
    return replace(decoded, values=shown, metadata={**decoded.metadata, "color": color})


def _colored(file: _File, stored: Values) -> Decoded:
    depth, metadata = int(file.header.BitsStored), {"color": COLORS[file.photometric]}
    if file.photometric == "PALETTE COLOR":
        stored, depth = dicom_pixels.palette_colors(stored, file.header)
    if stored.dtype == np.uint8 and depth == 8:
        return Decoded(stored, metadata=metadata)
    return Decoded(stored, 0.0, 2.0**depth - 1.0, metadata)


def _stored(file: _File, frame: int) -> Stored:
    """Decode stored values (H, W) or, in color, RGB (H, W, 3)."""
    decoder, header = _decoder(file), file.header
    start, precision = file.stream.tell(), None
    if file.syntax.is_encapsulated:
        precision = _check_frame(file, frame)
        file.stream.seek(start)
    options = as_pixel_options(header, transfer_syntax_uid=file.syntax, **file.options)
    words, _ = decoder.as_array(file.stream, index=frame, correct_unused_bits=False, **options)
    file.stream.seek(start)
    values = dicom_pixels.stored_bits(words, header, precision)
    if file.photometric not in MONOCHROME:
        return Stored(values)
    keyword = file.options["pixel_keyword"]
    return Stored(values, dicom_pixels.padding(words, values, header, keyword))


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


def _check_frame(file: _File, frame: int) -> int | None:
    """Return the bits of a compressed frame, where it states them.

    Raises `ImageRefused` for a frame of another size than the header says.
    """
    header = file.header
    offsets = None
    if "ExtendedOffsetTable" in header:
        offsets = header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths
    data = get_frame(file.stream, frame, number_of_frames=file.count, extended_offsets=offsets)
    rows, columns, samples = file.shape
    if file.syntax != RLELossless:
        return check_size(data, (columns, rows, samples))
    raw = rows * columns * samples * math.ceil(int(header.BitsAllocated) / 8)
    if len(data) > 2 * raw + 64 + 16 * 15:
        raise ImageRefused("UNREADABLE", "its compressed data are too long for its size")
    return None


def _percentiles(
    file: _File, path: Path, values: Values, padded: Bools | None
) -> tuple[float, float]:
    """Compute the percentiles of an image, or of its whole file, which keeps frames comparable.

    Padding does not count. Raises `ImageRefused` where there is nothing else.
    """

    def sampled() -> tuple[float, float]:
        parts = []
        for frame in evenly_spaced(file.count, SAMPLED_FRAMES):
            stored = _stored(file, frame)
            shown = dicom_pixels.modality_values(stored.values, file.header, frame)
            part = _counted(shown, stored.padded)
            parts.append(part[:: part.size // SAMPLED_VALUES | 1])
        return percentiles(np.concatenate(parts))

    def percentiles(counted: Values) -> tuple[float, float]:
        if not counted.size:
            raise ImageRefused("CONSTANT", "all of its pixels are padding")
        return percentile_window(counted)

    if file.count == 1:
        return percentiles(_counted(values, padded))
    return _windows.get(stamp(path), sampled)


def _counted(values: Values, padded: Bools | None) -> Values:
    return values.reshape(-1) if padded is None else values[~padded]
