"""DICOM pixels over transfer syntax x bits x sign x padding x overlay x photometric interpretation.

Every file is made from known values, and what it has to show is computed here from them.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from tests.faults.making import BUNDLED, code, metadata, noise, pixels

NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
LOSSLESS = (*NATIVE, RLELossless, JPEG2000Lossless)
BITS = (
    *((8, 8, 7), (8, 6, 5), (8, 6, 7), (16, 16, 15), (16, 12, 11), (16, 12, 15), (16, 12, 13)),
    *((16, 10, 9), (16, 10, 11), (16, 8, 7), (32, 32, 31)),
)
"""Bits allocated and stored, and the high bit."""
STORED = [
    (syntax, bits)
    for syntax in LOSSLESS
    for bits in BITS
    if bits[0] <= 16 or syntax in NATIVE  # the encoders take at most 24 bits
]
SHAPE = (40, 36)  # the encoder of JPEG 2000 takes no smaller images
COMBINATIONS = (
    ("none", False, False),
    ("none", True, True),
    ("low", True, False),
    ("high", True, True),
    ("range", True, False),
)
"""Padding, bits where nothing is stored, and MONOCHROME1."""
BORDER = np.zeros(SHAPE, bool)
BORDER[:, :4] = BORDER[:3] = True


def name_of(value: object) -> str:
    return UID(value).name if isinstance(value, str) else str(value)


def film(stored: int, signed: bool) -> np.ndarray:
    """Values over the middle of the range of `stored` bits; the ends are left for padding."""
    rng = np.random.default_rng(stored)
    ramp = np.linspace(0.1, 0.85, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    values = np.floor((ramp + rng.uniform(0, 0.05, SHAPE)) * 2**stored)
    return values.astype(np.int64) - (2 ** (stored - 1) if signed else 0)


def words_of(values: np.ndarray, bits: tuple[int, int, int], overlay: bool) -> np.ndarray:
    """Words that hold the values below their high bit, and other bits where nothing is stored."""
    allocated, stored, high = bits
    shift, mask = high + 1 - stored, 2**stored - 1
    words = (values & mask) << shift
    if overlay:
        others = np.random.default_rng(1).integers(0, 2**allocated, values.shape)
        words |= others & ~(mask << shift) & (2**allocated - 1)
    return words.astype(f"u{allocated // 8}")


def dicom(
    path: Path, words: np.ndarray, syntax: str, signed: bool = False, **attributes: Any
) -> Path:
    """A file of such words (H, W), (H, W, 3) or, with NumberOfFrames, (frames, H, W)."""
    file, meta = Dataset(), FileMetaDataset()
    file.file_meta, meta.TransferSyntaxUID = meta, syntax
    meta.MediaStorageSOPClassUID = file.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = "1.2.3"
    color = words.ndim == 3 and "NumberOfFrames" not in attributes
    file.Rows, file.Columns = words.shape[:2] if color else words.shape[-2:]
    file.SamplesPerPixel = 3 if color else 1
    file.PhotometricInterpretation = "RGB" if color else "MONOCHROME2"
    if color:
        file.PlanarConfiguration = 0
    file.BitsAllocated = file.BitsStored = 8 * words.dtype.itemsize
    file.HighBit, file.PixelRepresentation = file.BitsStored - 1, int(signed)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    file.PixelData = words.astype(words.dtype.newbyteorder(order)).tobytes()
    file["PixelData"].VR = "OB" if words.dtype.itemsize == 1 else "OW"
    if syntax in (RLELossless, JPEG2000Lossless):
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file.compress(syntax)
    elif syntax == JPEG2000:
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file.compress(syntax, j2k_cr=[4])
    elif UID(syntax).is_encapsulated:
        file.PixelData = encapsulate([attributes.pop("frame")])
    for keyword, value in attributes.items():
        if isinstance(value, DataElement):
            file.add(value)
        else:
            setattr(file, keyword, value)
    file.save_as(path, enforce_file_format=True)
    return path


def shown(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) / (high - low), 0, 1) * 255


def expected(
    values: np.ndarray, padded: np.ndarray, stored: int, signed: bool, inverted: bool
) -> np.ndarray:
    low, high = np.percentile(values[~padded], (0.1, 99.9))
    if stored <= 8 and not signed:
        low, high = 0, 2**stored - 1
    picture = shown(values, *((high, low) if inverted else (low, high)))
    return np.where(padded, 0, picture)


def paddings(stored: int, signed: bool) -> dict[str, list[int]]:
    """Name -> the padding value and, for a range, its limit."""
    lowest = -(2 ** (stored - 1)) if signed else 0
    highest = lowest + 2**stored - 1
    return {
        "none": [],
        "low": [lowest],
        "high": [highest],
        "range": [lowest + 2, lowest],
    }


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("syntax", "bits"), STORED, ids=name_of)
def test_pixels_are_what_was_stored(
    tmp_path: Path, syntax: str, bits: tuple[int, int, int], signed: bool
) -> None:
    stored = bits[1]
    for name, overlay, inverted in COMBINATIONS:
        ends = paddings(stored, signed)[name]
        values, padded = film(stored, signed), np.zeros(SHAPE, bool)
        attributes = {"PixelPaddingValue": ends[0]} if ends else {}
        if ends:
            padded = BORDER
            values[padded] = np.resize(ends, padded.sum())
        if name == "range":
            attributes["PixelPaddingRangeLimit"] = ends[1]
        if stored > 16:
            attributes, padded = {}, np.zeros(SHAPE, bool)
        words = words_of(values, bits, overlay)
        path = dicom(
            tmp_path / "a.dcm",
            words,
            syntax,
            signed,
            BitsStored=stored,
            HighBit=bits[2],
            PhotometricInterpretation="MONOCHROME1" if inverted else "MONOCHROME2",
            **attributes,
        )
        found = pixels(path)[..., 0]
        right = expected(values, padded, stored, signed, inverted)
        assert np.abs(found - right).max() <= 0.51, (name, overlay, inverted)


@pytest.mark.parametrize(("allocated", "stored"), [(8, 8), (16, 12), (16, 16)])
@pytest.mark.parametrize("signed", [False, True])
def test_a_codestream_of_the_stored_bits_alone_is_not_shifted(
    tmp_path: Path, allocated: int, stored: int, signed: bool
) -> None:
    values = film(stored, signed)
    path = tmp_path / "a.dcm"
    words = values.astype(f"{'i' if signed else 'u'}{allocated // 8}")
    file_options = {"BitsStored": stored, "HighBit": allocated - 1}
    file = dicom_of_precision(path, words, stored, signed, **file_options)
    right = expected(values, np.zeros(SHAPE, bool), stored, signed, inverted=False)
    assert np.abs(pixels(file)[..., 0] - right).max() <= 0.51


def dicom_of_precision(
    path: Path, words: np.ndarray, precision: int, signed: bool, **attributes: Any
) -> Path:
    """A JPEG 2000 file whose codestream holds `precision` bits."""
    dicom(path, words, ExplicitVRLittleEndian, signed, BitsStored=precision, HighBit=precision - 1)
    file = pydicom.dcmread(path)
    file.compress(JPEG2000Lossless)
    for keyword, value in attributes.items():
        setattr(file, keyword, value)
    file.save_as(path)
    return path


@pytest.mark.parametrize("stored", [8, 12, 16])
def test_lossy_jpeg_2000_looks_like_the_original(tmp_path: Path, stored: int) -> None:
    values = smooth() * (2**stored - 1) / 255
    words = np.round(values).astype(np.uint8 if stored == 8 else np.uint16)
    path = dicom(tmp_path / "a.dcm", words, JPEG2000, BitsStored=stored, HighBit=stored - 1)
    assert np.corrcoef(pixels(path).ravel(), values.ravel())[0, 1] >= 0.99


def smooth(channels: int = 1) -> np.ndarray:
    y, x = np.mgrid[0:64, 0:48]
    waves = [127 + 100 * np.sin(x / (7 + c) + c) * np.cos(y / (9 - c)) for c in range(channels)]
    return waves[0] if channels == 1 else np.stack(waves, axis=2)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_baseline_jpeg_in_gray(tmp_path: Path, photometric: str) -> None:
    values = smooth().astype(np.uint8)
    path = dicom(
        tmp_path / "a.dcm",
        values,
        JPEGBaseline8Bit,
        frame=jpeg(Image.fromarray(values)),
        PhotometricInterpretation=photometric,
    )
    right = 255 - values if photometric == "MONOCHROME1" else values
    assert np.corrcoef(pixels(path).ravel(), right.ravel())[0, 1] >= 0.99


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_baseline_jpeg_in_color(tmp_path: Path, photometric: str) -> None:
    values = smooth(3).astype(np.uint8)
    path = dicom(
        tmp_path / "a.dcm",
        values,
        JPEGBaseline8Bit,
        frame=jpeg(Image.fromarray(values)),
        PhotometricInterpretation=photometric,
    )
    assert np.corrcoef(pixels(path).ravel(), values.ravel())[0, 1] >= 0.99


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_jpeg_ls_is_read_or_its_missing_decoder_is_named() -> None:
    path = BUNDLED / "MR_small_jpeg_ls_lossless.dcm"
    refusal = code(path)
    if refusal:
        assert refusal == "NO_DECODER"
    else:
        assert np.array_equal(pixels(path), pixels(BUNDLED / "MR_small.dcm"))


# Colors


@pytest.mark.parametrize("bits", [(8, 8, 7), (16, 16, 15), (16, 12, 11)], ids=str)
@pytest.mark.parametrize(
    ("syntax", "planar"),
    [*((syntax, 0) for syntax in LOSSLESS), *((syntax, 1) for syntax in NATIVE)],
    ids=name_of,
)
def test_rgb(tmp_path: Path, syntax: str, bits: tuple[int, int, int], planar: int) -> None:
    _, stored, _ = bits
    values = np.random.default_rng(0).integers(0, 2**stored, (*SHAPE, 3))
    words = words_of(values, bits, overlay=True)
    attributes: dict[str, Any] = {"BitsStored": stored, "HighBit": stored - 1}
    if planar:
        words = np.moveaxis(words, 2, 0).reshape(*SHAPE, 3)
        attributes["PlanarConfiguration"] = 1
    path = dicom(tmp_path / "a.dcm", words, syntax, **attributes)
    assert np.abs(pixels(path) - shown(values, 0, 2**stored - 1)).max() <= 0.51


def ybr(rgb: np.ndarray) -> np.ndarray:
    """YBR_FULL of RGB (PS3.3 C.7.6.3.1.2)."""
    matrix = [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]]
    return np.clip(np.round(rgb @ np.transpose(matrix) + [0, 128, 128]), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless], ids=name_of)
def test_ybr_full(tmp_path: Path, syntax: str) -> None:
    colors = noise(0, *SHAPE, 3)
    path = dicom(tmp_path / "a.dcm", ybr(colors), syntax, PhotometricInterpretation="YBR_FULL")
    assert np.abs(pixels(path).astype(int) - colors).max() <= 3


@pytest.mark.parametrize("syntax", NATIVE, ids=name_of)
@pytest.mark.parametrize("unpacked", [False, True])
def test_ybr_full_422(tmp_path: Path, syntax: str, unpacked: bool) -> None:
    """Also as converters write it: unpacked to three samples a pixel, under the old name."""
    colors = np.repeat(noise(0, SHAPE[0], SHAPE[1] // 2, 3), 2, axis=1)
    full = ybr(colors)
    attributes: dict[str, Any] = {"PhotometricInterpretation": "YBR_FULL_422"}
    if not unpacked:
        pairs = full.reshape(-1, 2, 3)
        attributes["PixelData"] = np.column_stack(
            [pairs[:, 0, 0], pairs[:, 1, 0], pairs[:, 0, 1], pairs[:, 0, 2]]
        ).tobytes()
    path = dicom(tmp_path / "a.dcm", full, syntax, **attributes)
    assert np.abs(pixels(path).astype(int) - colors).max() <= 3


@pytest.mark.parametrize(
    ("syntax", "photometric"), [(JPEG2000Lossless, "YBR_RCT"), (JPEG2000, "YBR_ICT")]
)
def test_jpeg_2000_with_a_color_transform(tmp_path: Path, syntax: str, photometric: str) -> None:
    colors = smooth(3).astype(np.uint8)
    path = dicom(tmp_path / "a.dcm", colors, ExplicitVRLittleEndian)
    file = pydicom.dcmread(path)
    file.PhotometricInterpretation = photometric
    file.compress(syntax, **({"j2k_cr": [4]} if syntax == JPEG2000 else {}))
    file.save_as(path)
    assert np.corrcoef(pixels(path).ravel(), colors.ravel())[0, 1] >= 0.99
    assert metadata(path)["color"] == f"{photometric} to RGB"


@pytest.mark.parametrize("syntax", LOSSLESS, ids=name_of)
@pytest.mark.parametrize("bits", [(8, 8, 7), (16, 12, 11)], ids=str)
@pytest.mark.parametrize("depth", [8, 16])
def test_palettes(tmp_path: Path, syntax: str, bits: tuple[int, int, int], depth: int) -> None:
    entries = 2 ** bits[1]
    table = np.random.default_rng(0).integers(0, 2**depth, (entries, 3))
    indices = np.random.default_rng(1).integers(0, entries, SHAPE)
    attributes: dict[str, Any] = {"BitsStored": bits[1], "HighBit": bits[2]}
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    for number, name in enumerate(("Red", "Green", "Blue")):
        start = f"{name}PaletteColorLookupTable"
        attributes[f"{start}Descriptor"] = [entries, 0, depth]
        attributes[f"{start}Data"] = table[:, number].astype(f"{order}u{depth // 8}").tobytes()
    path = dicom(
        tmp_path / "a.dcm",
        words_of(indices, bits, overlay=True),
        syntax,
        PhotometricInterpretation="PALETTE COLOR",
        **attributes,
    )
    assert np.abs(pixels(path) - shown(table[indices], 0, 2**depth - 1)).max() <= 0.51


# Windows

GRAY = film(12, signed=False)
WORDS = GRAY.astype(np.uint16)
BY_PERCENTILES = "percentiles 0.1 to 99.9"


def windowed(tmp_path: Path, **attributes: Any) -> Path:
    """A file with attributes of the windows as they stand, also where they are no numbers."""
    path = dicom(tmp_path / "a.dcm", WORDS, ExplicitVRLittleEndian, BitsStored=12, HighBit=11)
    file = pydicom.dcmread(path)
    for keyword, text in attributes.items():
        tag, data = Tag(keyword), text.encode()
        data += b" " * (len(data) % 2)
        kind = "CS" if keyword == "VOILUTFunction" else "DS"
        file._dict[tag] = RawDataElement(tag, kind, len(data), data, 0, False, True)
    file.save_as(path)
    return path


@pytest.mark.parametrize(
    "attributes",
    [
        {"WindowCenter": "2047", "WindowWidth": "0"},
        {"WindowCenter": "2047", "WindowWidth": "-100"},
        {"WindowCenter": "2047", "WindowWidth": "0.5"},
        {"WindowCenter": "nan", "WindowWidth": "100"},
        {"WindowCenter": "2047", "WindowWidth": "nan"},
        {"WindowCenter": "2047", "WindowWidth": "inf"},
        {"WindowCenter": "2047,5", "WindowWidth": "4095,0"},
        {"WindowCenter": "auto", "WindowWidth": "auto"},
        {"WindowCenter": "", "WindowWidth": ""},
        {"WindowCenter": "2047"},
        {"WindowWidth": "100"},
        {"WindowCenter": "2047", "WindowWidth": "100", "VOILUTFunction": "CUBIC"},
    ],
    ids=str,
)
def test_a_window_that_is_not_usable_is_passed_over(
    tmp_path: Path, attributes: dict[str, str]
) -> None:
    path = windowed(tmp_path, **attributes)
    assert metadata(path)["window"] == BY_PERCENTILES
    low, high = np.percentile(GRAY, (0.1, 99.9))
    assert np.abs(pixels(path)[..., 0] - shown(GRAY, low, high)).max() <= 0.51


@pytest.mark.parametrize(
    ("attributes", "limits"),
    [
        ({"WindowCenter": "2000", "WindowWidth": "1001"}, (1499.5, 2499.5)),
        ({"WindowCenter": "2000\\1", "WindowWidth": "1001\\2"}, (1499.5, 2499.5)),
        ({"WindowCenter": "40\\2000", "WindowWidth": "0\\1001"}, (1499.5, 2499.5)),
        ({"WindowCenter": "auto\\2000", "WindowWidth": "auto\\1001"}, (1499.5, 2499.5)),
        ({"WindowCenter": "2000 ", "WindowWidth": " 1001"}, (1499.5, 2499.5)),
        (
            {"WindowCenter": "2000", "WindowWidth": "1000", "VOILUTFunction": "linear_exact"},
            (1500, 2500),
        ),
        ({"WindowCenter": "2000", "WindowWidth": "1"}, (1999.49, 1999.51)),
    ],
    ids=str,
)
def test_the_first_usable_window_is_applied(
    tmp_path: Path, attributes: dict[str, str], limits: tuple[float, float]
) -> None:
    found = pixels(windowed(tmp_path, **attributes))[..., 0]
    assert np.abs(found - shown(GRAY, *limits)).max() <= 0.51


def table_of(entries: np.ndarray, first: int, order: str = "<") -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, 16]
    item.LUTData = entries.astype(f"{order}u2").tobytes()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    return Sequence([item])


@pytest.mark.parametrize("syntax", LOSSLESS, ids=name_of)
@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_lookup_tables(tmp_path: Path, syntax: str, keyword: str) -> None:
    entries = np.round(np.linspace(0, 1, 4096) ** 2 * 65535)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    path = dicom(
        tmp_path / "a.dcm",
        words_of(GRAY, (16, 12, 11), overlay=True),
        syntax,
        BitsStored=12,
        HighBit=11,
        **{keyword: table_of(entries, 0, order)},
    )
    looked_up, limits = entries[GRAY], (0, 65535)
    if keyword == "ModalityLUTSequence":
        limits = tuple(np.percentile(looked_up, (0.1, 99.9)))
    assert np.abs(pixels(path)[..., 0] - shown(looked_up, *limits)).max() <= 0.51


@pytest.mark.parametrize("syntax", LOSSLESS, ids=name_of)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_rescaled_values_with_padding_and_a_window(
    tmp_path: Path, syntax: str, photometric: str
) -> None:
    values = film(12, signed=True)
    values[BORDER] = -2048
    path = dicom(
        tmp_path / "a.dcm",
        words_of(values, (16, 12, 11), overlay=True),
        syntax,
        signed=True,
        BitsStored=12,
        HighBit=11,
        PixelPaddingValue=-2048,
        PhotometricInterpretation=photometric,
        RescaleSlope=2,
        RescaleIntercept=-100,
        WindowCenter=500,
        WindowWidth=2001,
    )
    limits = (-500.5, 1499.5) if photometric == "MONOCHROME2" else (1499.5, -500.5)
    right = np.where(BORDER, 0, shown(values * 2 - 100, *limits))
    assert np.abs(pixels(path)[..., 0] - right).max() <= 0.51


@pytest.mark.parametrize(
    ("signed", "stored", "in_pixels", "kind", "stated"),
    [
        (True, 16, -2000, "US", 63536),
        (False, 16, 65535, "SS", -1),
        (True, 12, -2048, "US", 2048),
        (True, 16, -2000, "SS", -2000),
    ],
)
def test_padding_written_with_the_other_sign(
    tmp_path: Path, signed: bool, stored: int, in_pixels: int, kind: str, stated: int
) -> None:
    values = film(stored, signed) // 2
    values[BORDER] = in_pixels
    path = dicom(
        tmp_path / "a.dcm",
        words_of(values, (16, stored, stored - 1), overlay=False),
        ExplicitVRLittleEndian,
        signed,
        BitsStored=stored,
        HighBit=stored - 1,
        PixelPaddingValue=DataElement("PixelPaddingValue", kind, stated),
    )
    right = expected(values, BORDER, stored, signed, inverted=False)
    assert np.abs(pixels(path)[..., 0] - right).max() <= 0.51


def test_padding_outside_of_the_stored_bits_is_looked_for_in_the_words(tmp_path: Path) -> None:
    values = film(12, signed=False)
    words = values.astype(np.uint16)
    words[BORDER] = 63536
    attributes = {"BitsStored": 12, "HighBit": 11, "PixelPaddingValue": 63536}
    path = dicom(tmp_path / "a.dcm", words, ExplicitVRLittleEndian, **attributes)
    right = expected(values, BORDER, 12, signed=False, inverted=False)
    assert np.abs(pixels(path)[..., 0] - right).max() <= 0.51


def test_padding_does_not_count_in_files_of_several_frames(tmp_path: Path) -> None:
    stack = np.stack([film(12, signed=False) // (number + 1) for number in range(3)])
    stack[:, BORDER] = 4095
    path = dicom(
        tmp_path / "a.dcm",
        stack.astype(np.uint16),
        ExplicitVRLittleEndian,
        NumberOfFrames=3,
        BitsStored=12,
        HighBit=11,
        PixelPaddingValue=4095,
    )
    low, high = np.percentile(stack[:, ~BORDER], (0.1, 99.9))
    for number, values in enumerate(stack):
        right = np.where(BORDER, 0, shown(values, low, high))
        assert np.abs(pixels(path, number, frames="all")[..., 0] - right).max() <= 0.51


def test_an_image_of_padding_alone_is_refused(tmp_path: Path) -> None:
    words = np.full(SHAPE, 7, np.uint16)
    assert (
        code(dicom(tmp_path / "a.dcm", words, ExplicitVRLittleEndian, PixelPaddingValue=7))
        == "CONSTANT"
    )


@pytest.mark.parametrize(("kind", "start"), [("<f4", "Float"), ("<f8", "DoubleFloat")])
def test_pixels_in_floating_point_with_padding(tmp_path: Path, kind: str, start: str) -> None:
    values = np.random.default_rng(0).normal(size=SHAPE).astype(kind)
    values[BORDER] = -1000
    path = dicom(tmp_path / "a.dcm", np.zeros(SHAPE, f"u{kind[2:]}"), ExplicitVRLittleEndian)
    file = pydicom.dcmread(path)
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(file, keyword)
    setattr(file, f"{start}PixelData", values.tobytes())
    setattr(file, f"{start}PixelPaddingValue", -1000.0)
    file.save_as(path)
    low, high = np.percentile(values[~BORDER], (0.1, 99.9))
    right = np.where(BORDER, 0, shown(values, low, high))
    assert np.abs(pixels(path)[..., 0] - right).max() <= 0.51
