from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan.sources.files import FileImages
from medgan.sources.folder import FolderSource
from medgan.sources.readers import nifti as reader
from medgan.sources.readers.config import ReadingConfig, SlicePolicy
from tests.faults.making import dicom, nifti, noise, raster, refused

SLICES = ReadingConfig(frames="all", slices=SlicePolicy(start=0.3, stop=0.7))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    nifti(tmp_path / "a" / "1.nii.gz", noise(0, 9, 8, 6))
    dicom(tmp_path / "a" / "2.dcm", noise(1, 3, 8, 8), NumberOfFrames=3)
    raster(tmp_path / "a" / "3.png", noise(2, 8, 8))
    (tmp_path / "a" / "4.nii").write_bytes(b"broken")
    return tmp_path


def test_volumes_and_frames_have_a_row_for_each_image(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_load", lambda *_: pytest.fail("headers are enough"))
    rows = (
        FolderSource(str(folder), {"category": ["^(.)"], "group_id": [r"/(\d)"]}, reading=SLICES)
        .open()
        .named_rows()
    )
    expected = [
        "a/1.nii.gz/002",
        "a/1.nii.gz/003",
        *(f"a/2.dcm/00{number}" for number in range(3)),
        "a/3.png",
        "a/4.nii",
    ]
    assert rows["path"].tolist() == rows["image_id"].tolist() == expected
    assert rows["group_id"].tolist() == list("1122234")
    assert rows["volume"].tolist() == ["a/1.nii.gz"] * 2 + ["a/2.dcm"] * 3 + [None] * 2
    assert rows["slice"].tolist() == ["002", "003", "000", "001", "002", None, None]


def test_slices_and_frames_are_read_by_their_paths(folder: Path) -> None:
    source = FolderSource(str(folder), reading=SLICES).open()
    shapes = [source.read(path).pixels.shape for path in source.rows()["path"][:-1]]
    assert shapes == [(8, 9, 1)] * 2 + [(8, 8, 1)] * 4
    assert not np.array_equal(source.read("a/2.dcm/000").pixels, source.read("a/2.dcm/001").pixels)
    for path in ("a/4.nii", "a/1.nii.gz/999", "a/1.nii.gz/٠٠٢"):
        with refused("UNREADABLE"):
            source.read(path)
    with refused("VOLUME"):
        source.read("a/1.nii.gz")


def test_a_folder_may_be_called_like_a_number(tmp_path: Path) -> None:
    (tmp_path / "001").mkdir()
    raster(tmp_path / "001" / "002.png", noise(0, 8, 8))
    source = FolderSource(str(tmp_path)).open()
    assert source.read("001/002.png").pixels.shape == (8, 8, 1)


def test_without_a_policy_every_file_keeps_one_row(folder: Path) -> None:
    source = FolderSource(str(folder)).open()
    assert source.rows()["path"].tolist() == ["a/1.nii.gz", "a/2.dcm", "a/3.png", "a/4.nii"]
    assert "volume" not in source.rows()


def test_a_fingerprint_names_content_place_and_settings(folder: Path) -> None:
    source = FolderSource(str(folder), reading=SLICES).open()
    before = {path: source.fingerprint(path) for path in source.rows()["path"]}
    assert len(set(before.values())) == len(before)
    assert before == {
        path: FolderSource(str(folder), reading=SLICES).open().fingerprint(path) for path in before
    }
    os.utime(folder / "a" / "3.png", (1, 1))
    assert source.fingerprint("a/3.png") == before["a/3.png"], "the content counts, not the date"
    raster(folder / "a" / "3.png", noise(5, 8, 8))
    assert source.fingerprint("a/3.png") != before["a/3.png"]
    others = (
        ReadingConfig(window="lung"),
        ReadingConfig(pseudonym_key="a secret of the tests"),
        ReadingConfig(),
    )
    assert (
        len(
            {
                FolderSource(str(folder), reading=other).open().fingerprint("a/1.nii.gz")
                for other in others
            }
        )
        == 3
    )


def test_a_file_is_hashed_once_for_all_its_slices(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FolderSource(str(folder), reading=SLICES).open()
    hashed = []
    monkeypatch.setattr(
        "medgan.sources.files.file_digest", lambda file: (hashed.append(file.name), "checksum")[1]
    )
    for number in range(3):
        source.fingerprint(f"a/2.dcm/{number:03d}")
    assert hashed == ["2.dcm"]


def test_pages_become_rows(tmp_path: Path) -> None:
    Image.fromarray(noise(0, 8, 8)).save(
        tmp_path / "p.tif", save_all=True, append_images=[Image.fromarray(noise(1, 8, 8))]
    )
    rows = (
        FolderSource(str(tmp_path), {"category": ["(.)"]}, reading=ReadingConfig(frames="all"))
        .open()
        .rows()
    )
    assert rows["path"].tolist() == ["p.tif/000", "p.tif/001"]
    assert isinstance(FolderSource(str(tmp_path), {"category": ["(.)"]}).open(), FileImages)
