from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medgan.errors import UserError
from medgan.sources.files import FileImages, exclude, known, require_some, sex, tidy, years
from medgan.sources.folder import FolderSource
from medgan.sources.readers import nifti as reader
from medgan.sources.readers.config import ReadingConfig, SlicePolicy
from medgan.sources.table import CsvSource, TableFormat, read_table
from tests.faults.making import dicom, nifti, noise, raster, refused
from tests.sources.test_registry import picture

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
        .rows()
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
        "medgan.sources.files._checksum", lambda file: (hashed.append(file.name), "checksum")[1]
    )
    for number in range(3):
        source.fingerprint(f"a/2.dcm/{number:03d}")
    assert hashed == ["2.dcm"]


def test_a_table_can_name_volumes(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    nifti(tmp_path / "images" / "s1.nii.gz", noise(0, 9, 8, 6))
    (tmp_path / "metadata.csv").write_text("id,group,age\ns1,healthy,30\n")
    columns = {"image_id": "id", "category": "group", "group_id": "id", "age": "age"}
    rows = CsvSource(columns, str(tmp_path), file="{image_id}.nii.gz", reading=SLICES).open().rows()
    assert rows["image_id"].tolist() == ["s1/002", "s1/003"]
    assert rows["group_id"].tolist() == ["s1", "s1"]
    assert rows["path"].tolist() == ["images/s1.nii.gz/002", "images/s1.nii.gz/003"]


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


@pytest.mark.parametrize(
    ("text", "age"),
    [
        *(
            ("58", 58.0),
            ("58.0", 58.0),
            ("058Y", 58.0),
            ("006M", 0.5),
            ("3D", 3 / 365.25),
            ("02w", 14 / 365.25),
            (" 61 ", 61.0),
            ("0", 0.0),
        ),
        *(
            (text, None)
            for text in (
                "",
                "414",
                "414Y",
                "121",
                "nan",
                "unknown",
                "-3",
                "58 years",
                None,
                float("nan"),
            )
        ),
        *(("120", 120.0), (45.0, 45.0)),
    ],
)
def test_ages_are_read_in_years(text: object, age: float | None) -> None:
    assert years(text) == (pytest.approx(age) if age is not None else None)


def test_sexes_are_f_and_m() -> None:
    assert [sex(text) for text in ("F", "female", "Male", "m", "O", "unknown", None)] == [
        "F",
        "F",
        "M",
        "M",
        None,
        None,
        None,
    ]


def test_what_records_write_for_a_gap_is_missing() -> None:
    column = known(pd.Series(["trunk", "unknown", "", "NA", None, "n/a", "none of these"]))
    assert column.tolist() == ["trunk", None, None, None, None, None, "none of these"]


def test_values_are_renamed_before_they_are_read() -> None:
    rows = tidy(
        pd.DataFrame({"split": ["valid", "test"], "sex": ["1", "2"]}),
        {"split": {"valid": "val"}, "sex": {"1": "F", "2": "M"}},
    )
    assert rows.to_dict("list") == {"split": ["val", "test"], "sex": ["F", "M"]}


def test_the_first_reason_stays_and_nothing_left_is_refused_with_counts() -> None:
    rows = exclude(
        exclude(pd.DataFrame({"path": list("abc")}), [True, False, False], "one"),
        [True, True, False],
        "two",
    )
    assert rows["excluded"].tolist()[:2] == ["one", "two"]
    assert require_some(rows, "t")["excluded"].isna().sum() == 1
    with pytest.raises(UserError, match=r"all 3 images of t are left out \(.*1 two.*\)"):
        require_some(exclude(rows, [True] * 3, "three"), "t")


def test_tables_may_have_another_separator_no_header_or_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.tab").write_bytes("\ufeffid\tdx\n1\tnv \n2\t\n".encode())
    (tmp_path / "b.csv").write_text("1,nv,\n2,mel,\n")
    tabbed = read_table(tmp_path / "a.tab", TableFormat("\t"))
    assert tabbed["id"].tolist() == ["1", "2"]
    assert tabbed["dx"].fillna("missing").tolist() == ["nv", "missing"]
    assert read_table(tmp_path / "b.csv", TableFormat(names=["id", "dx"])).to_dict("list") == {
        "id": ["1", "2"],
        "dx": ["nv", "mel"],
    }


def test_lines_that_the_expression_does_not_fit_are_counted(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("1 a.png x\n\n2 b.png\nthree\n")
    with pytest.raises(UserError, match=r"2 of 3 lines of .* for example `2 b\.png`"):
        read_table(
            tmp_path / "list.txt", TableFormat(line=r"(?P<id>\S+) (?P<name>\S+) (?P<dx>\S+)")
        )


def test_missing_files_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "1.jpg")
    (tmp_path / "metadata.csv").write_text("id,dx\n1,nv\n2,nv\n")
    rows = (
        CsvSource({"image_id": "id", "category": "dx"}, str(tmp_path), on_missing="leave_out")
        .open()
        .rows()
    )
    assert rows["excluded"].fillna("").tolist() == ["", "listed, and its file is missing"]


def test_a_table_that_cannot_be_told_apart_is_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        picture(tmp_path / folder / "1.jpg", seed=ord(folder))
    for name in ("one_metadata.csv", "two_metadata.csv"):
        (tmp_path / name).write_text("id,dx\n1,nv\n")
    columns: dict[str, str | list[str]] = {"image_id": "id", "category": "dx"}
    for source, message in (
        (CsvSource(columns, str(tmp_path), table="*metadata.csv"), r"holds 2 tables"),
        (
            CsvSource(columns, str(tmp_path / "one_metadata.csv"), images="**"),
            r"have one name and differ",
        ),
        (
            CsvSource(columns, str(tmp_path / "one_metadata.csv"), tables={"train": "x"}),
            r"is one table, and x are needed",
        ),
        (
            CsvSource({**columns, "sex": ["gender", "sex"]}, str(tmp_path / "one_metadata.csv")),
            r"none of the columns gender, sex",
        ),
        (
            CsvSource(columns, str(tmp_path / "one_metadata.csv"), where={"view": "PA"}),
            r"no column `view`",
        ),
        (
            CsvSource(
                columns,
                str(tmp_path / "one_metadata.csv"),
                splits={"train": "gone.txt"},
                images="a",
            ),
            r"gone\.txt does not exist",
        ),
        (
            CsvSource(columns, str(tmp_path / "one_metadata.csv"), on_missing="ignore"),
            r"`on_missing` is `ignore`",
        ),
        (
            CsvSource(columns, str(tmp_path / "one_metadata.csv"), line="("),
            r"`line` is no regular expression",
        ),
        (
            FolderSource(str(tmp_path), values={"split": {"valid": "val"}}),
            r"`values` are about `split`",
        ),
    ):
        with pytest.raises(UserError, match=message):
            source.open()


def test_a_name_in_two_lists_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "1.jpg")
    (tmp_path / "metadata.csv").write_text("id,dx\n1,nv\n")
    for name in ("train", "test"):
        (tmp_path / f"{name}.txt").write_text("1.jpg\n")
    with pytest.raises(
        UserError, match=r"1\.jpg is both in the list of train images and in .*test\.txt"
    ):
        CsvSource(
            {"image_id": "id", "category": "dx"},
            str(tmp_path),
            splits={"train": "train.txt", "test": "test.txt"},
        ).open()
