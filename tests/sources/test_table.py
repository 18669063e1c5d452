from __future__ import annotations

from pathlib import Path

import pytest

from medgan.errors import UserError
from medgan.sources.folder import FolderSource
from medgan.sources.table import CsvSource, TableFormat, read_table
from tests.faults.making import nifti, noise
from tests.sources.test_files import SLICES
from tests.sources.test_registry import picture


def test_a_table_can_name_volumes(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    nifti(tmp_path / "images" / "s1.nii.gz", noise(0, 9, 8, 6))
    (tmp_path / "metadata.csv").write_text("id,group,age\ns1,healthy,30\n")
    columns = {"image_id": "id", "category": "group", "group_id": "id", "age": "age"}
    rows = CsvSource(columns, str(tmp_path), file="{image_id}.nii.gz", reading=SLICES).open().rows()
    assert rows["image_id"].tolist() == ["s1/002", "s1/003"]
    assert rows["group_id"].tolist() == ["s1", "s1"]
    assert rows["path"].tolist() == ["images/s1.nii.gz/002", "images/s1.nii.gz/003"]


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
