"""Checksums: what was written is read, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from medgan.files.atomic import new_file, new_folder, recovered, remove_leftovers, write_text
from medgan.files.integrity import (
    LARGE,
    MANIFEST,
    DamagedFile,
    intact,
    reading,
    require_intact,
    sidecar,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_text(tmp_path / "a.csv", "a,b\n1,2\n", sealed=True)
    return tmp_path / "a.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with new_folder(tmp_path / "made", sealed=True) as new:
        (new / "a.json").write_text("{}")
        (new / "deep").mkdir()
        (new / "deep" / "b.png").write_bytes(bytes(99))
    return tmp_path / "made"


def damages(content: bytes) -> list[bytes]:
    """Every single flipped bit, and every length that a cut file can have."""
    flips = [
        content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
        for at in range(len(content))
        for bit in range(8)
    ]
    return [*flips, *(content[:length] for length in range(len(content)))]


@pytest.mark.parametrize("of", [lambda path: path, sidecar])
def test_every_flip_and_cut_of_a_file_and_its_checksum_is_seen(
    file: Path, of: Callable[[Path], Path]
) -> None:
    require_intact(file)
    content = of(file).read_bytes()
    for damaged in damages(content):
        of(file).write_bytes(damaged)
        with pytest.raises(DamagedFile, match=r"a\.csv"):
            require_intact(file)
    of(file).write_bytes(content)
    assert intact(file)


@pytest.mark.parametrize("name", ["a.json", "deep/b.png", MANIFEST])
def test_every_flip_and_cut_of_a_folder_is_seen(folder: Path, name: str) -> None:
    require_intact(folder)
    content = (folder / name).read_bytes()
    for damaged in damages(content):
        (folder / name).write_bytes(damaged)
        with pytest.raises(DamagedFile):
            require_intact(folder)
    (folder / name).write_bytes(content)
    assert intact(folder)


def test_a_folder_without_files_is_intact_until_one_appears(tmp_path: Path) -> None:
    with new_folder(tmp_path / "empty", sealed=True):
        pass
    require_intact(tmp_path / "empty")
    assert intact(tmp_path / "empty")
    (tmp_path / "empty" / "a.png").write_bytes(b"strange")
    with pytest.raises(DamagedFile, match=r"does not list a\.png"):
        require_intact(tmp_path / "empty")


def test_a_file_that_is_replaced_while_it_is_compared_is_not_called_damaged(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = require_intact.__globals__["file_digest"]

    def replaced_meanwhile(path: Path) -> str:
        found = original(path)
        monkeypatch.undo()
        write_text(file, "new", sealed=True)
        return found

    monkeypatch.setitem(require_intact.__globals__, "file_digest", replaced_meanwhile)
    require_intact(file)


def test_a_missing_and_a_strange_file_of_a_folder_are_seen(folder: Path) -> None:
    (folder / "c.json").write_text("{}")
    with pytest.raises(DamagedFile, match=r"does not list c\.json"):
        require_intact(folder)
    (folder / "c.json").unlink()
    (folder / ".DS_Store").write_text("of a file manager")
    require_intact(folder)
    (folder / "a.json").unlink()
    with pytest.raises(DamagedFile, match=r"a\.json is damaged \(it is missing\)"):
        require_intact(folder)


def test_without_checksum_a_file_is_read_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "by_hand.csv"
    path.write_text("a\n")
    for _ in range(2):
        require_intact(path)
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} has no checksum, so damage to it cannot be seen."
    ]
    assert not intact(path)


def test_a_large_file_is_hashed_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "images.u8"
    with new_file(path, sealed=True) as temporary:
        temporary.write_bytes(bytes(LARGE))
    hashed: list[Path] = []
    original = require_intact.__globals__["file_digest"]
    monkeypatch.setitem(
        require_intact.__globals__, "file_digest", lambda one: hashed.append(one) or original(one)
    )
    for _ in range(3):
        require_intact(path)
    assert len(hashed) == 1
    with path.open("r+b") as opened:
        opened.write(b"1")
    with pytest.raises(DamagedFile):
        require_intact(path)


def test_files_have_the_format_of_sha256sum(file: Path, folder: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("this machine has no sha256sum")
    for where, listed in ((file.parent, sidecar(file).name), (folder, MANIFEST)):
        subprocess.run(["sha256sum", "--check", "--strict", listed], cwd=where, check=True)


def test_reading_names_what_cannot_be_parsed_and_how_it_is_made_again(file: Path) -> None:
    with (
        pytest.raises(DamagedFile, match=r"a\.csv is damaged \(KeyError .*: run it again\.$"),
        reading(file, "run it again"),
    ):
        raise KeyError("a")
    with pytest.raises(PermissionError), reading(file):
        raise PermissionError(13, "denied", "a.csv")


def test_a_killed_replacement_leaves_a_file_that_fits_its_checksum(file: Path) -> None:
    """The checksum of the new content is written first; both are listed until it is there."""
    old = file.read_text()
    original = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if target == file:
            raise KeyboardInterrupt
        return original(self, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write_text(file, "new", sealed=True)
    require_intact(file)
    assert file.read_text() == old
    assert len(sidecar(file).read_text().splitlines()) == 2
    write_text(file, "new", sealed=True)
    assert len(sidecar(file).read_text().splitlines()) == 1


def test_leftovers_of_dead_processes_go_and_those_of_others_stay(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    version = tmp_path / "made" / "2026-01-01T00.00.00.000Z"
    (version / f".made.{dead.pid}-x1.partial" / "deep").mkdir(parents=True)
    (tmp_path / f".a.csv.{dead.pid}-x2.partial").write_text("half")
    (tmp_path / ".a.csv.1-x3.partial").write_text("process 1 is alive")
    (tmp_path / ".never.csv.sha256").write_text("of no file")
    (tmp_path / ".b.old").mkdir()
    (tmp_path / ".b.old" / "file").write_text("set aside")
    write_text(tmp_path / "b.csv", "b", sealed=True)
    remove_leftovers(tmp_path)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert left == [".a.csv.1-x3.partial", ".b.csv.sha256", "b", "b.csv", "b/file", "made"]


def test_a_reader_that_puts_the_old_folder_back_does_not_stop_the_writer(folder: Path) -> None:
    original = Path.replace

    def watched(self: Path, target: Path) -> Path:
        moved = original(self, target)
        if target.name == ".made.old":
            recovered(folder)  # what a reader does at this moment
            patch.undo()
        return moved

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", watched)
        with new_folder(folder) as new:
            (new / "only").write_text("")
    assert [path.name for path in folder.iterdir()] == ["only"]
    assert [path.name for path in folder.parent.iterdir()] == ["made"]
