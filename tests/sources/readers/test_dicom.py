from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.sequence import Sequence

from tests.faults.making import BUNDLED, KEY, code, dicom, metadata, noise, pixels

GREY = noise(0, 10, 12)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"PatientAge": "045Y"}, "45"),
        ({"PatientAge": "006M"}, "0.5"),
        ({"PatientAge": "010D"}, "0.03"),
        ({"PatientAge": "094Y"}, "94"),
        ({"PatientAge": "forty"}, None),
        ({"PatientBirthDate": "19800615", "StudyDate": "20200614"}, "39"),
        ({"PatientBirthDate": "19800615", "StudyDate": "20200615"}, "40"),
        ({"PatientBirthDate": "20200615", "StudyDate": "19800615"}, None),
        ({"PatientBirthDate": "19800615"}, None),
    ],
)
def test_an_age_is_years(tmp_path: Path, attributes: dict[str, str], expected: str | None) -> None:
    assert metadata(dicom(tmp_path / "a.dcm", GREY, **attributes)).get("age") == expected


def test_what_a_header_says_of_the_image(tmp_path: Path) -> None:
    path = dicom(
        tmp_path / "mr.dcm",
        GREY,
        PatientSex="F",
        Modality="MR",
        ScanningSequence=["SE", "IR"],
        SequenceVariant="SK",
        ViewPosition="PA",
        Manufacturer="SIEMENS Healthineers\n",
        ManufacturerModelName="Tesla  3",
        ImagePositionPatient=[1.0, 2.0, -30.25],
    )
    assert metadata(path) == {
        "sex": "F",
        "view": "PA",
        "sequence": "MR SE/IR/SK",
        "scanner": "Siemens",
        "slice": "-30.2",
        "color": "MONOCHROME2",
    }


def test_damaged_facts_are_left_out_and_the_pixels_are_read(tmp_path: Path) -> None:
    path = dicom(
        tmp_path / "a.dcm",
        GREY,
        PatientSex="female",
        ViewPosition="from the left",
        ImagePositionPatient=[1.0],
    )
    assert metadata(path) == {"view": "other", "color": "MONOCHROME2"}


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("SIEMENS", "Siemens"),
        ("Philips Medical Systems", "Philips"),
        ("GE MEDICAL SYSTEMS", "GE"),
        ("GEMS", "GE"),
        ("TOSHIBA_MEC", "Toshiba"),
        ("FUJI PHOTO FILM Co., ltd.", "Fujifilm"),
        ("Agfa-Gevaert", "Agfa"),
        ("  KODAK\x00", "Kodak"),
        ("St. Mary's, Dr. Smith", "other"),
        ("Geraldine Hitachison", "other"),
        ("", None),
    ],
)
def test_a_manufacturer_is_one_of_a_list(tmp_path: Path, stated: str, expected: str | None) -> None:
    path = dicom(tmp_path / "a.dcm", GREY, Manufacturer=stated, ManufacturerModelName="Smith's")
    assert metadata(path).get("scanner") == expected


def test_models_of_a_maker_are_told_apart_by_pseudonyms(tmp_path: Path) -> None:
    def scanner(model: str, key: str = KEY) -> str:
        path = dicom(tmp_path / "a.dcm", GREY, Manufacturer="SIEMENS", ManufacturerModelName=model)
        return metadata(path, pseudonym_key=key)["scanner"]

    assert re.fullmatch("Siemens [0-9a-f]{6}", scanner("Skyra"))
    assert scanner("Skyra") == scanner("SKYRA ")
    assert len({scanner("Skyra"), scanner("Prisma"), scanner("Skyra", KEY[::-1])}) == 3


@pytest.mark.parametrize(
    ("keyword", "column"),
    [
        ("Modality", "sequence"),
        ("ScanningSequence", "sequence"),
        ("SequenceVariant", "sequence"),
        ("ViewPosition", "view"),
        ("Manufacturer", "scanner"),
        ("ManufacturerModelName", "scanner"),
        ("PatientSex", "sex"),
        ("PatientAge", "age"),
    ],
)
def test_no_text_that_is_not_listed_leaves_a_header(
    tmp_path: Path, keyword: str, column: str
) -> None:
    path = dicom(tmp_path / "a.dcm", GREY, **{keyword: "SMITH_JOHN"})
    told = metadata(path, pseudonym_key=KEY)
    assert told.get(column, "other").split()[0] == "other"
    assert not re.search("smith|john", str(told), re.IGNORECASE)


def test_patients_of_different_issuers_differ(tmp_path: Path) -> None:
    key = {"pseudonym_key": "a secret of the tests"}
    here = metadata(dicom(tmp_path / "1.dcm", GREY, PatientID="1", IssuerOfPatientID="here"), **key)
    there = metadata(
        dicom(tmp_path / "2.dcm", GREY, PatientID="1", IssuerOfPatientID="there"), **key
    )
    assert here["group_id"] != there["group_id"]
    assert "group_id" not in metadata(dicom(tmp_path / "3.dcm", GREY, PatientID=""), **key)


def test_patients_that_differ_only_in_form_are_one(tmp_path: Path) -> None:
    def patients(keyword: str, *values: str) -> int:
        """How many patients files are of whose ids, or issuers, are written so."""
        ids = {"PatientID": "1", "IssuerOfPatientID": "x"}
        made = [
            dicom(tmp_path / f"{place}.dcm", GREY, **ids | {keyword: value})
            for place, value in enumerate(values)
        ]
        return len({metadata(path, pseudonym_key=KEY)["group_id"] for path in made})

    for keyword in ("PatientID", "IssuerOfPatientID"):
        assert patients(keyword, "P-07", "p7", "P_007 ", "p 7") == 1
        assert patients(keyword, "12", "0012", "12.0") == 1
        assert patients(keyword, "12", "21", "1-2") == 3


@pytest.mark.parametrize(
    "twin",
    [
        "MR_small_RLE",
        "MR_small_jp2klossless",
        "MR_small_bigendian",
        "MR_small_implicit",
        "MR_small_padded",
    ],
)
def test_every_transfer_syntax_gives_the_same_pixels(twin: str) -> None:
    assert np.array_equal(pixels(BUNDLED / f"{twin}.dcm"), pixels(BUNDLED / "MR_small.dcm"))


@pytest.mark.parametrize(
    ("name", "color", "tolerance"),
    [
        ("SC_rgb_rle.dcm", "RGB", 0),
        ("SC_rgb_rle_16bit.dcm", "RGB", 1),
        ("SC_ybr_full_422_uncompressed.dcm", "YBR_FULL_422 to RGB", 5),
        ("SC_rgb_jpeg_dcmtk.dcm", "YBR_FULL to RGB", 5),
        ("SC_rgb_gdcm_KY.dcm", "RGB", 0),
    ],
)
def test_colors_become_rgb(name: str, color: str, tolerance: int) -> None:
    """The bundled files show bars in these colors; their green is stored as Y 150, Cb 46, Cr 20,
    which is (0, 255, 5).
    """
    bars = pixels(BUNDLED / name, secondary_captures="all")[5::10, 50].astype(int)
    expected = [
        [255, 0, 0],
        [255, 128, 128],
        [0, 255, 0],
        [128, 255, 128],
        [0, 0, 255],
        [128, 128, 255],
    ]
    assert np.abs(bars[:6] - expected).max() <= tolerance
    assert metadata(BUNDLED / name, secondary_captures="all")["color"] == color


def test_a_palette_becomes_rgb() -> None:
    file = pydicom.dcmread(BUNDLED / "examples_palette.dcm")
    expected = pydicom.pixels.apply_color_lut(file.pixel_array, file)
    shown = pixels(BUNDLED / "examples_palette.dcm")
    assert shown.shape == (350, 800, 3)
    assert np.abs(shown - expected / (257 if expected.dtype == np.uint16 else 1)).max() <= 1


def test_frames_have_scalings_of_their_own(tmp_path: Path) -> None:
    def group(slope: float) -> pydicom.Dataset:
        values, item = pydicom.Dataset(), pydicom.Dataset()
        values.RescaleSlope, values.RescaleIntercept = slope, 0
        item.PixelValueTransformationSequence = Sequence([values])
        return item

    stack = np.stack([GREY, GREY]).astype(np.uint16)
    path = dicom(
        tmp_path / "e.dcm",
        stack,
        NumberOfFrames=2,
        PerFrameFunctionalGroupsSequence=Sequence([group(1), group(0.5)]),
    )
    first, second = (
        pixels(path, number, frames="all", window=(0.0, 255.0))[..., 0] for number in (0, 1)
    )
    assert np.array_equal(first, GREY)
    assert np.abs(second - GREY / 2).max() <= 0.5


def test_a_multi_frame_file_gives_what_pydicom_gives() -> None:
    stack = pydicom.dcmread(BUNDLED / "examples_ybr_color.dcm").pixel_array
    for number in (0, 7, 29):
        assert np.array_equal(
            pixels(BUNDLED / "examples_ybr_color.dcm", number, frames="all"), stack[number]
        )


def test_what_is_no_image_for_us_is_refused(tmp_path: Path) -> None:
    assert code(dicom(tmp_path / "a.dcm", GREY, PhotometricInterpretation="HSV")) == "FORMAT"
    assert (
        code(dicom(tmp_path / "b.dcm", GREY, syntax="1.2.840.10008.1.2.4.102")) == "NO_DECODER"
    ), "a video"
