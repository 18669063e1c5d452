"""Every planted bad file is quarantined with its code, and no sound one is."""

from __future__ import annotations

import gzip
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan.images.config import IngestionConfig
from medgan.sources.folder import FolderSource
from medgan.sources.raw import OF_ANOTHER_KIND
from medgan.sources.readers.config import ReadingConfig, SlicePolicy
from tests.faults.making import BUNDLED, dicom, nifti, noise, raster
from tests.images.known import tables

READING = ReadingConfig(slices=SlicePolicy(start=0.4, stop=0.6, count=1), max_pixels=4_000_000)
SMALL = noise(0, 9, 8)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def huge_nifti(path: Path) -> None:
    content = bytearray(nifti(path.with_suffix(".nii"), SMALL).read_bytes())
    struct.pack_into("<4h", content, 40, 3, 32767, 32767, 32767)
    path.with_suffix(".nii").unlink()
    path.write_bytes(gzip.compress(content))


def several_pages(path: Path) -> None:
    Image.fromarray(SMALL).save(path, save_all=True, append_images=[Image.fromarray(SMALL)])


def no_axis(path: Path) -> None:
    content = bytearray(nifti(path, noise(1, 9, 8, 7)).read_bytes())
    struct.pack_into("<12f", content, 280, *[0.0] * 12)
    path.write_bytes(content)


def sequence_bomb(path: Path) -> None:
    level = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    path.write_bytes(dicom(path, None).read_bytes() + level * 2000)


NAN = np.where(SMALL > 99, np.nan, 1.0).astype(np.float32)
BAD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "empty.png": ("UNREADABLE", lambda path: path.write_bytes(b"")),
    "senseless.jpg": ("UNREADABLE", lambda path: path.write_bytes(b"no image" * 99)),
    "cut.png": ("UNREADABLE", lambda path: cut(raster(path, SMALL))),
    "cut.jpg": ("UNREADABLE", lambda path: cut(raster(path, SMALL))),
    "cut.dcm": ("UNREADABLE", lambda path: cut(dicom(path, SMALL))),
    "cut.nii": ("UNREADABLE", lambda path: cut(nifti(path, noise(1, 9, 8, 7)))),
    "cut.nii.gz": ("UNREADABLE", lambda path: cut(nifti(path, noise(1, 9, 8, 7)))),
    "cut.npz": ("UNREADABLE", lambda path: (np.savez(path, a=SMALL), cut(path))),
    "frames.dcm": ("MULTIPAGE", lambda path: dicom(path, noise(1, 2, 8, 8), NumberOfFrames=2)),
    "wrong.dcm": ("UNREADABLE", lambda path: shutil.copy(BUNDLED / "MR_truncated.dcm", path)),
    "nested.dcm": ("UNREADABLE", sequence_bomb),
    "bomb.png": ("TOO_LARGE", lambda path: raster(path, Image.new("1", (3000, 3000)))),
    "large.dcm": ("TOO_LARGE", lambda path: dicom(path, np.zeros((2001, 2000), np.uint8))),
    "large.nii.gz": ("TOO_LARGE", huge_nifti),
    "moving.gif": ("FORMAT", lambda path: raster(path, SMALL)),
    "web.webp": ("FORMAT", lambda path: raster(path, SMALL)),
    "renamed.png": ("FORMAT", lambda path: path.write_bytes(b"%PDF-1.7" + bytes(99))),
    "words.npy": ("FORMAT", lambda path: np.save(path, np.array([["a", "b"]]))),
    "colors.dcm": ("FORMAT", lambda path: dicom(path, SMALL, PhotometricInterpretation="HSV")),
    "pages.tif": ("MULTIPAGE", several_pages),
    "four.nii": ("VOLUMES_4D", lambda path: nifti(path, noise(1, 9, 8, 7, 2))),
    "nan.tif": ("NONFINITE", lambda path: raster(path, NAN)),
    "nan.nii.gz": ("NONFINITE", lambda path: nifti(path, np.stack([NAN] * 5, axis=2))),
    "report.dcm": ("NO_PIXELS", lambda path: dicom(path, None)),
    "packed.dcm": ("NO_DECODER", lambda path: dicom(path, SMALL, syntax="1.2.840.10008.1.2.4.102")),
    "names.dcm": ("BURNED_IN", lambda path: dicom(path, SMALL, BurnedInAnnotation="YES")),
    "thin.nii": ("SPACING", lambda path: nifti(path, noise(1, 9, 8, 7), spacing=(1.0, 20.0, 1.0))),
    "askew.nii": ("ORIENTATION", no_axis),
    "flat.bmp": ("CONSTANT", lambda path: raster(path, np.full((9, 8), 3, np.uint8))),
    "outside.png": (
        "OUTSIDE",
        lambda path: path.symlink_to(raster(path.parents[2] / "elsewhere.png", SMALL)),
    ),
}
GOOD: dict[str, Callable[[Path, np.ndarray], object]] = {
    "grey.png": raster,
    "deep.png": lambda path, grey: raster(path, grey.astype(np.uint16) * 100),
    "rgb.jpg": lambda path, grey: raster(path, np.dstack([grey] * 3)),
    "palette.png": lambda path, grey: raster(path, Image.fromarray(grey).convert("P")),
    "grey.bmp": raster,
    "packed.tif": lambda path, grey: raster(path, grey, compression="tiff_deflate"),
    "cmyk.tif": lambda path, grey: raster(
        path, Image.fromarray(np.dstack([grey] * 3)).convert("CMYK")
    ),
    "8.dcm": dicom,
    "16.dcm": lambda path, grey: dicom(
        path, grey.astype(np.int16) - 99, RescaleSlope=1, RescaleIntercept=-5, Modality="CT"
    ),
    "1.dcm": lambda path, grey: dicom(path, grey, PhotometricInterpretation="MONOCHROME1"),
    "rgb.dcm": lambda path, grey: dicom(path, np.dstack([grey] * 3)),
    "v.nii": lambda path, grey: nifti(path, np.stack([grey] * 3, axis=2)),
    "v.nii.gz": lambda path, grey: nifti(path, np.stack([grey] * 3, axis=2).astype(np.float32)),
    "g.npy": np.save,
    "g.npz": lambda path, grey: np.savez(path, grey=grey),
    "vol.npy": lambda path, grey: np.save(path, np.stack([grey] * 5)),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """`bad/` and 1,000 files in `good/`, of 16 kinds."""
    root = tmp_path / "data"
    for name in ("bad", "good"):
        (root / name).mkdir(parents=True)
    for name, (_, make) in BAD.items():
        make(root / "bad" / name)
    kinds = list(GOOD.items())
    for number in range(1000):
        name, make = kinds[number % len(kinds)]
        make(root / "good" / f"{number:04d}{name}", noise(number, 9, 8))
    return root


def test_planted_bad_files_are_quarantined_and_no_sound_one_is(tree: Path) -> None:
    source = FolderSource(str(tree), reading=READING).open()
    manifest, quarantine, _ = tables(source, IngestionConfig({"good": "normal", "bad": "normal"}))
    found = dict(
        zip(
            quarantine["path"].str.removeprefix("bad/").str.replace(r"/\d+$", "", regex=True),
            quarantine["code"],
            strict=True,
        )
    )
    assert found == {name: code for name, (code, _) in BAD.items()}
    assert len(manifest) == 1000
    assert manifest["path"].str.startswith("good/").all()
    assert quarantine["message"].str.len().between(10, 200).all()


def test_the_table_of_codes_in_the_documentation_is_complete() -> None:
    text = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
    for code in {code for code, _ in BAD.values()} | OF_ANOTHER_KIND | {"VOLUME", "WINDOW"}:
        assert f"| `{code}` |" in text, code
