from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from medgan.errors import UserError
from medgan.sources.files import FileImages
from medgan.sources.folder import FolderSource
from medgan.sources.table import CsvSource
from tests.faults.making import nifti, noise
from tests.sources.test_files import SLICES
from tests.sources.test_registry import picture


def test_a_table_can_name_volumes(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    nifti(tmp_path / "images" / "s1.nii.gz", noise(0, 9, 8, 6))
    (tmp_path / "metadata.csv").write_text("id,group,age\ns1,healthy,30\n")
    columns = {"image_id": "id", "category": "group", "group_id": "id", "age": "age"}
    source = CsvSource(columns, str(tmp_path), file="{image_id}.nii.gz", reading=SLICES).open()
    rows = source.named_rows()
    assert rows["image_id"].tolist() == ["s1/002", "s1/003"]
    assert rows["group_id"].tolist() == ["s1", "s1"]
    assert rows["path"].tolist() == ["images/s1.nii.gz/002", "images/s1.nii.gz/003"]


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


COLUMNS: dict[str, str | list[str]] = {"category": "label", "group_id": "patient"}


def source(folder: Path, lines: list[str], files: list[str] | None = None, **keys) -> CsvSource:
    """A source of a table and its images, by default those that its first column names."""
    table = folder / "metadata.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in files or [line.split(",")[0] for line in lines[1:]]:
        picture(folder / "images" / name, seed=zlib.crc32(name.encode()))
    return CsvSource(**{"columns": COLUMNS, "path": str(folder), "file": "{image}"} | keys)


def rows_of(opened: FileImages) -> list[tuple]:
    used = opened.rows().query("excluded.isna()") if "excluded" in opened.rows() else opened.rows()
    return list(zip(used["path"], used["category_raw"], used["group_id"], strict=True))


def same(values: Iterable[str | None]) -> list[int | None]:
    """Where each value comes first: ids of files and patients are neutral."""
    listed = list(values)
    return [None if value is None else listed.index(value) for value in listed]


def remarks(opened: FileImages) -> dict[str, int]:
    return {remark.what: remark.count for remark in opened.remarks}


HEAD = "image,label,patient"


def test_patients_that_differ_only_in_form_are_one_and_counted(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(
        f"{HEAD}\n4.png,a,12.0\n5.png,a, P-07 \n6.png,b,\n7.png,b,NA\n"
    )
    found = source(
        tmp_path,
        [HEAD, "1.png,a,12", "2.png,a,p7", "3.png,b,3"],
        [f"{number}.png" for number in range(1, 8)],
        tables={"train": "metadata.csv", "test": "test.csv"},
    ).open()
    assert same(row[2] for row in rows_of(found)) == [0, 1, 2, 0, 1, None, None]
    assert remarks(found) == {"group_id spellings": 2}
    shown = r"2 values of group_id are written in several ways, such as `99` and `99.0`"
    assert shown in found.remarks[0].text, "the form and not the patient"


@pytest.mark.parametrize(
    ("name", "on_disk"),
    [
        ("images\\1.png", "1.png"),
        ("images/1.png", "1.png"),
        (".\\1.PNG", "1.png"),
        ("1.png", "1.PNG"),
        ("1", "1.png"),
        ("s 1/1.PnG ", "S 1/1.png"),
        ("/kaggle/input/set/images/1.png", "1.png"),
        ("C:\\data\\images\\1.png", "1.png"),
        ("Müller.png", "Mu\u0308ller.png"),
        ("scan", "scan.nii.gz"),
    ],
)
def test_names_of_files_that_differ_only_in_form_are_found_and_counted(
    tmp_path: Path, name: str, on_disk: str
) -> None:
    (tmp_path / "images").mkdir()
    if on_disk.lower().endswith("png"):
        picture(tmp_path / "images" / on_disk)
    else:
        nifti(tmp_path / "images" / on_disk, noise(0, 9, 8, 6))
    (tmp_path / "metadata.csv").write_text(f"{HEAD}\n{name},a,p\n")
    found = CsvSource(COLUMNS, str(tmp_path), file="{image}").open()
    assert found.rows()["path"].tolist() == [f"images/{on_disk}"]
    assert remarks(found) == {"file names": 1}


def test_names_that_fit_two_files_or_none_are_missing(tmp_path: Path) -> None:
    for name, files in (
        ("A.png", ["a.png", "a.PNG"]),
        ("a", ["a.png", "a.tif"]),
        ("a.png", ["a.tif"]),
    ):
        folder = tmp_path / name.replace(".", "") / str(len(files))
        with pytest.raises(UserError, match=r"1 of 1 images .* are missing"):
            (folder / "images").mkdir(parents=True)
            source(folder, [HEAD, f"{name},a,p"], files).open()


@pytest.mark.parametrize(
    "lines",
    [
        ["1.png,a,p", "1.png,a,p", "1.png,a,p"],
        ["1.png,a,", "1.png,a,p"],
        ["1.png,a,7", "1.png,a,7.0"],
        ["1.png,a,p", "1.PNG,a,P"],
    ],
)
def test_equal_rows_of_an_image_count_once(tmp_path: Path, lines: list[str]) -> None:
    found = source(tmp_path, [HEAD, *lines], ["1.png"]).open()
    assert [row[1] for row in rows_of(found)] == ["a"]
    assert rows_of(found)[0][2] is not None
    assert remarks(found)["repeated rows"] == len(lines) - 1


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (
            "1.png,b,p",
            r"line 2 of metadata.csv \(`a`\) and line 4 of .* \(`b`\) .*one image, images/1",
        ),
        ("1.png,,p", r"line 2 of metadata.csv \(`a`\) and line 4 of .* contradict .* in category"),
        ("1.png,a,q", r"\(`p`\) and line 4 of .*\(`q`\) .* contradict each other in group_id"),
        ("images\\1.PNG,b,p", r"are missing"),
    ],
)
def test_rows_that_contradict_each_other_are_refused_with_both_lines(
    tmp_path: Path, second: str, words: str
) -> None:
    lines = [HEAD, "1.png,a,p", "2.png,a,p", second]
    with pytest.raises(UserError, match=words):
        source(tmp_path, lines, ["1.png", "2.png"]).open()


def test_an_image_in_two_tables_is_in_two_parts_and_refused(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(f"{HEAD}\n1.png,a,p\n")
    with pytest.raises(
        UserError, match=r"line 2 of metadata.csv \(`train`\) and line 2 of test.csv"
    ):
        source(
            tmp_path,
            [HEAD, "1.png,a,p"],
            tables={"train": "metadata.csv", "test": "test.csv"},
        ).open()


def test_a_row_that_is_left_out_does_not_hide_one_that_is_used(tmp_path: Path) -> None:
    lines = [f"{HEAD},view", "1.png,a,p,AP", "1.png,b,p,PA", "2.png,a,p,pa", "3.png,a,p,AP"]
    found = source(tmp_path, lines, where={"view": "PA"}).open()
    assert [row[:2] for row in rows_of(found)] == [("images/1.png", "b"), ("images/2.png", "a")]
    assert len(found.rows()) == 3, "one row for each file"


@pytest.mark.parametrize(
    ("field", "column", "cells", "words"),
    [
        ("group_id", "patient", ["", "NA"], r"`group_id` has a value for none of 2 .*`patient`"),
        ("age", "age", ["old", "58 years"], r"`age` has a value for none of 2 images"),
        ("sex", "sex", ["1", "2"], r"`sex` has a value for none of 2 images"),
        ("site", ["site", "place"], ["", "unknown"], r"its column `site, place`"),
    ],
)
def test_a_declared_column_without_any_value_ends_the_run(
    tmp_path: Path, field: str, column: str | list[str], cells: list[str], words: str
) -> None:
    name = column if isinstance(column, str) else column[0]
    lines = [f"image,label,{name}", *(f"{i}.png,a,{cell}" for i, cell in enumerate(cells))]
    with pytest.raises(UserError, match=words):
        source(tmp_path, lines, columns={"category": "label", field: column}).open()


def test_parts_of_the_split_are_told_in_any_case(tmp_path: Path) -> None:
    lines = ["image,label,part", "1.png,a,Train", "2.png,a,TEST", "3.png,a,Valid"]
    columns = {"category": "label", "split": "part"}
    found = source(tmp_path, lines, columns=columns, values={"split": {"valid": "val"}}).open()
    assert found.rows()["split"].tolist() == ["train", "test", "val"]


@pytest.mark.parametrize(
    "numbers", [("1.0", "0.0"), ("1", "0"), ("1", ""), ("True", "FALSE"), ("yes", "no")]
)
def test_one_hot_columns_are_labels(tmp_path: Path, numbers: tuple[str, str]) -> None:
    yes, no = numbers
    rows = [(yes, no, no), (no, yes, no), (no, yes, yes), (no, no, no)]
    lines = ["image,MEL,NV,BCC", *(f"{i}.png,{','.join(row)}" for i, row in enumerate(rows))]
    found = source(tmp_path, lines, columns={}, one_hot=["MEL", "NV", "BCC"]).open()
    assert found.rows()["category_raw"].tolist() == ["MEL", "NV", "NV|BCC", None]
    assert remarks(found) == {}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"columns": {"category": ["MEL", "NV"]}},
            r"hold 0 and 1 and no labels; .*`one_hot: \[MEL, NV\]`",
        ),
        (
            {"columns": {}, "one_hot": ["MEL", "age"]},
            r"line 3 of metadata.csv has `40` in the one-hot column `age`",
        ),
        ({"columns": {}, "one_hot": ["MEL", "nv"]}, r"no column `nv`; .* did you mean `NV`\?"),
        (
            {"columns": {"category": "NV"}, "one_hot": ["MEL"]},
            r"`category` and `one_hot`; drop one",
        ),
        ({"columns": {}}, r"need category \(or `one_hot`\)"),
        (
            {"columns": {"category": "mel"}},
            r"no column `mel`; it has image, MEL, NV, age.*mean `MEL`\?",
        ),
        ({"columns": {"category": "{mel}"}}, r"no column `mel`"),
        ({"columns": {"category": "{mel"}}, r"is no template"),
    ],
)
def test_wrong_columns_are_refused(tmp_path: Path, keys: dict, words: str) -> None:
    lines = ["image,MEL,NV,age", "1.png,1,0,1", "2.png,0,1,40"]
    with pytest.raises(UserError, match=words):
        source(tmp_path, lines, **keys).open()


def test_a_column_that_comes_twice_is_refused_where_it_is_used(tmp_path: Path) -> None:
    lines = ["image,label,note,label ,note", "1.png,a,x,b,y"]
    with pytest.raises(UserError, match="several columns `label`; rename all but one"):
        source(tmp_path, lines, columns={"category": "label"}).open()
    lines = [line.replace("label ", "other") for line in lines]
    assert len(source(tmp_path, lines, columns={"category": "label"}).open().rows()) == 1


def test_lists_of_a_split_name_files_in_any_form(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("images\\1.PNG\n2\n")
    (tmp_path / "test.txt").write_text("3.png\n9.png\n")
    splits = {"train": "train.txt", "test": "test.txt"}
    lines = [HEAD, "1.png,a,p", "2.png,a,q", "3.png,a,r"]
    found = source(tmp_path, lines, splits=splits).open()
    assert found.rows()["split"].tolist() == ["train", "train", "test"]
    (tmp_path / "test.txt").write_text("8.png\n9.png\n")
    with pytest.raises(UserError, match=r"list of test images names no image .*`8.png`"):
        source(tmp_path, lines, splits=splits).open()
    (tmp_path / "test.txt").write_text("3\n9.png\n")
    assert remarks(source(tmp_path, lines, splits=splits).open())["listed parts"] == 1
    (tmp_path / "test.txt").write_text("\n")
    with pytest.raises(UserError, match=r"test\.txt is empty; list the test images"):
        source(tmp_path, lines, splits=splits).open()


@pytest.mark.parametrize("images", ["images", "**"])
def test_listed_files_that_match_leave_out_are_left_out(tmp_path: Path, images: str) -> None:
    """With `**`, also where they have the name of an image that is used."""
    lines = [HEAD, "1.png,a,p1", "2.png,b,p2", "3.png,b,p3"]
    for name in ("other/1.png", "notes/3.png"):
        picture(tmp_path / "images" / name, seed=zlib.crc32(name.encode()))
    patterns = [r"2\.png$", "other/", "notes/"]
    found = source(tmp_path, lines, images=images, leave_out=patterns).open()
    assert [row[:2] for row in rows_of(found)] == [("images/1.png", "a"), ("images/3.png", "b")]
    left = found.rows().set_index("path")["excluded"].dropna()
    assert left.to_dict() == {
        "images/2.png": r"leave_out `2\.png$`",
        "images/other/1.png": "leave_out `other/`",
        "images/notes/3.png": "leave_out `notes/`",
    } | ({"metadata.csv": "a table or list that the source itself reads"} if images == "**" else {})


def test_the_words_for_missing_values_are_text_in_labels(tmp_path: Path) -> None:
    lines = [
        HEAD,
        *(f"{i}.png,{label},p{i}" for i, label in enumerate(["NA", "None", "nan", "null"])),
    ]
    assert [row[1] for row in rows_of(source(tmp_path, lines).open())] == [
        "NA",
        "None",
        "nan",
        "null",
    ]
