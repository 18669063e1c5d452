"""DICOM files that are no images of a scan, that lack attributes, or that have unusual names."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medgan.errors import UserError
from medgan.images.config import IngestionConfig
from medgan.sources.folder import FolderSource
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import read_picture
from medgan.sources.readers.formats import HEAD, is_dicom
from medgan.sources.rows import exclusions
from tests.faults.making import BUNDLED, code, dicom, noise, pixels, refused
from tests.images.known import tables
from tests.sources.readers.test_dicom_matrix import dicom as written

GRAY = noise(0, 10, 12)
STORAGE = "1.2.840.10008.5.1.4.1.1."
CAPTURE = {"SOPClassUID": f"{STORAGE}7"}
DERIVED = ["DERIVED", "SECONDARY"]


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        ({"SOPClassUID": f"{STORAGE}66.4", "Modality": "SEG"}, "Segmentation"),
        ({"SOPClassUID": f"{STORAGE}66.7", "Modality": "SEG"}, "segmentation"),
        ({"Modality": "SEG"}, "a segmentation"),
        ({"SOPClassUID": f"{STORAGE}481.2", "Modality": "RTDOSE"}, "RT Dose"),
        ({"SOPClassUID": f"{STORAGE}481.3"}, "RT Structure Set"),
        ({"SOPClassUID": f"{STORAGE}481.5"}, "RT Plan"),
        ({"SOPClassUID": f"{STORAGE}11.1"}, "Presentation State"),
        ({"SOPClassUID": f"{STORAGE}88.67"}, "Dose SR"),
        ({"SOPClassUID": f"{STORAGE}88.59"}, "Key Object Selection"),
        ({"SOPClassUID": f"{STORAGE}104.1"}, "Encapsulated PDF"),
        ({"SOPClassUID": f"{STORAGE}9.1.1"}, "ECG Waveform"),
        ({"SOPClassUID": f"{STORAGE}66.1"}, "Spatial Registration"),
        ({"SOPClassUID": f"{STORAGE}4.2"}, "MR Spectroscopy"),
        ({"SOPClassUID": f"{STORAGE}66"}, "Raw Data"),
        ({"SOPClassUID": "1.3.12.2.1107.5.9.1"}, "CSA Non-Image"),
        ({"Modality": "SR"}, "a structured report"),
        ({"Modality": "rtdose "}, "a radiotherapy dose"),
        (CAPTURE | {"Modality": "CT", "ImageType": [*DERIVED, "SCREEN SAVE"]}, "screen save"),
        (CAPTURE | {"Modality": "CT", "ImageType": [*DERIVED, "SCREEN_SAVE"]}, "screen save"),
        ({"Modality": "CT", "ImageType": [*DERIVED, "DOSE_INFO"]}, "screen save or report"),
        ({"Modality": "CT", "ImageType": [*DERIVED, "OTHER", "CT_SOM5 PROT"]}, "report"),
        (CAPTURE | {"Modality": "OT", "ImageType": DERIVED}, "derived secondary capture"),
        (CAPTURE | {"ImageType": DERIVED}, "derived secondary capture"),
        ({"Modality": "SM", "ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]}, "label of a"),
        ({"Modality": "SM", "ImageType": ["DERIVED", "PRIMARY", "OVERVIEW"]}, "overview of a"),
        (CAPTURE | {"Modality": "CR", "ConversionType": "SD"}, "a scanned document"),
        (CAPTURE | {"Modality": "CR", "ConversionType": "DRW"}, "a drawing"),
    ],
    ids=str,
)
def test_objects_that_are_no_images_are_named(
    tmp_path: Path, attributes: dict[str, Any], what: str
) -> None:
    """Also where reading.window is set, which says nothing about them."""
    for stored, window in ((GRAY, None), (GRAY, "lung"), (None, None)):
        path = dicom(tmp_path / "a.dcm", stored, **attributes)
        with refused("NOT_AN_IMAGE", what):
            read_picture(path, None, ReadingConfig(window=window))


def test_a_color_capture_of_a_ct_is_no_image(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", noise(0, 8, 9, 3), **CAPTURE, Modality="CT")
    assert code(path) == "NOT_AN_IMAGE"
    assert code(path, secondary_captures="all") == ""


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        CAPTURE,
        CAPTURE | {"Modality": "CR", "ImageType": DERIVED, "ConversionType": "WSD"},
        CAPTURE | {"Modality": "DX", "ImageType": [*DERIVED, ""], "ConversionType": "DF"},
        CAPTURE | {"Modality": "MG", "ImageType": DERIVED},
        CAPTURE | {"Modality": "RG", "ConversionType": "SI"},
        CAPTURE | {"Modality": "US", "ConversionType": "DV"},
        CAPTURE | {"Modality": "OT", "ConversionType": "WSD"},
        {"SOPClassUID": f"{STORAGE}1.1", "Modality": "DX", "ImageType": ["ORIGINAL", "PRIMARY"]},
        {"SOPClassUID": f"{STORAGE}2", "Modality": "CT", "ImageType": [*DERIVED, "AXIAL"]},
        {"SOPClassUID": f"{STORAGE}481.1", "Modality": "RTIMAGE"},
        {"SOPClassUID": f"{STORAGE}6.2", "Modality": "US"},
        {"SOPClassUID": "1.2.276.0.7230010.9.9", "Modality": "MR"},
        {"SOPClassUID": f"{STORAGE}1", "Modality": "CR", "ImageType": ["ORIGINAL", "SURVEY"]},
    ],
    ids=str,
)
def test_scans_and_films_are_read(tmp_path: Path, attributes: dict[str, Any]) -> None:
    assert np.array_equal(pixels(dicom(tmp_path / "a.dcm", GRAY, **attributes))[..., 0], GRAY)


def test_secondary_captures_are_read_where_the_configuration_says_so(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", GRAY, **CAPTURE, Modality="OT", ImageType=DERIVED)
    with refused("NOT_AN_IMAGE", r"reading\.secondary_captures = all"):
        read_picture(path)
    assert code(path, secondary_captures="all") == ""
    with pytest.raises(UserError, match=r"reading\.secondary_captures"):
        ReadingConfig(secondary_captures="some")


@pytest.mark.parametrize("value", ["LOCALIZER", "SCOUT", "localizer", "TOPOGRAM"])
@pytest.mark.parametrize("modality", ["CT", "MR", None])
def test_localizers_have_a_code_of_their_own(
    tmp_path: Path, value: str, modality: str | None
) -> None:
    attributes = {"Modality": modality} if modality else {}
    image_type = ["ORIGINAL", "PRIMARY", value]
    path = dicom(tmp_path / "a.dcm", GRAY, ImageType=image_type, **attributes)
    assert code(path) == "LOCALIZER"


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        *((name, "LOCALIZER") for name in ("localizer", "AAHead_Scout", "Survey SHC", "3-pl LOC")),
        *((name, "") for name in ("t1_mprage", "ax t2 local", "locus")),
    ],
)
def test_localizers_are_known_by_their_series(
    tmp_path: Path, description: str, expected: str
) -> None:
    image_type = ["ORIGINAL", "PRIMARY", "M", "ND"]
    facts = {"ImageType": image_type, "SeriesDescription": description}
    assert code(dicom(tmp_path / "a.dcm", GRAY, Modality="MR", **facts)) == expected
    assert code(dicom(tmp_path / "b.dcm", GRAY, Modality="CR", **facts)) == ""


def test_objects_of_another_kind_are_left_out_and_counted_not_quarantined(tmp_path: Path) -> None:
    """A tree as archives of radiology give it: they are most of its files."""
    for name in ("healthy", "tumour"):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(2):
            dicom(folder / f"{number}.dcm", noise(number, 8, 9), Modality="CT")
        dicom(folder / "scout.dcm", GRAY, Modality="CT", ImageType=["LOCALIZER"])
        dicom(folder / "seg.dcm", GRAY, Modality="SEG")
        dicom(folder / "structures.dcm", None, Modality="RTSTRUCT")
    source = FolderSource(str(tmp_path)).open()
    labels = IngestionConfig({"healthy": "normal", "tumour": "tumour"})
    manifest, quarantine, excluded = tables(source, labels)
    assert manifest["path"].str.contains(r"/\d\.dcm").sum() == len(manifest) == 4
    assert quarantine.empty
    kinds = excluded["reason"].str.partition(":")[0].value_counts().to_dict()
    assert kinds == {"NOT_AN_IMAGE": 4, "LOCALIZER": 2}
    assert len(manifest) + len(excluded) == len(source.rows())


def test_a_data_set_without_an_image_of_a_scan_is_refused_with_counts(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    dicom(tmp_path / "a" / "1.dcm", GRAY, Modality="SEG")
    with pytest.raises(UserError, match=r"all 1 images .* \(1 NOT_AN_IMAGE: .* a segmentation\)"):
        tables(FolderSource(str(tmp_path)).open(), IngestionConfig({"a": "normal"}))


# Attributes that are missing or damaged

REQUIRED = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated"),
    *("BitsStored", "PixelRepresentation"),
)


@pytest.mark.parametrize("keyword", REQUIRED)
@pytest.mark.parametrize("empty", [False, True])
def test_a_missing_attribute_is_named(tmp_path: Path, keyword: str, empty: bool) -> None:
    path = dicom(tmp_path / "a.dcm", GRAY)
    file = pydicom.dcmread(path)
    if empty:
        file[keyword].value = None
    else:
        delattr(file, keyword)
    file.save_as(path)
    with refused("UNREADABLE", rf"its header has no {keyword}\b"):
        read_picture(path)


@pytest.mark.parametrize("keyword", ["PixelData", "PlanarConfiguration"])
def test_a_missing_attribute_of_a_color_image_is_named(tmp_path: Path, keyword: str) -> None:
    path = dicom(tmp_path / "a.dcm", noise(0, 8, 9, 3))
    file = pydicom.dcmread(path)
    delattr(file, keyword)
    file.save_as(path)
    with refused("NO_PIXELS" if keyword == "PixelData" else "UNREADABLE", keyword):
        read_picture(path)


def test_a_missing_palette_is_named(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", GRAY, PhotometricInterpretation="PALETTE COLOR")
    with refused("UNREADABLE", "RedPaletteColorLookupTableDescriptor"):
        read_picture(path)


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"BitsAllocated": 12}, "BitsAllocated"),
        ({"BitsStored": 0}, "BitsStored"),
        ({"BitsStored": 9}, "BitsStored"),
        ({"PixelRepresentation": 2}, "PixelRepresentation"),
        ({"SamplesPerPixel": 3}, "SamplesPerPixel"),
        ({"SamplesPerPixel": 2}, "SamplesPerPixel"),
        ({"Rows": 0}, "Rows"),
        ({"Rows": [4, 5]}, "Rows"),
        ({"NumberOfFrames": -1}, "NumberOfFrames"),
        ({"RescaleSlope": 0}, "RescaleSlope"),
    ],
    ids=str,
)
def test_an_attribute_that_makes_no_sense_is_named(
    tmp_path: Path, attributes: dict[str, Any], named: str
) -> None:
    path = dicom(tmp_path / "a.dcm", GRAY[None], NumberOfFrames=1)
    file = pydicom.dcmread(path)
    for keyword, value in attributes.items():
        setattr(file, keyword, value)
    file.save_as(path)
    with refused("UNREADABLE", rf"\bits {named}\b"):
        read_picture(path)


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize("spelling", ["monochrome2", " MONOCHROME2", "Monochrome 2"])
def test_spellings_of_the_photometric_interpretation(tmp_path: Path, spelling: str) -> None:
    path = dicom(tmp_path / "a.dcm", GRAY, PhotometricInterpretation=spelling)
    assert np.array_equal(pixels(path)[..., 0], GRAY)


@pytest.mark.parametrize(
    ("photometric", "shape"), [("MONOCHROME1", "IDENTITY"), ("MONOCHROME2", "INVERSE")]
)
def test_a_presentation_lut_shape_that_contradicts_the_polarity_is_refused(
    tmp_path: Path, photometric: str, shape: str
) -> None:
    other = {"IDENTITY": "INVERSE", "INVERSE": "IDENTITY"}[shape]
    agreed = {"PhotometricInterpretation": photometric, "PresentationLUTShape": other}
    expected = 255 - GRAY if photometric == "MONOCHROME1" else GRAY
    assert np.array_equal(pixels(dicom(tmp_path / "a.dcm", GRAY, **agreed))[..., 0], expected)
    with refused("FORMAT", f"{photometric} and its PresentationLUTShape {shape} contradict"):
        read_picture(dicom(tmp_path / "b.dcm", GRAY, **{**agreed, "PresentationLUTShape": shape}))


def test_a_high_bit_is_not_needed(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", GRAY)
    file = pydicom.dcmread(path)
    del file.HighBit
    file.save_as(path)
    assert np.array_equal(pixels(path)[..., 0], GRAY)


def test_pixels_against_their_transfer_syntax_are_named(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", GRAY)
    content = path.read_bytes().replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.5\x00")
    path.write_bytes(content)
    with refused("UNREADABLE", "TransferSyntaxUID"):
        read_picture(path)


# Content decides

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("removed", ["preamble", "preamble and prefix", "meta information"])
def test_files_without_a_beginning_are_recognized_and_read(
    tmp_path: Path, syntax: str, removed: str
) -> None:
    whole = written(tmp_path / "a", GRAY, syntax, Modality="CR")
    content = whole.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    start = {"preamble": 128, "preamble and prefix": 132, "meta information": 144 + length}
    path = tmp_path / "E1S3I1.MR"
    path.write_bytes(content[start[removed] :])
    assert np.array_equal(pixels(path)[..., 0], GRAY)


def test_a_packed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "0001.dcm.gz"
    path.write_bytes(gzip.compress(dicom(tmp_path / "a", GRAY).read_bytes()))
    assert np.array_equal(pixels(path)[..., 0], GRAY)
    assert code(path, max_volume_bytes=100) == "TOO_LARGE"


def test_a_packed_file_whose_checksum_is_missing_or_wrong_is_refused(tmp_path: Path) -> None:
    content = gzip.compress(dicom(tmp_path / "a", GRAY).read_bytes())
    path = tmp_path / "0001.dcm.gz"
    for damaged in (content[:-1], content[:-8], content[:-8] + bytes(8)):
        path.write_bytes(damaged)
        assert code(path) == "UNREADABLE"


def test_a_file_without_a_transfer_syntax_is_read(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", GRAY, Modality="CR")
    content = path.read_bytes()
    element = b"\x02\x00\x10\x00UI"
    path.write_bytes(content.replace(element, b"\x02\x00\x14\x00UI"))
    assert np.array_equal(pixels(path)[..., 0], GRAY)


@pytest.mark.parametrize(
    "name",
    ["E1S3I1.MR", "IM0001.img", "slice 1.5mm", "IM-0001-0001", "1.2.840.1", "a.IMA", "b.001"],
)
def test_names_do_not_matter(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").mkdir()
    dicom(tmp_path / "a" / name, GRAY)
    (tmp_path / "a" / "notes.txt").write_text("x" * 1000)
    rows = FolderSource(str(tmp_path)).open().rows()
    assert rows.loc[exclusions(rows).isna(), "path"].tolist() == [f"a/{name}"]


def test_other_files_are_not_taken_for_dicom() -> None:
    rng = np.random.default_rng(0)
    others = [rng.bytes(HEAD) for _ in range(2000)]
    others += [b"", bytes(HEAD), b"\xff" * HEAD, b"x,y\n1,2\n" * 60, b"\x08\x00" * 270]
    others += [b"\x02\x00\x00\x00" * 135, b"\x08\x00\x05\x00CS\x0a\x00"]
    assert not any(map(is_dicom, others))
    assert is_dicom((BUNDLED / "CT_small.dcm").read_bytes()[:HEAD])
