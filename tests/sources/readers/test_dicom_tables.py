"""Lookup tables of DICOM files as writers make them: bits, words, signs and lengths that differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.faults.making import code, metadata, pixels, refused
from tests.sources.readers.test_dicom_matrix import dicom, name_of, shown

Y, X = np.mgrid[0:40, 0:36]
RAMP = (X + Y) / 74.0
WORDS = np.rint(RAMP * 4095).astype(np.uint16)
CURVE = np.linspace(0, 1, 4096) ** 2
NAMES = ("Red", "Green", "Blue")


def table_of(stated: int, data: bytes | list[int], count: int = 4096, first: int = 0) -> Sequence:
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [count, first, stated], data
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item["LUTData"].VR = "OW" if isinstance(data, bytes) else "US"
    return Sequence([item])


@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize(
    ("stated", "top", "form"),
    [
        (8, 255, "words"),
        (8, 255, "numbers"),
        (8, 255, "bytes"),
        (12, 4095, "numbers"),
        (10, 4095, "words"),
        (16, 4095, "words"),
        (16, 255, "words"),
        (0, 4095, "words"),
    ],
)
def test_every_form_of_a_table(
    tmp_path: Path, keyword: str, stated: int, top: int, form: str
) -> None:
    entries = np.rint(CURVE * top).astype(np.uint16)
    forms = {
        "words": entries.tobytes(),
        "numbers": entries.tolist(),
        "bytes": entries.astype(np.uint8).tobytes(),
    }
    path = dicom(
        tmp_path / "a.dcm",
        WORDS,
        ExplicitVRLittleEndian,
        BitsStored=12,
        HighBit=11,
        **{keyword: table_of(stated, forms[form])},
    )
    found = pixels(path)[..., 0]
    limits = (0.0, float(top))
    if keyword == "ModalityLUTSequence":
        limits = tuple(np.percentile(entries[WORDS], (0.1, 99.9)))
    assert np.abs(found - shown(entries[WORDS], *limits)).max() <= 0.51


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian], ids=name_of)
def test_the_first_value_of_a_table_may_be_negative(tmp_path: Path, syntax: str) -> None:
    """Implicit syntaxes give it the sign of the stored values, not of those that are looked up."""
    entries = np.rint(CURVE * 65535).astype(np.uint16)
    path = dicom(
        tmp_path / "a.dcm",
        WORDS,
        syntax,
        RescaleSlope="1",
        RescaleIntercept="-1024",
        VOILUTSequence=table_of(16, entries.tobytes(), first=-1024),
    )
    assert np.abs(pixels(path)[..., 0] - shown(entries[WORDS], 0, 65535)).max() <= 0.51


def test_values_beyond_a_table_get_its_ends(tmp_path: Path) -> None:
    entries = np.rint(np.linspace(10, 250, 256)).astype(np.uint16)
    path = dicom(
        tmp_path / "a.dcm",
        WORDS,
        ExplicitVRLittleEndian,
        VOILUTSequence=table_of(8, entries.tolist(), 256, first=1000),
    )
    truth = entries[np.clip(WORDS.astype(int) - 1000, 0, 255)]
    assert np.array_equal(pixels(path)[..., 0], truth)


def test_a_table_that_is_too_short_is_named_or_passed_over(tmp_path: Path) -> None:
    short = table_of(12, list(range(2000)))
    whole = table_of(12, list(range(4096)))
    window = {"WindowCenter": "2048", "WindowWidth": "4096"}

    def made(**attributes: Any) -> Path:
        return dicom(tmp_path / "a.dcm", WORDS, ExplicitVRLittleEndian, **attributes)

    with refused("UNREADABLE", "ModalityLUTSequence .* LUTData has 2000 of 4096 entries"):
        pixels(made(ModalityLUTSequence=short))
    assert metadata(made(VOILUTSequence=short, **window))["window"] == "file 0 to 4095"
    two = Sequence([short[0], whole[0]])
    assert metadata(made(VOILUTSequence=two, **window))["window"] == "file, table"


@pytest.mark.parametrize(("stated", "top"), [(16, 255), (8, 65535), (16, 65535), (8, 255)])
def test_palettes_whose_bits_are_stated_wrongly(tmp_path: Path, stated: int, top: int) -> None:
    table = np.rint(np.random.default_rng(0).random((256, 3)) * top).astype(np.uint16)
    table[:2] = [[0], [top]]
    indices = np.rint(RAMP * 255).astype(np.uint8)
    attributes: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for number, name in enumerate(NAMES):
        attributes[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, stated]
        attributes[f"{name}PaletteColorLookupTableData"] = table[:, number].tobytes()
    path = dicom(tmp_path / "a.dcm", indices, ExplicitVRLittleEndian, **attributes)
    assert code(path) == ""
    assert np.abs(pixels(path) - shown(table[indices], 0, top)).max() <= 0.51
