"""Files that are no images are refused by what they are, with the remedy, whatever their name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan.sources.readers.formats import passed_over
from tests.faults.making import noise, pixels, refused


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("healthy/x.png", b"nothing")
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x.png"))
    return stream.getvalue()


def image(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(noise(0, 9, 8, 3)).save(stream, kind)
    return stream.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"
CONTENTS = {
    "zip archive.*unpack": zipped(),
    "tar archive; unpack": tarred(),
    "gzip archive.*unpack": gzip.compress(tarred()),
    "bzip2 archive; unpack": bz2.compress(b"x"),
    "xz archive; unpack": lzma.compress(b"x"),
    "7z archive; unpack": b"7z\xbc\xaf\x27\x1c" + bytes(99),
    "Git LFS pointer.*git lfs pull": LFS,
    "git-annex pointer.*git annex get": b"/annex/objects/MD5E-s9--0.png\n",
    "web page.*download": b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title>",
    "web page.*again": b"\xef\xbb\xbf<HTML lang=de>",
    "XML or JSON.*download": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "JSON.*download": b'{"detail": "not found"}',
    "FreeSurfer volume.*convert": gzip.compress(
        b"".join(number.to_bytes(4, "big") for number in (1, 64, 80, 60, 1, 4, 0)) + bytes(256)
    ),
    "NRRD volume; convert": gzip.compress(b"NRRD0004\n" + bytes(99)),
    "GIF image; convert": image("GIF"),
    "WebP image; convert": image("WEBP"),
    "JPEG 2000 image; convert": image("JPEG2000"),
    "PNM image; convert": image("PPM"),
    "PDF document": b"%PDF-1.7" + bytes(99),
    "pickle, which is never loaded": pickle.dumps(np.zeros(3)),
    "HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(99),
    "NRRD volume; convert it to one NIfTI": b"NRRD0004\ntype: short\n",
    "MetaImage header; convert it to one NIfTI": b"ObjectType = Image\nNDims = 3\n",
    "HEIF or AVIF": b"\x00\x00\x00\x20ftypheic" + bytes(99),
}


@pytest.mark.parametrize("words", CONTENTS)
@pytest.mark.parametrize("name", ["x.png", "x.nii.gz", "x"])
def test_known_contents_are_named_with_their_remedy(tmp_path: Path, words: str, name: str) -> None:
    (tmp_path / name).write_bytes(CONTENTS[words])
    with refused("FORMAT", words):
        pixels(tmp_path / name)


def test_a_link_of_git_annex_without_its_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.png").symlink_to(".git/annex/objects/0/MD5E-s9--0.png")
    with refused("UNREADABLE", "git annex get"):
        pixels(tmp_path / "x.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_packed_image_is_listed_and_refused_and_a_packed_archive_is_passed_over(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(image(kind)))
    assert passed_over(path) is None
    with refused("FORMAT", "gzip archive; unpack it"):
        pixels(path)
    path.write_bytes(gzip.compress(tarred()))
    assert passed_over(path) == "a gzip archive; unpack it"
