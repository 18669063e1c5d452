from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medgan.datasets.images import ImageSourceDataset
from medgan.errors import UserError
from medgan.sources.arrays import NpzSource
from medgan.sources.folder import FolderSource
from medgan.sources.raw import ImageRefused
from medgan.sources.table import CsvSource


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 24), dtype=np.uint8)).save(
        path
    )
    return path


KERMANY = {
    "category": [r"person\d+_(bacteria|virus)", r"(?:^|/)(NORMAL)/[^/]+$"],
    "group_id": [r"(person\d+_(?:bacteria|virus))", r"((?:NORMAL2-)?IM-\d+)"],
    "split": [r"(?:^|/)(train|val|test)/"],
}


def test_a_folder_says_label_patient_and_split_by_its_names(tmp_path: Path) -> None:
    for name in (
        "train/PNEUMONIA/person1_bacteria_2.jpeg",
        "test/PNEUMONIA/person1_virus_6.jpeg",
        "train/NORMAL/NORMAL2-IM-0001-0001.jpeg",
    ):
        picture(tmp_path / "chest" / name)
    picture(tmp_path / "chest/test/NORMAL/IM-0001-0001.jpeg")
    rows = FolderSource(str(tmp_path), KERMANY).open().named_rows().set_index("image_id")
    assert rows["category_raw"].tolist() == ["NORMAL", "virus", "NORMAL", "bacteria"]
    assert rows["group_id"].nunique() == 4
    assert rows["split"].tolist() == ["test", "test", "train", "train"]


def test_by_default_the_folder_is_the_label(tmp_path: Path) -> None:
    picture(tmp_path / "healthy" / "ä ö – 日本 (1).PNG")
    picture(tmp_path / "ill" / ("x" * 200 + ".png"))
    (tmp_path / "ill" / "notes.txt").write_text("not an image")
    (tmp_path / "ill" / ".hidden.png").write_bytes(b"")
    source = FolderSource(str(tmp_path)).open()
    rows = source.rows()
    assert rows["excluded"].dropna().tolist() == ["a hidden file or folder", "text or a table"]
    used = rows[rows["excluded"].isna()]
    assert used["category_raw"].tolist() == ["healthy", "ill"]
    assert [source.read(path).pixels.shape for path in used["path"]] == [(20, 24, 1)] * 2


def test_paths_are_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "data" / "a" / "1.png")
    monkeypatch.chdir(tmp_path)
    assert len(FolderSource("data").open().rows()) == 1


def test_a_folder_that_is_of_no_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing here")
    for source, message in (
        (FolderSource(None), r"no path was given.*--params source=PATH"),
        (FolderSource(str(tmp_path / "gone")), r"gone does not exist"),
        (FolderSource(str(tmp_path)), r"holds no images"),
        (
            FolderSource(str(tmp_path), {"categry": ["(a)"]}),
            r"field `categry`.*choose from category",
        ),
        (FolderSource(str(tmp_path), {"category": ["("]}), r"no regular expression"),
        (FolderSource(str(tmp_path), {"category": ["a"]}), r"has no \(group\)"),
    ):
        with pytest.raises(UserError, match=message):
            source.open()


def table(folder: Path, ids: list[str]) -> Path:
    pd.DataFrame(
        {"id": ids, "dx": "nv", "lesion": [f"l{name}" for name in ids], "age": "45.0"}
    ).to_csv(folder / "metadata.csv", index=False)
    return folder


COLUMNS = {"image_id": "id", "category": "dx", "group_id": "lesion", "age": "age"}


def test_a_table_names_its_images(tmp_path: Path) -> None:
    for name in ("001", "002"):
        picture(tmp_path / "images" / f"{name}.jpg")
    source = CsvSource(COLUMNS, str(table(tmp_path, ["001", "002"]))).open()
    rows = source.named_rows()
    assert rows["image_id"].tolist() == ["001", "002"], (
        "ids that look like numbers keep their zeros"
    )
    assert rows["group_id"].tolist() == ["l001", "l002"]
    assert source.read(rows["path"][1]).pixels.shape == (20, 24, 1)


def test_a_table_that_does_not_match_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "001.jpg")
    picture(tmp_path / "images" / "other.jpg")
    path = str(table(tmp_path, ["001", "003"]))
    for source, message in (
        (
            CsvSource(COLUMNS, path),
            r"1 of 2 images that .* are missing \(for example images/003\.jpg\), and 1 files there are not listed",
        ),
        (CsvSource({**COLUMNS, "sex": "gender"}, path), r"has no column `gender`; it has id, dx"),
        (CsvSource({"image_id": "id"}, path), r"need category"),
        (
            CsvSource({"category": "dx"}, path),
            r"`\{image_id\}\.jpg` in the source cannot be filled in",
        ),
        (CsvSource(COLUMNS, path, table="gone.csv"), r"gone\.csv does not exist"),
    ):
        with pytest.raises(UserError, match=message):
            source.open()


def archive(path: Path, **changes: object) -> Path:
    rng = np.random.default_rng(0)
    arrays = {
        f"{part}_images": rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
        for part in ("train", "val", "test")
    }
    labels = {
        f"{part}_labels": np.array([[0], [1], [0], [1], [2]], np.uint8)
        for part in ("train", "val", "test")
    }
    np.savez_compressed(path, **{**arrays, **labels, **changes})
    return path


def test_an_npz_file_keeps_its_parts_and_names_its_labels(tmp_path: Path) -> None:
    path = archive(tmp_path / "mnist.npz")
    source = NpzSource(str(path), {0: "NORMAL", 1: "PNEUMONIA"}).open()
    rows = source.rows()
    assert rows["split"].tolist() == ["train"] * 5 + ["val"] * 5 + ["test"] * 5
    assert rows["category_raw"].tolist() == ["NORMAL", "PNEUMONIA", "NORMAL", "PNEUMONIA", "2"] * 3
    with np.load(path) as file:
        assert np.array_equal(source.read("val/000003").pixels[..., 0], file["val_images"][3])
    with pytest.raises(ImageRefused):
        source.read("val/9")


def test_an_npz_file_that_is_damaged_or_of_another_layout_is_refused(tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    (tmp_path / "flipped.npz").write_bytes(flipped)
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", train_images=np.array([object()]), allow_pickle=True)
    archive(tmp_path / "short.npz", val_labels=np.zeros((4, 1), np.uint8))
    archive(tmp_path / "float.npz", val_images=np.zeros((5, 28, 28), np.float32))
    for name, message in {
        "cut": "cannot be read as an NPZ file",
        "flipped": "cannot be read as an NPZ file",
        "pickle": "cannot be read as an NPZ file",
        "other": "holds no images under train_images",
        "short": r"val_labels in .* one whole number for each of 5",
        "float": r"val_images in .* is float32",
    }.items():
        with pytest.raises(UserError, match=message):
            NpzSource(str(tmp_path / f"{name}.npz")).open()
    with pytest.raises(UserError, match="is a folder"):
        NpzSource(str(tmp_path)).open()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "tarball"}, r"kind `tarball`.*folder, csv, npz, medmnist, phantoms"),
        ({"kind": "folder", "feilds": {}}, r"`feilds`"),
        ({"kind": "csv"}, r"`columns`"),
        ({"kind": "npz", "names": {"zero": "NORMAL"}}, r"`names"),
        ({"kind": "npz"}, r"no path was given"),
        ({"kind": "phantoms", "location": "my/images"}, r"source=my/images is not used"),
        ({"kind": "phantoms", "patients": 900}, r"phantoms need"),
    ],
)
def test_a_wrong_catalog_entry_is_refused_when_it_is_opened_and_not_before(
    entry: dict[str, object], message: str
) -> None:
    dataset = ImageSourceDataset(**entry)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=message) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__ or caught.value, UserError)


def test_a_catalog_entry_opens_its_source_once() -> None:
    dataset = ImageSourceDataset(kind="phantoms", images=20, patients=12)
    assert dataset.load() is dataset.load()
    assert len(dataset.load().rows()) == 20


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"(patient\d+)_", r"`group_id` has a value for none of 4 images .*\(\?i\) in front of it"),
        (r"(subject\d+)_", r"for example [ab]/Patient.*: correct its pattern \(subject.d\+\)_ in"),
    ],
)
def test_a_pattern_that_matches_no_file_ends_the_run(
    tmp_path: Path, pattern: str, words: str
) -> None:
    for number in range(4):
        picture(tmp_path / "ab"[number % 2] / f"Patient{number}_x.png")
    fields = {"category": ["([^/]+)/[^/]+$"], "group_id": [pattern]}
    with pytest.raises(UserError, match=words):
        FolderSource(str(tmp_path), fields).open()


def test_two_backslashes_in_single_quotes_are_meant_as_one(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / "ab"[number % 2] / f"Patient{number // 2}_{number}.png")
    fields = {"category": ["([^/]+)/[^/]+$"], "group_id": [r"(Patient\\d+)_"]}
    rows = FolderSource(str(tmp_path), fields).open().named_rows()
    assert sorted(rows["group_id"]) == ["Patient0", "Patient0", "Patient1", "Patient1"]


@pytest.mark.parametrize("unknown", ["", "unknown", "NA", "-"])
def test_a_pattern_that_finds_nothing_or_a_word_for_it_tells_no_patient(
    tmp_path: Path, unknown: str
) -> None:
    for name in (f"a/{unknown}_1.png", f"a/{unknown}_2.png", "b/p_3.png"):
        picture(tmp_path / name)
    fields = {"category": ["([^/]+)/[^/]+$"], "group_id": ["/([^/_]*)_"]}
    rows = FolderSource(str(tmp_path), fields).open().named_rows()
    assert rows["group_id"].tolist() == [None, None, "p"]
    every = {**fields, "group_id": [r"(\d*)"]}
    with pytest.raises(UserError, match=r"`group_id` has a value for none of 3 .* correct its"):
        FolderSource(str(tmp_path), every).open()


def test_a_pattern_that_matches_some_files_is_counted(tmp_path: Path) -> None:
    for name in ("a/p7_1.png", "a/P007_2.png", "b/x.png"):
        picture(tmp_path / name)
    fields = {"category": ["([^/]+)/[^/]+$"], "group_id": [r"(?i)(p\d+)_"], "sex": ["/(p)7"]}
    source = FolderSource(str(tmp_path), fields, {"sex": {"P": "M"}}).open()
    assert [(remark.what, remark.count) for remark in source.remarks] == [
        ("group_id spellings", 1),
        ("sex known", 1),
    ]
    first, second, third = source.rows()["group_id"]
    assert first == second
    assert third is None
