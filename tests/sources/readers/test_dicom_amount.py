"""DICOM pixel data: the amount that the header accounts for, and pixels that are not square."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from tests.faults.making import code, noise, pixels, refused
from tests.sources.readers.test_dicom_matrix import dicom, jpeg, name_of

SHAPE = (40, 36)
PAGES = np.stack([noise(seed, *SHAPE) for seed in range(3)])
NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian]


@pytest.mark.parametrize("syntax", NATIVE, ids=name_of)
@pytest.mark.parametrize(
    "attributes",
    [
        {"NumberOfFrames": 1},
        {"NumberOfFrames": 2},
        {"NumberOfFrames": ""},
        {"NumberOfFrames": 3, "Rows": 39},
        {"NumberOfFrames": 3, "Columns": 18},
        {"NumberOfFrames": 1, "PixelData": PAGES[0].astype(np.uint16).tobytes()},
    ],
    ids=lambda attributes: ",".join(attributes),
)
def test_more_pixels_than_the_header_says(
    tmp_path: Path, syntax: str, attributes: dict[str, Any]
) -> None:
    path = dicom(tmp_path / "a.dcm", PAGES, syntax, **attributes)
    with refused("UNREADABLE", "bytes, and its header accounts for .* is wrong"):
        pixels(path, 0, frames="all")


@pytest.mark.parametrize("syntax", NATIVE, ids=name_of)
@pytest.mark.parametrize("padding", [b"\0" * 2048, b"\0" * 3 * 36, b"ab"])
def test_padding_is_no_image(tmp_path: Path, syntax: str, padding: bytes) -> None:
    path = dicom(tmp_path / "a.dcm", PAGES[0], syntax, PixelData=PAGES[0].tobytes() + padding)
    assert np.array_equal(pixels(path)[..., 0], PAGES[0])


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("count", [{}, {"NumberOfFrames": 1}], ids=str)
def test_more_compressed_frames_than_the_header_says(
    tmp_path: Path, count: dict[str, int], table: bool
) -> None:
    frames = [jpeg(Image.fromarray(page)) for page in PAGES]
    path = dicom(
        tmp_path / "a.dcm",
        PAGES[0],
        JPEGBaseline8Bit,
        frame=b"\0\0",
        PixelData=encapsulate(frames, has_bot=table),
        **count,
    )
    with refused("UNREADABLE", "3 compressed frames, and its header says one"):
        pixels(path)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless], ids=name_of)
def test_frames_of_other_codecs_are_counted_too(tmp_path: Path, syntax: str) -> None:
    frames = []
    for page in PAGES:
        one = pydicom.dcmread(dicom(tmp_path / "one.dcm", page, syntax))
        frames += generate_frames(one.PixelData, number_of_frames=1)
    for count in (3, 1):
        one.PixelData, one.NumberOfFrames = encapsulate(frames), count
        one.save_as(tmp_path / "a.dcm")
        if count == 3:
            assert np.array_equal(pixels(tmp_path / "a.dcm", 2, frames="all")[..., 0], PAGES[2])
    with refused("UNREADABLE", "3 compressed frames"):
        pixels(tmp_path / "a.dcm")


def test_one_frame_may_have_several_fragments(tmp_path: Path) -> None:
    frame = jpeg(Image.fromarray(PAGES[0]))
    parts = encapsulate([frame], fragments_per_frame=3)
    path = dicom(tmp_path / "a.dcm", PAGES[0], JPEGBaseline8Bit, frame=b"\0\0", PixelData=parts)
    assert code(path) == ""


@pytest.mark.parametrize(
    ("ratio", "size"),
    [([2, 1], (80, 36)), ([1, 2], (40, 72)), ([1, 1], SHAPE), ([101, 100], SHAPE)],
)
@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_pixels_become_square(
    tmp_path: Path, ratio: list[int], size: tuple[int, int], color: bool, depth: type
) -> None:
    """The ratio is that of the height of a pixel to its width."""
    upright = np.add.outer(np.arange(SHAPE[0]), np.arange(SHAPE[1])).astype(depth)
    upright *= np.iinfo(depth).max // upright.max()
    words = np.dstack([upright, upright[::-1], upright]) if color else upright
    path = dicom(tmp_path / "a.dcm", words, ExplicitVRLittleEndian, PixelAspectRatio=ratio)
    found = pixels(path)
    assert found.shape == (*size, 3 if color else 1)
    rows, columns = (
        np.linspace(0, length - 1, count) for length, count in zip(SHAPE, size, strict=True)
    )
    truth = np.add.outer(rows, columns)
    assert np.corrcoef(found[..., 0].ravel(), truth.ravel())[0, 1] > 0.999


def test_a_ratio_of_pixels_that_is_none_is_refused(tmp_path: Path) -> None:
    for ratio in ([0, 1], [1, 20]):
        path = dicom(tmp_path / "a.dcm", PAGES[0], ExplicitVRLittleEndian, PixelAspectRatio=ratio)
        assert code(path) == "SPACING"
