"""Faults F1 to F19 of input files: each one is refused with its code, or read as it is meant."""

from __future__ import annotations

import gzip
import io
import logging
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.pixels.decoders.base import get_decoder
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLSLossless

from medgan.errors import UserError
from medgan.images.config import IngestionConfig
from medgan.sources.files import FileImages
from medgan.sources.folder import FolderSource
from medgan.sources.listing import find_images
from medgan.sources.raw import IDENTITY, METADATA
from medgan.sources.readers.config import ReadingConfig, SlicePolicy
from medgan.sources.readers.decoding import frames, read_picture
from tests.faults.making import (
    BUNDLED,
    KEY,
    code,
    dicom,
    metadata,
    nifti,
    noise,
    pixels,
    raster,
    refused,
)
from tests.images.known import tables

NOISE = noise(3, 40, 60, 3)
MIDDLE = SlicePolicy(start=0.0, stop=1.0)


# F1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage" * 50,
        b"\xff\xd8\xff garbage",
        b"\x89PNG\r\n\x1a\n",
        b"BM",
        b"II*\x00\xff\xff\xff\xff",
    ],
)
def test_f01_an_empty_or_senseless_file_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(content)
    assert code(path) == "UNREADABLE"


def test_f01_a_file_that_begins_well_and_goes_on_senselessly_is_refused(tmp_path: Path) -> None:
    beginnings = [
        bytes(128) + b"DICM",
        bytes(344) + b"n+1\x00",
        b"\x93NUMPY\x01\x00",
        b"PK\x03\x04",
        b"\x1f\x8b\x08\x00",
    ]
    for number, beginning in enumerate(beginnings):
        path = tmp_path / str(number)
        path.write_bytes(beginning + b"\xa5" * 600)
        assert code(path, slices=MIDDLE) in {
            "UNREADABLE",
            "FORMAT",
            "NO_PIXELS",
            "ORIENTATION",
            "TOO_LARGE",
        }, beginning


# F2


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_f02_a_truncated_file_is_never_read_short(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, format=kind)
    assert_never_short(tmp_path / "image", buffer.getvalue(), at_least=98)


def test_f02_a_truncated_dicom_file_or_volume_is_never_read_short(tmp_path: Path) -> None:
    whole = dicom(tmp_path / "whole.dcm", noise(0, 30, 40)).read_bytes()
    assert_never_short(tmp_path / "image", whole, at_least=100)
    assert_never_short(
        tmp_path / "image", (BUNDLED / "MR_small_jp2klossless.dcm").read_bytes(), at_least=95
    )
    volume = nifti(tmp_path / "whole.nii.gz", noise(0, 12, 10, 8)).read_bytes()
    assert_never_short(tmp_path / "image", volume, at_least=100, frame=4, slices=MIDDLE)


def assert_never_short(
    path: Path, whole: bytes, at_least: int, frame: int | None = None, **options: object
) -> None:
    path.write_bytes(whole)
    expected, count = pixels(path, frame, **options), 0
    for length in np.linspace(0, len(whole) - 1, 100).astype(int):
        path.write_bytes(whole[:length])
        found = code(path, frame, **options)
        assert found or np.array_equal(pixels(path, frame, **options), expected)
        count += bool(found)
    assert count >= at_least


# F3


def test_f03_a_pixel_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = raster(tmp_path / "bomb.png", Image.new("1", (9000, 9000)))
    assert path.stat().st_size < 20_000
    assert code(path) == "TOO_LARGE"
    assert code(raster(tmp_path / "small.png", NOISE), max_pixels=2399) == "TOO_LARGE"
    assert code(dicom(tmp_path / "small.dcm", NOISE), max_pixels=2399) == "TOO_LARGE"


# F4


def test_f04_a_16_bit_ramp_keeps_its_grey_levels(tmp_path: Path) -> None:
    ramp = np.linspace(1000, 5000, 64 * 64).astype(np.uint16).reshape(64, 64)
    shown = pixels(raster(tmp_path / "deep.png", ramp))
    assert shown.shape == (64, 64, 1)
    assert len(np.unique(shown)) >= 250
    assert (np.diff(shown.ravel().astype(int)) >= 0).all()


def test_f04_a_given_window_is_kept_for_every_image(tmp_path: Path) -> None:
    path = raster(tmp_path / "deep.png", np.array([[0, 1000], [2000, 4000]], np.uint16))
    assert pixels(path, window=(1000.0, 2000.0)).ravel().tolist() == [0, 0, 255, 255]
    assert metadata(path, window=(1000.0, 2000.0))["window"] == "set 1000 to 2000"


# F5


def test_f05_every_color_mode_has_a_defined_conversion_that_is_recorded(tmp_path: Path) -> None:
    color = Image.fromarray(NOISE)
    assert np.array_equal(pixels(raster(tmp_path / "rgb.png", color)), NOISE)
    grey = np.asarray(color.convert("L"))
    assert np.array_equal(pixels(raster(tmp_path / "grey.png", grey))[..., 0], grey)
    assert pixels(raster(tmp_path / "binary.png", color.convert("1"))).shape == (40, 60, 1)
    palette = color.convert("P")
    assert np.array_equal(
        pixels(raster(tmp_path / "palette.png", palette)), np.asarray(palette.convert("RGB"))
    )
    cmyk = pixels(raster(tmp_path / "cmyk.tif", color.convert("CMYK")))
    assert np.abs(cmyk.astype(int) - NOISE).max() <= 1
    recorded = {
        name: metadata(tmp_path / name)["color"]
        for name in ("rgb.png", "grey.png", "binary.png", "palette.png", "cmyk.tif")
    }
    assert list(recorded.values()) == [
        "RGB",
        "grey",
        "black and white",
        "palette to RGB",
        "CMYK to RGB",
    ]


def test_f05_transparency_is_laid_on_black(tmp_path: Path) -> None:
    clear = np.dstack([NOISE, np.zeros((40, 60), np.uint8)])
    clear[:20, :, 3] = 255
    path = raster(tmp_path / "clear.png", clear)
    assert np.array_equal(pixels(path)[:20], NOISE[:20])
    assert not pixels(path)[20:].any()
    assert metadata(path)["color"] == "RGB, transparency on black"


# F6


@pytest.mark.parametrize("name", ["pages.tif", "moving.png"])
def test_f06_several_pages_are_refused_or_read_as_configured(tmp_path: Path, name: str) -> None:
    pages = [noise(number, 20, 24) for number in range(3)]
    path = raster(
        tmp_path / name,
        Image.fromarray(pages[0]),
        save_all=True,
        append_images=[Image.fromarray(page) for page in pages[1:]],
    )
    assert code(path) == "MULTIPAGE"
    assert np.array_equal(pixels(path, frames="first")[..., 0], pages[0])
    assert list(frames(path, ReadingConfig(frames="all"))) == [0, 1, 2]
    assert code(path, frames="all") == "MULTIPAGE", "which of them?"
    for number, page in enumerate(pages):
        assert np.array_equal(pixels(path, number, frames="all")[..., 0], page)
    assert code(path, 3, frames="all") == "UNREADABLE"


# F7


@pytest.mark.parametrize("orientation", range(1, 9))
def test_f07_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
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
    path = raster(tmp_path / "turned.png", np.ascontiguousarray(stored), exif=exif)
    assert np.array_equal(pixels(path)[..., 0], upright)


# F8


def test_f08_formats_outside_the_allow_list_are_refused(tmp_path: Path) -> None:
    assert code(raster(tmp_path / "moving.gif", Image.fromarray(NOISE).convert("P"))) == "FORMAT"
    assert code(raster(tmp_path / "web.webp", NOISE)) == "FORMAT"
    for name, head in {
        "a.fits": b"SIMPLE  =",
        "a.eps": b"%!PS-Adobe",
        "a.psd": b"8BPS\x00\x01",
        "a.gz": gzip.compress(b"text"),
    }.items():
        (tmp_path / name).write_bytes(head + bytes(200))
        assert code(tmp_path / name) == "FORMAT"


# F9


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_f09_monochrome1_is_inverted(tmp_path: Path, kind: type) -> None:
    dark = noise(0, 16, 20).astype(kind) * (257 if kind is np.uint16 else 1)
    top = np.iinfo(kind).max
    black_is_0 = dicom(tmp_path / "2.dcm", dark)
    white_is_0 = dicom(
        tmp_path / "1.dcm", (top - dark).astype(kind), PhotometricInterpretation="MONOCHROME1"
    )
    assert np.array_equal(pixels(black_is_0), pixels(white_is_0))
    assert metadata(white_is_0)["color"] == "MONOCHROME1, inverted"


# F10

HOUNSFIELD = np.array([[-1000, -600, 0, 40], [80, 400, 1000, 3000]])


def test_f10_stored_values_become_hounsfield_units_and_then_a_window(tmp_path: Path) -> None:
    stored = (HOUNSFIELD + 1024).astype(np.uint16)
    path = dicom(
        tmp_path / "ct.dcm",
        stored,
        Modality="CT",
        RescaleSlope=1,
        RescaleIntercept=-1024,
        WindowCenter=[40, 300],
        WindowWidth=[400, 2000],
    )
    expected = np.clip((HOUNSFIELD - (40 - 0.5 - 199.5)) / 399, 0, 1) * 255
    assert np.abs(pixels(path)[..., 0] - expected).max() <= 0.51, (
        "the file's first window, linear as in PS3.3 C.11.2.1.2.1"
    )
    assert metadata(path)["window"] == "file -160 to 239"
    brain = pixels(path, window="brain")[..., 0]
    assert brain.ravel().tolist() == [0, 0, 0, 128, 255, 255, 255, 255]
    assert metadata(path, window="brain")["window"] == "brain 0 to 80"
    assert pixels(path, window=(-1000.0, 1000.0))[0, 2, 0] == 128


def test_f10_lookup_tables_and_other_functions_are_applied(tmp_path: Path) -> None:
    stored = np.arange(256, dtype=np.uint8).reshape(16, 16)
    item = pydicom.Dataset()
    item.LUTDescriptor, item.LUTData = [256, 0, 16], [value * value for value in range(256)]
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    squares = pixels(dicom(tmp_path / "lut.dcm", stored, VOILUTSequence=Sequence([item])))[..., 0]
    assert np.abs(squares - np.square(stored, dtype=float) / 65535 * 255).max() <= 0.51
    modality = pixels(
        dicom(tmp_path / "modality.dcm", stored, ModalityLUTSequence=Sequence([item])),
        window=(0.0, 65535.0),
    )[..., 0]
    assert np.array_equal(modality, squares)
    sigmoid = pixels(
        dicom(
            tmp_path / "s.dcm", stored, WindowCenter=128, WindowWidth=64, VOILUTFunction="SIGMOID"
        )
    )[..., 0]
    assert np.abs(sigmoid - 255 / (1 + np.exp(-4 * (stored - 128.0) / 64))).max() <= 0.51
    exact = pixels(
        dicom(
            tmp_path / "e.dcm",
            stored,
            WindowCenter=100,
            WindowWidth=50,
            VOILUTFunction="LINEAR_EXACT",
        )
    )[..., 0]
    assert np.abs(exact - np.clip((stored - 75.0) / 50, 0, 1) * 255).max() <= 0.51


def test_f10_a_ct_preset_is_not_laid_on_another_modality(tmp_path: Path) -> None:
    path = dicom(tmp_path / "mr.dcm", noise(0, 8, 8), Modality="MR")
    assert code(path, window="lung") == "WINDOW"
    assert code(path, window=(0.0, 100.0)) == ""


def test_f10_a_window_that_is_of_no_use_is_passed_over(tmp_path: Path) -> None:
    path = dicom(
        tmp_path / "w.dcm", noise(0, 8, 8).astype(np.uint16), WindowCenter=0, WindowWidth=0
    )
    assert metadata(path)["window"] == "percentiles 0.1 to 99.9"


# F11


def test_f11_several_frames_are_refused_or_read_as_configured(tmp_path: Path) -> None:
    stack = noise(0, 4, 10, 12).astype(np.uint16) * np.array([1, 2, 4, 8], np.uint16)[:, None, None]
    path = dicom(tmp_path / "frames.dcm", stack, NumberOfFrames=4)
    assert code(path) == "MULTIPAGE"
    assert list(frames(path, ReadingConfig(frames="all"))) == [0, 1, 2, 3]
    shown = np.stack([pixels(path, number, frames="all")[..., 0] for number in range(4)])
    assert np.array_equal(pixels(path, frames="first")[..., 0], shown[0])
    low, high = np.percentile(stack, (0.1, 99.9))
    assert np.abs(shown - np.clip((stack - low) / (high - low), 0, 1) * 255).max() <= 0.51, (
        "one window for all frames"
    )


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((9, 8, 7), {}, "VOLUME"),
        ((9, 8, 7), {"slices": MIDDLE}, ""),
        ((9, 8, 7, 3), {"slices": MIDDLE}, "VOLUMES_4D"),
        ((9, 8, 7, 3), {"slices": MIDDLE, "volumes_4d": "first"}, ""),
        ((9, 8, 7, 1), {"slices": MIDDLE}, ""),
        ((9, 8), {}, ""),
        ((9, 8, 1), {}, ""),
    ],
)
def test_f11_a_volume_needs_a_stated_policy(
    tmp_path: Path, shape: tuple[int, ...], options: dict[str, object], expected: str
) -> None:
    path = nifti(tmp_path / "volume.nii", noise(0, *shape))
    several = len(shape) > 2 and shape[2] > 1
    assert code(path, 3 if several and "slices" in options else None, **options) == expected


# F12


def test_f12_a_missing_decoder_is_named_with_the_package_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(get_decoder(JPEGLSLossless), "_available", {})
    with refused("NO_DECODER", r"JPEG-LS.*pip install \"medgan\[dicom\]\""):
        read_picture(BUNDLED / "MR_small_jpeg_ls_lossless.dcm")


# F13


def test_f13_a_file_without_pixels_has_a_code_of_its_own(tmp_path: Path) -> None:
    assert code(dicom(tmp_path / "empty.dcm", None)) == "NO_PIXELS"
    file = pydicom.dcmread(BUNDLED / "CT_small.dcm")
    del file.PixelData
    file.save_as(tmp_path / "ct.dcm")
    assert code(tmp_path / "ct.dcm") == "NO_PIXELS"
    with refused("NO_PIXELS", "PixelData"):
        read_picture(tmp_path / "ct.dcm")
    assert {code(path) for path in BUNDLED.glob("reports*.dcm")} == {"NOT_AN_IMAGE"}


# F14


def test_f14_a_bomb_of_nested_sequences_is_refused(tmp_path: Path) -> None:
    level = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    whole = dicom(tmp_path / "whole.dcm", None).read_bytes()
    (tmp_path / "bomb.dcm").write_bytes(whole + level * 3000)
    assert code(tmp_path / "bomb.dcm") == "UNREADABLE"


def test_f14_sizes_in_headers_are_checked_before_anything_is_decoded(tmp_path: Path) -> None:
    path = nifti(tmp_path / "volume.nii", noise(0, 4, 4, 4))
    huge = bytearray(path.read_bytes())
    struct.pack_into("<4h", huge, 40, 3, 32767, 32767, 32767)
    for name, content in (("huge.nii", bytes(huge)), ("huge.nii.gz", gzip.compress(huge))):
        (tmp_path / name).write_bytes(content)
        assert code(tmp_path / name, 3, slices=MIDDLE) == "TOO_LARGE"
        assert code(tmp_path / name) == "TOO_LARGE"
    struct.pack_into("<4h", huge, 40, 3, 400, 400, 400)
    path.write_bytes(huge)
    assert code(path, 3, slices=MIDDLE) == "UNREADABLE", "64 MB in a file of 416 bytes"
    for said in (3, 2_000_000_000):
        many = dicom(tmp_path / "many.dcm", noise(0, 2, 8, 8), NumberOfFrames=said)
        assert code(many, frames="first") == "UNREADABLE"
        with refused("UNREADABLE"):
            frames(many, ReadingConfig(frames="all"))


def test_f14_a_small_file_that_unpacks_to_a_large_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = bytearray(nifti(tmp_path / "v.nii", np.zeros((2, 2, 2), np.uint8)).read_bytes()[:352])
    struct.pack_into("<4h", header, 40, 3, 1000, 1000, 200)
    packer = zlib.compressobj(wbits=31)
    bomb = (
        packer.compress(bytes(header))
        + b"".join(packer.compress(bytes(10**6)) for _ in range(200))
        + packer.flush()
    )
    (tmp_path / "bomb.nii.gz").write_bytes(bomb)
    assert len(bomb) < 300_000
    monkeypatch.setattr(
        "medgan.sources.readers.volumes.read_values", lambda *_: pytest.fail("it was unpacked")
    )
    assert code(tmp_path / "bomb.nii.gz", 3, slices=MIDDLE) == "TOO_LARGE"
    deflated = dicom(
        tmp_path / "bomb.dcm",
        np.zeros((1000, 1000), np.uint8),
        syntax=DeflatedExplicitVRLittleEndian,
    )
    assert deflated.stat().st_size < 5000
    assert code(deflated, max_volume_bytes=500_000) == "TOO_LARGE"


def test_f14_compressed_data_that_claim_another_size_are_not_decoded(tmp_path: Path) -> None:
    for name, marker, place in (
        ("JPEG2000.dcm", b"\xff\x4f\xff\x51", 8),
        ("SC_rgb_jpeg_dcmtk.dcm", b"\xff\xc0", 5),
    ):
        content = bytearray((BUNDLED / name).read_bytes())
        start = content.index(marker) + place
        content[start : start + 2] = b"\x7f\xff"
        (tmp_path / name).write_bytes(content)
        with refused("UNREADABLE", "its compressed data (are of the size|come in)"):
            read_picture(tmp_path / name, None, ReadingConfig(secondary_captures="all"))


# F15

PLANTED = "Xq7"
CODED_BY_US = {
    "PhotometricInterpretation",
    "BurnedInAnnotation",
    "SpecificCharacterSet",
    "VOILUTFunction",
}


def identified(path: Path) -> tuple[Path, list[str]]:
    """A DICOM file with a unique string in every attribute of text that the standard has, and those
    strings.
    """
    words, attributes = [], {}
    long_enough = {"PN", "LO", "SH", "LT", "ST", "UT", "UC", "CS", "AE"}
    for tag, (representation, _, _, retired, keyword) in pydicom.datadict.DicomDictionary.items():
        if (
            representation in long_enough
            and keyword
            and not retired
            and tag >> 16 > 0x0002
            and keyword not in CODED_BY_US
        ):
            words.append(f"{PLANTED}{tag:08X}")
            attributes[keyword] = words[-1]
    attributes |= {
        "PatientBirthDate": "19370405",
        "StudyDate": "20210901",
        "SeriesInstanceUID": "1.2.3.987654321",
        "StudyTime": "112233",
    }
    words += ["19370405", "20210901", "987654321", "112233"]
    return dicom(path, noise(0, 16, 16), **attributes), words


def test_f15_no_identifier_gets_past_the_reader(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "a").mkdir(parents=True)
    _, words = identified(tmp_path / "data" / "a" / "1.dcm")
    bad, _ = identified(tmp_path / "data" / "a" / "2.dcm")
    bad.write_bytes(bad.read_bytes()[:-50])
    raster(tmp_path / "data" / "a" / "3.png", noise(1, 9, 9))
    nifti(tmp_path / "data" / "a" / "4.nii", noise(2, 9, 9))
    content = bytearray((tmp_path / "data" / "a" / "4.nii").read_bytes())
    content[148:228] = f"{PLANTED}descrip".encode().ljust(80)
    (tmp_path / "data" / "a" / "4.nii").write_bytes(content)
    assert len(words) > 500
    source = FolderSource(str(tmp_path / "data"), reading=ReadingConfig(pseudonym_key=KEY)).open()
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        manifest, quarantine, _ = tables(
            source, IngestionConfig({"a": "normal"}, max_quarantined=1.0)
        )
        outputs = [
            repr(source.read(path)) + source.fingerprint(path) for path in ("a/1.dcm", "a/4.nii")
        ]
    assert len(manifest) == 3
    assert len(quarantine) == 1
    outputs += [
        manifest.to_csv(),
        quarantine.to_csv(),
        source.rows().to_csv(),
        caplog.text,
        *map(str, warned),
        *capfd.readouterr(),
    ]
    for word in [PLANTED, *words]:
        assert not any(word.lower() in text.lower() for text in outputs), word
    assert set(source.read("a/1.dcm").metadata) <= {*METADATA, *IDENTITY}
    assert source.read("a/1.dcm").metadata["age"] == "84", "years are told, dates are not"


def test_f15_a_pseudonym_is_stable_secret_and_not_a_plain_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEDGAN_PSEUDONYM_KEY", raising=False)
    first = dicom(tmp_path / "1.dcm", noise(0, 8, 8), PatientID="12345")
    second = dicom(tmp_path / "2.dcm", noise(1, 8, 8), PatientID="12345 ")
    other = dicom(tmp_path / "3.dcm", noise(1, 8, 8), PatientID="12346")
    assert "group_id" not in metadata(first), "without a key the patient is unknown"
    group = metadata(first, pseudonym_key=KEY)["group_id"]
    assert (
        group
        == metadata(second, pseudonym_key=KEY)["group_id"]
        == "b23a63f2b9ba19a9a13c11af8d0f051c"
    )
    assert group != metadata(other, pseudonym_key=KEY)["group_id"]
    assert group != metadata(first, pseudonym_key=KEY[::-1])["group_id"]
    monkeypatch.setenv("MEDGAN_PSEUDONYM_KEY", KEY)
    assert metadata(first)["group_id"] == group
    monkeypatch.setenv("MEDGAN_PSEUDONYM_KEY", "short")
    with pytest.raises(UserError, match="at least 16"):
        FileImages("x", tmp_path, None)


def test_f15_a_burned_in_annotation_is_quarantined(tmp_path: Path) -> None:
    path = dicom(tmp_path / "burned.dcm", noise(0, 8, 8), BurnedInAnnotation="YES")
    assert code(path) == "BURNED_IN"
    assert code(path, burned_in="keep") == ""
    assert code(dicom(tmp_path / "clean.dcm", noise(0, 8, 8), BurnedInAnnotation="NO")) == ""


# F16


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_f16_numbers_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    values = np.ones((8, 8, 8), np.float32)
    values[3, 3, 3] = value
    assert code(raster(tmp_path / "nan.tif", values[3])) == "NONFINITE"
    assert code(nifti(tmp_path / "nan.nii.gz", values), 5, slices=MIDDLE) == "NONFINITE", (
        "anywhere in the volume"
    )
    np.save(tmp_path / "nan.npy", values[3])
    assert code(tmp_path / "nan.npy") == "NONFINITE"
    assert code(tmp_path / "nan.npy", window=(0.0, 1.0)) == "NONFINITE"


def test_f16_a_constant_image_is_quarantined(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    raster(tmp_path / "a" / "flat.png", np.full((9, 9), 7, np.uint8))
    dicom(tmp_path / "a" / "flat.dcm", np.full((9, 9), 700, np.uint16))
    raster(tmp_path / "a" / "fine.png", noise(0, 9, 9))
    _, quarantine, _ = tables(
        FolderSource(str(tmp_path)).open(), IngestionConfig({"a": "normal"}, max_quarantined=1.0)
    )
    assert quarantine["code"].tolist() == ["CONSTANT", "CONSTANT"]


# F17


def test_f17_the_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    assert np.array_equal(pixels(raster(tmp_path / "picture.png", NOISE, format="BMP")), NOISE)
    assert np.array_equal(pixels(dicom(tmp_path / "picture.jpg", NOISE)), NOISE)
    volume = noise(0, 9, 8, 7)
    renamed = nifti(tmp_path / "volume.nii.gz", volume).rename(tmp_path / "volume.tif")
    assert pixels(renamed, 2, slices=MIDDLE).shape == (8, 9, 1)
    np.save(tmp_path / "array.npy", NOISE)
    assert np.array_equal(pixels((tmp_path / "array.npy").rename(tmp_path / "array.dcm")), NOISE)


def test_f17_dicom_files_without_a_suffix_are_found(tmp_path: Path) -> None:
    for name in ("IM000001", "1.2.840.113619.2.55", "scan.dcm"):
        dicom(tmp_path / name, noise(0, 8, 8))
    dicom(tmp_path / "DICOMDIR", None)
    (tmp_path / "README").write_text("x" * 200)
    assert find_images(tmp_path).images == ["1.2.840.113619.2.55", "IM000001", "scan.dcm"]


# F18

NAMES = st.text(
    st.characters(exclude_characters="/\x00", exclude_categories=("Cs",)), min_size=1
).filter(lambda name: len(name.encode()) <= 251 and not name.startswith("."))


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=NAMES)
def test_f18_any_name_goes_round(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "a"
    folder.mkdir(exist_ok=True)
    path = raster(folder / f"{name}.png", noise(0, 8, 9))
    source = FolderSource(str(tmp_path)).open()
    rows = source.named_rows()
    path.unlink()
    assert rows["path"].tolist() == rows["image_id"].tolist() == [f"a/{name}.png"]
    raster(path, noise(0, 8, 9))
    assert source.read(rows["path"][0]).pixels.shape == (8, 9, 1)
    assert len(source.fingerprint(rows["path"][0])) > 64
    path.unlink()


def test_f18_the_longest_name_and_blanks_go_round(tmp_path: Path) -> None:
    for number, name in enumerate(
        ("n" * 251 + ".png", "ä ö – 日本 (1).png", "a\nb.png", "é" * 125 + ".png")
    ):
        raster(tmp_path / name, noise(number, 8, 9))
    source = FolderSource(str(tmp_path), {"category": [r"(\.png)$"]}).open()
    manifest, quarantine, _ = tables(source, IngestionConfig({".png": "normal"}))
    assert len(manifest) == 4
    assert not len(quarantine)


def test_f18_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    raster(tmp_path / "fine.png", noise(0, 8, 9))
    (tmp_path / "fine.png").rename(tmp_path / os.fsdecode(b"\xff.png"))
    with pytest.raises(UserError, match=r"not UTF-8 .*rename it"):
        find_images(tmp_path)


# F19


def test_f19_links_do_not_lead_out_of_the_root_or_round_in_circles(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "a"
    folder.mkdir(parents=True)
    raster(folder / "inside.png", noise(0, 8, 9))
    raster(tmp_path / "outside.png", noise(1, 8, 9))
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    (folder / "loop").symlink_to(tmp_path / "data")
    (folder / "self.png").symlink_to(folder / "self.png")
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe")
    source = FolderSource(str(tmp_path / "data")).open()
    rows = source.rows()
    assert dict(rows.dropna(subset="excluded")[["path", "excluded"]].itertuples(index=False)) == {
        "a/loop/": "a linked folder that leads back to itself",
        "a/pipe": "a device, a pipe or a socket",
    }
    assert rows.loc[rows["excluded"].isna(), "path"].tolist() == [
        "a/inside.png",
        "a/link.png",
        "a/pipe.png",
        "a/self.png",
    ]
    expected = {
        "a/link.png": "OUTSIDE",
        "../outside.png": "OUTSIDE",
        "/etc/passwd": "OUTSIDE",
        "a/link.png/000": "OUTSIDE",
    }
    expected |= {
        "a/self.png": "UNREADABLE",
        "a/pipe.png": "UNREADABLE",
        "a/gone.png": "UNREADABLE",
        "a\x00.png": "UNREADABLE",
    }
    for path, reason in expected.items():
        for act in (source.read, source.fingerprint):
            with refused(reason):
                act(path)
