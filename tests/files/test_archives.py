"""ZIP files that somebody else has made."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from medgan.errors import UserError
from medgan.files.archives import Limits, unpack


def archive(
    files: dict[str, bytes], links: tuple[str, ...] = (), method: int = zipfile.ZIP_DEFLATED
) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as packed:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK if name in links else stat.S_IFREG | 0o644) << 16
            packed.writestr(info, content, method)
    buffer.seek(0)
    return buffer


def encrypted() -> io.BytesIO:
    """An archive whose member has the flag of encryption, in both of its headers."""
    made = archive({"a.png": b"secret"})
    content = bytearray(made.getvalue())
    for header, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + place] |= 1
    return io.BytesIO(bytes(content))


def damaged() -> io.BytesIO:
    """An archive whose compressed bytes are no longer a deflate stream."""
    content = bytearray(archive({"a.png": bytes(range(256)) * 9}).getvalue())
    start = content.index(b"a.png") + 5
    content[start : start + 4] = b"\xff\xff\xff\xff"
    return io.BytesIO(bytes(content))


def test_folders_and_files_are_unpacked(tmp_path: Path) -> None:
    made = archive({"films/normal/1.png": b"one", "films\\ill\\2.png": b"two", "empty/": b""})
    assert unpack(made, tmp_path / "films") == 2
    found = {path.name: path.read_bytes() for path in (tmp_path / "films").rglob("*.png")}
    assert found == {"1.png": b"one", "2.png": b"two"}
    assert (tmp_path / "films/films/ill/2.png").is_file()


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (archive({"../out.png": b"x"}), "leads out"),
        (archive({"/etc/out.png": b"x"}), "leads out"),
        (archive({"a/..\\..\\out.png": b"x"}), "leads out"),
        (archive({"C:/out.png": b"x"}), "leads out"),
        (archive({"link": b"/etc/passwd"}, links=("link",)), "a link"),
        (archive({str(number): b"" for number in range(11)}), "11 files, more than 10"),
        (archive({"zeros": bytes(5 * 2**20)}), "more than 4 MB"),
        (archive({"a": b"1", "./a": b"2"}), "twice"),
        (archive({"a": b"1", "a/b": b"2"}), "as a file and as a folder"),
        (archive({"a/b/c": b"1", "a/b": b"2"}), "as a file and as a folder"),
        (archive({"a/b/c": b"1", "a/b/c/d/e": b"2"}), "as a file and as a folder"),
        (archive({"x" * 300: b"1"}), "'x{80}' with a name that is too long"),
        (archive({".": b"1"}), "leads out"),
        (encrypted(), "is encrypted: pack it again without a password"),
        (damaged(), r"cannot be unpacked \(error\): it is damaged"),
        (archive({"zeros": bytes(2**20)}, method=zipfile.ZIP_BZIP2), "another method than deflate"),
        (archive({"zeros": bytes(2**20)}, method=zipfile.ZIP_LZMA), "another method than deflate"),
        (archive({}), "no files"),
        (io.BytesIO(b"PK\x03\x04 and no more"), "cannot be unpacked"),
    ],
)
def test_what_is_not_safe_is_refused_and_leaves_nothing(
    tmp_path: Path, made: io.BytesIO, sentence: str
) -> None:
    folder = tmp_path / "data/films"
    with pytest.raises(UserError, match=sentence):
        unpack(made, folder, Limits(files=10, unpacked=4 * 2**20))
    assert not folder.exists()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    with pytest.raises(UserError, match="exists already"):
        unpack(archive({"a": b"1"}), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
