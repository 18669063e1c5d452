"""What became of every file: messy folders of every kind, and numbers that add up to their files."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import socket
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medgan.images.config import IngestionConfig, PreprocessingConfig
from medgan.images.summary import (
    FILES,
    FOLDERS,
    FURTHER,
    IMAGES,
    ROWS,
    DataSummary,
    belongs_to,
    summarize_ingestion,
    with_split,
)
from medgan.pipelines.preprocessing.nodes import split_images
from medgan.report.sections.data import render_summary
from medgan.sources.companions import MASK, THUMBNAIL
from medgan.sources.folder import FolderSource
from medgan.sources.listing import CIRCLE, COPY, HIDDEN, LINK, SYSTEM
from medgan.sources.phantoms import PhantomSource
from medgan.sources.readers.config import ReadingConfig, SlicePolicy
from medgan.sources.readers.formats import DEVICE, INDEX, OTHER, TEXT
from medgan.sources.registry import SourceConfig
from medgan.sources.table import MISSING, OWN_TABLE, UNLISTED, CsvSource
from tests.faults.making import dicom, nifti, noise, raster
from tests.images.known import tables

CONFIG = IngestionConfig({"a": "normal", "b": "ill", "0": "normal"}, max_quarantined=1.0)
ZIPPED = "a zip archive; unpack it"


def films(root: Path, count: int = 4) -> None:
    """Images `a/0.png`, `b/0.png` ..."""
    for number in range(count):
        for place, name in enumerate("ab"):
            (root / name).mkdir(parents=True, exist_ok=True)
            raster(root / name / f"{number}.png", noise(2 * number + place, 8, 9))


def beside(root: Path) -> None:
    films(root)
    for file in [*root.glob("*/*.png")]:
        raster(file.with_name(f"{file.stem}_mask.png"), noise(0, 8, 9))
    raster(root / "b" / "0_mask_1.png", noise(0, 8, 9))
    raster(root / "b" / "0-thumb.jpg", noise(0, 4, 4))


def mask_folders(root: Path) -> None:
    films(root / "images")
    for name in ("masks", "Ground Truth", "labelsTr"):
        shutil.copytree(root / "images", root / name)


def nnunet(root: Path) -> None:
    """A channel number behind the name of the image, none behind that of its label map."""
    for number in range(4):
        for place, name in enumerate("ab"):
            stem = f"case_{name}{number}"
            for folder, end in (("imagesTr", "_0000"), ("labelsTr", "")):
                (root / name / folder).mkdir(parents=True, exist_ok=True)
                volume = noise(10 * number + place, 9, 8, 7)
                nifti(root / name / folder / f"{stem}{end}.nii.gz", volume)


def brats(root: Path) -> None:
    for place, name in enumerate("ab"):
        (root / name).mkdir(parents=True)
        for number in range(3):
            for series in ("flair", "t1", "seg"):
                volume = noise(number + 10 * place + len(series), 9, 8, 7)
                nifti(root / name / f"{name}{number}_{series}.nii", volume)


def scanner_names(root: Path) -> None:
    names = ("E1S3I{}.MR", "IM{}.img", "slice {}.5mm", "IM-0001-{}", "{}.DCM", "1.2.840.{}")
    names += ("CT.1.2.{}.d", "{}.dc3", "{}.txt", "{}")
    for place, folder in enumerate("ab"):
        (root / folder).mkdir(parents=True)
        for number, name in enumerate(names):
            dicom(root / folder / name.format(number), noise(number + 20 * place, 8, 9))
    packed = gzip.compress((root / "a" / "4.DCM").read_bytes())
    (root / "a" / "4.dcm.gz").write_bytes(packed)


def other_names(root: Path) -> None:
    films(root)
    for name in ("0.jfif", "bare", "1.PNG.bak", "2.dat"):
        raster(root / "a" / name, noise(hash(name) % 99 + 50, 8, 9), format="PNG")
    raster(root / "a" / "film.BMP", noise(99, 8, 9))
    np.save(root / "a" / "array", noise(98, 8, 9))
    raster(root / "a" / "moving", noise(3, 8, 9), format="GIF")
    (root / "a" / "volume.nrrd").write_bytes(b"NRRD0005\n" + bytes(99))


def junk(root: Path) -> None:
    films(root)
    for folder in ("__MACOSX/a", ".git/objects", "@eaDir", ".thumbnails"):
        (root / folder).mkdir(parents=True)
    raster(root / "__MACOSX" / "a" / "0.png", noise(0, 8, 9))
    (root / "__MACOSX" / "a" / "._1.png").write_bytes(b"\0\5\26\7")
    (root / ".git" / "objects" / "pack").write_bytes(b"\0\1")
    raster(root / "@eaDir" / "SYNOPHOTO_THUMB_M.jpg", noise(0, 8, 9))
    raster(root / ".thumbnails" / "0.png", noise(0, 8, 9))
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "._0.png", ".hidden.png"):
        (root / "a" / name).write_bytes(b"\0\1\2\3")
    for name in ("README", "labels.csv", "0.json", "ärzte.md"):
        (root / "a" / name).write_text("Grüße, " * 99)
    (root / "a" / "model.bin").write_bytes(bytes(range(256)) * 9)
    dicom(root / "DICOMDIR", None)
    for name in ("films.zip", "table.xlsx"):
        with zipfile.ZipFile(root / name, "w") as packed:
            packed.write(root / "a" / "0.png", "0.png")
    (root / "films.tar.gz").write_bytes(gzip.compress(b"films"))
    (root / "films.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(9))
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (root / "b" / "pointer.png").write_text(pointer)


def links(root: Path) -> None:
    films(root / "own")
    films(root.parent / "elsewhere")
    (root / "own" / "b" / "0.png").unlink()
    (root / ".store" / "b").mkdir(parents=True)
    raster(root / ".store" / "b" / "9.png", noise(77, 8, 9))
    (root / "stored").symlink_to(root / ".store")
    (root / "test").symlink_to(root.parent / "elsewhere")
    (root / "again").symlink_to(root / "own" / "a")
    (root / "own" / "circle").symlink_to(root)
    (root / "own" / "above").symlink_to(root.parent)
    (root / "own" / "b" / "gone.png").symlink_to(root / "nowhere.png")
    (root / "own" / "b" / "gone").symlink_to(root / "nowhere")
    (root / "own" / "b" / "self").symlink_to(root / "own" / "b" / "self")
    (root / "own" / "b" / "linked.png").symlink_to(root / "own" / "a" / "0.png")


def devices(root: Path) -> None:
    films(root)
    os.mkfifo(root / "a" / "pipe")
    os.mkfifo(root / "a" / "pipe.png")
    with contextlib.chdir(root), socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")  # its path has at most 108 bytes


def doubled(root: Path) -> None:
    films(root)
    for name in "ab":
        shutil.copytree(root / name, root / "again" / "once more" / name)


def volumes(root: Path) -> None:
    for place, name in enumerate("ab"):
        (root / name).mkdir(parents=True)
        for number in range(2):
            nifti(root / name / f"{number}.nii.gz", noise(number + 9 * place, 9, 8, 10))
    (root / "a" / "broken.nii").write_bytes(b"broken")
    (root / "a" / "notes.txt").write_text("notes")


def table(root: Path) -> None:
    films(root / "images")
    for file in (root / "images").glob("*/*.png"):
        file.rename(file.with_stem(f"{file.parent.name}{file.stem}"))
    rows = [f"{name}/{name}{number}.png,{name},{number}" for name in "ab" for number in range(3)]
    text = "\n".join(["file,label,number", *rows, "a/gone.png,a,9"])
    (root / "metadata.csv").write_text(text)
    raster(root / "images" / ".hidden.png", noise(50, 8, 9))


TABLE = {"columns": {"category": "label"}, "file": "{file}", "on_missing": "leave_out"}
SLICES = ReadingConfig(slices=SlicePolicy(start=0.3, stop=0.7))


@dataclass(frozen=True)
class Case:
    make: Callable[[Path], None]
    read: int
    left_out: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    source: type[Any] = FolderSource

    def open(self, root: Path) -> Any:
        fields = {} if self.source is CsvSource else {"fields": {"category": ["(?:^|/)([ab])/"]}}
        config: SourceConfig = self.source(path=str(root), **fields, **self.settings)
        return config.open()


CASES = {
    "plain": Case(films, 8),
    "masks beside": Case(beside, 8, {MASK: 9, THUMBNAIL: 1}),
    "masks wanted": Case(beside, 18, settings={"leave_out_masks": False}),
    "patterns": Case(
        beside, 8, {"leave_out `_mask`": 9, "leave_out `(?i)THUMB`": 1},
        settings={"leave_out": ["_mask", "(?i)THUMB"], "leave_out_masks": False},
    ),
    "mask folders": Case(mask_folders, 8, {MASK: 24}),
    "nnU-Net": Case(nnunet, 24, {MASK: 8}, settings={"reading": SLICES}, others={FURTHER: 16}),
    "BraTS": Case(brats, 36, {MASK: 6}, settings={"reading": SLICES}, others={FURTHER: 24}),
    "names of scanners": Case(scanner_names, 21),
    "other names": Case(other_names, 14, {}, {"FORMAT": 2}),
    "junk": Case(
        junk, 8,
        {
            SYSTEM: 6, HIDDEN: 4, TEXT: 4, OTHER: 2, INDEX: 1, ZIPPED: 1,
            "a gzip archive; unpack it": 1, "a 7z archive; unpack it": 1,
        },
        {"FORMAT": 1},
    ),
    "links": Case(
        links, 9, {LINK: 1, CIRCLE: 2, HIDDEN: 1}, {"OUTSIDE": 8, "UNREADABLE": 3},
        others={FOLDERS: 3},
    ),
    "devices": Case(devices, 8, {DEVICE: 2}, {"UNREADABLE": 1}),
    "doubled": Case(doubled, 8, {COPY: 8}, settings={"leave_out_copies": True}),
    "doubled and kept": Case(doubled, 16),
    "volumes": Case(
        volumes, 16, {TEXT: 1}, {"UNREADABLE": 1}, {"reading": SLICES}, others={FURTHER: 12}
    ),
    "table": Case(
        table, 6, {UNLISTED: 2, MISSING: 1, HIDDEN: 1}, {}, TABLE, {ROWS: 1}, CsvSource
    ),
    "table anywhere": Case(
        table, 6, {UNLISTED: 2, MISSING: 1, HIDDEN: 1, OWN_TABLE: 1}, {},
        TABLE | {"images": "**", "file": "{label}{number}.png"}, {ROWS: 1}, CsvSource,
    ),
}  # fmt: skip


def below(root: Path) -> int:
    """Every file below a folder and behind its links out of it, counted without medgan."""
    count = 0
    for folder, folders, files in os.walk(root, followlinks=True):
        count += len(files)
        places = [Path(folder) / name for name in folders]
        folders[:] = [one.name for one in places if not _is_circle(one, root)]
    return count


def _is_circle(folder: Path, root: Path) -> bool:
    target = folder.resolve()
    again = target.is_relative_to(root) and ".store" not in target.parts
    return folder.is_symlink() and (again or root.is_relative_to(target))


def summarized(source: Any) -> tuple[DataSummary, tuple[Any, ...]]:
    made = tables(source, CONFIG)
    return summarize_ingestion(source, *made), made


@pytest.mark.parametrize("name", CASES)
def test_every_file_has_one_fate_and_the_numbers_add_up(name: str, tmp_path: Path) -> None:
    case, root = CASES[name], tmp_path / "data"
    case.make(root)
    found, (manifest, quarantine, excluded) = summarized(case.open(root))
    counts = {part: {why: named.count for why, named in getattr(found, part).items()}
              for part in ("left_out", "quarantined")}  # fmt: skip
    assert found.read == len(manifest) == case.read
    assert counts == {"left_out": case.left_out, "quarantined": case.quarantined}
    folder = root / "images" if case.settings == TABLE else root
    assert found.seen == {FILES: below(folder), **case.others}
    fates = [*manifest["path"], *quarantine["path"], *excluded["path"]]
    assert sum(found.seen.values()) == len(fates) == len(set(fates))
    for part in (found.left_out, found.quarantined):
        for named in part.values():
            assert len(named.examples) == min(3, named.count)
            assert set(named.examples) <= set(fates)
    shown = render_summary(found, "Data", 300)
    assert all(why.split("`")[0] in " ".join(shown.split()) for why in case.left_out)


@pytest.mark.parametrize("source", [PhantomSource(images=80, patients=40).open()])
def test_a_split_is_summarized_with_what_was_dropped_for_it(source: Any) -> None:
    ingestion = IngestionConfig()
    found, (manifest, _, _) = summarized_as(source, ingestion)
    assert found.seen == {IMAGES: 80}
    splits, audit = split_images(manifest, PreprocessingConfig(), 0)
    whole = with_split(found, splits, audit)
    assert whole.split is not None
    assert sum(part.images for part in whole.split.parts.values()) == 80
    assert sum(part.patients or 0 for part in whole.split.parts.values()) == 40
    assert belongs_to(splits, manifest, audit)
    assert not belongs_to(splits, manifest.assign(category="other"), audit)
    shown = render_summary(whole, "Data", 120)
    assert "no leak; nothing dropped" in shown
    dropped = replace(audit, dropped=5)
    lost = with_split(found, splits.head(75), dropped)
    assert "5 images dropped for it" in render_summary(lost, "Data", 120)
    assert any("5 images left the split" in text for text in lost.warnings)
    with pytest.raises(ValueError, match="80 images were read, and 80 are in the split"):
        with_split(found, splits, dropped)


def summarized_as(source: Any, config: IngestionConfig) -> tuple[DataSummary, tuple[Any, ...]]:
    made = tables(source, config)
    return summarize_ingestion(source, *made), made


def test_images_of_two_depths_in_one_folder_are_told(tmp_path: Path) -> None:
    films(tmp_path)

    def told() -> list[str]:
        opened = FolderSource(str(tmp_path)).open()
        found = summarize_ingestion(opened, *tables(opened, CONFIG))
        return [text for text in found.warnings if "more than 8 bits" in text]

    assert not told()
    for number in range(3):
        raster(tmp_path / "b" / f"{number}.png", noise(number, 8, 9).astype(np.uint16) << 4)
    (text,) = told()
    assert text.startswith("3 of 8 images")
    assert "(ill 3, normal 0)" in text


def test_numbers_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    films(tmp_path)
    found, _ = summarized(CASES["plain"].open(tmp_path))
    for change in ({"read": 7}, {"seen": {FILES: 9}}, {"classes": {"normal": 1}}):
        with pytest.raises(ValueError, match=r"seen|read"):
            replace(found, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("masks beside", "9 left out (looks like a mask of another image): set `leave_out_masks"),
        ("junk", "1 left out (a zip archive; unpack it): unpack them if they hold images"),
        ("links", "1 left out (a linked folder"),
        ("names of scanners", "21 of 21 images have no known patient"),
        ("names of scanners", "21 of them are DICOM files without a PatientID; set the field"),
        ("links", "11 files or images cannot be used (55.0% of the images)"),
        ("doubled and kept", None),
    ],
)
def test_what_a_person_should_look_at_is_a_warning(
    name: str, words: str | None, tmp_path: Path
) -> None:
    CASES[name].make(tmp_path / "data")
    warnings = summarized(CASES[name].open(tmp_path / "data"))[0].warnings
    if words is None:
        assert len(warnings) == 1, "patients are unknown"
    else:
        assert any(words in text for text in warnings), warnings
