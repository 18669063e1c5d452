"""Folders that cannot be listed, and files that are given in place of a folder."""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medgan.errors import UserError
from medgan.images.config import IngestionConfig
from medgan.sources.arrays import NpzSource
from medgan.sources.folder import FolderSource
from medgan.sources.listing import find_images
from medgan.sources.table import CsvSource
from tests.faults.making import noise, raster
from tests.images.known import tables


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`data/a`, and `data/b/site` that may not be entered, whoever runs the tests."""
    root = tmp_path / "data"
    for name in ("a", "b/site", ".trash"):
        (root / name).mkdir(parents=True)
        raster(root / name / "0.png", noise(0, 8, 9))
    scan = os.scandir

    def refusing(folder: Any) -> Any:
        if Path(folder).name in ("site", ".trash"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    return root


def test_a_folder_that_cannot_be_entered_ends_the_run(locked: Path) -> None:
    with pytest.raises(UserError, match=r"b/site cannot be entered \(PermissionError\)"):
        FolderSource(str(locked)).open()


def test_it_can_be_left_out_by_a_pattern(locked: Path) -> None:
    found = find_images(locked, ["^b/site/"])
    assert found.images == ["a/0.png"]
    assert found.left_out == {
        ".trash/": "a hidden file or folder",
        "b/site/": "leave_out `^b/site/`",
    }


def test_a_file_that_may_not_be_read_is_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    for seed, name in enumerate(("0.png", "1.png", "secret", "secret.png")):
        raster(tmp_path / "a" / name, noise(seed, 8, 9), format="PNG")
    opened = Path.open

    def refusing(path: Path, *args: Any, **settings: Any) -> Any:
        if path.stem == "secret":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **settings)

    monkeypatch.setattr(Path, "open", refusing)
    config = IngestionConfig({"a": "normal"}, max_quarantined=1.0)
    _, quarantine, excluded = tables(FolderSource(str(tmp_path)).open(), config)
    assert quarantine["path"].tolist() == ["a/secret", "a/secret.png"]
    assert set(quarantine["code"]) == {"UNREADABLE"}
    assert excluded.empty


def zipped(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a/0.png", b"film")
    return path


def tarred(path: Path) -> Path:
    with tarfile.open(path, "w") as packed:
        packed.add(__file__, "a/0.png")
    return path


def written(content: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


PACKED = {
    "films.zip": (zipped, "is a zip archive; unpack it"),
    "films.tar": (tarred, "is a tar archive; unpack it"),
    "films.tar.gz": (written(gzip.compress(b"films")), "is a gzip archive"),
    "films.7z": (written(b"7z\xbc\xaf\x27\x1c" + bytes(99)), "is a 7.*archive; unpack it"),
    "films": (zipped, "is a zip archive; unpack it"),
    "pointer.zip": (
        written(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`",
    ),
}
SOURCES = {
    "folder": FolderSource,
    "csv": lambda path: CsvSource({"category": "label"}, path),
    "npz": NpzSource,
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("name", PACKED)
def test_an_archive_as_the_source_is_to_be_unpacked(kind: str, name: str, tmp_path: Path) -> None:
    make, words = PACKED[name]
    with pytest.raises(UserError, match=words):
        SOURCES[kind](str(make(tmp_path / name))).open()


def test_a_file_is_no_folder_of_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "films.npz", train_images=noise(0, 3, 8, 9))
    for path in (raster(tmp_path / "film.png", noise(0, 8, 9)), tmp_path / "films.npz"):
        with pytest.raises(UserError, match="is a file; give the folder that holds the images"):
            FolderSource(str(path)).open()


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    for name in ("healthy.zip", "tumour.zip"):
        zipped(tmp_path / name)
    (tmp_path / "README.md").write_text("films")
    with pytest.raises(UserError) as caught:
        FolderSource(str(tmp_path)).open()
    assert "but 3 other files" in str(caught.value)
    assert "2 × a zip archive; unpack it, healthy.zip" in str(caught.value)


def test_a_pattern_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`leave_out` is no regular expression"):
        find_images(tmp_path, ["(["])


def test_a_pattern_that_leaves_nothing_out_is_named(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2_overlay.png", "b/1.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        raster(tmp_path / name.replace(".txt", ".png"), noise(0, 8, 9))
    (tmp_path / "metadata.csv").write_text("image,label\na/1,x\nb/1,x\n")
    table = CsvSource({"category": "label"}, str(tmp_path), images=".", file="{image}.png")
    for source in (FolderSource(str(tmp_path), {"category": ["^(.)"]}), table):
        patterns = ["_overlay", r"^c/", r"\\.png$", "^notes"]
        remarks = replace(source, leave_out=patterns).open().remarks
        assert [remark.text for remark in remarks if remark.what == "leave_out"] == [
            f"the pattern {text} of `leave_out` matches no file" for text in patterns[1:3]
        ]


def test_many_nested_folders_are_listed(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(400):
        deep /= "f"
        deep.mkdir()
    raster(deep / "0.png", noise(0, 8, 9))
    assert len(find_images(tmp_path).images) == 1
