"""Ages, sexes, gaps, exclusions; and how tables beside images are written."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from medgan.contracts import Refusal
from medgan.images.folder_source import FolderSource
from medgan.images.records import exclude, known, require_some, sex, tidy, years
from medgan.images.table_source import CsvSource
from medgan.images.tables import TableFormat, read_table
from tests.images.test_sources import picture


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
        *((text, None) for text in ("", "414", "414Y", "121", "nan", "unknown", "-3", "58 years", None, float("nan"))),
        *(("120", 120.0), (45.0, 45.0)),
    ],
)
def test_ages_are_read_in_years(text: object, age: float | None) -> None:
    assert years(text) == (pytest.approx(age) if age is not None else None)


def test_sexes_are_f_and_m() -> None:
    assert [sex(text) for text in ("F", "female", "Male", "m", "O", "unknown", None)] == ["F", "F", "M", "M", None, None, None]


def test_what_records_write_for_a_gap_is_missing() -> None:
    column = known(pd.Series(["trunk", "unknown", "", "NA", None, "n/a", "none of these"]))
    assert column.tolist() == ["trunk", None, None, None, None, None, "none of these"]


def test_values_are_renamed_before_they_are_read() -> None:
    rows = tidy(pd.DataFrame({"split": ["valid", "test"], "sex": ["1", "2"]}), {"split": {"valid": "val"}, "sex": {"1": "F", "2": "M"}})
    assert rows.to_dict("list") == {"split": ["val", "test"], "sex": ["F", "M"]}


def test_the_first_reason_stays_and_nothing_left_is_refused_with_counts() -> None:
    rows = exclude(exclude(pd.DataFrame({"path": list("abc")}), [True, False, False], "one"), [True, True, False], "two")
    assert rows["excluded"].tolist()[:2] == ["one", "two"]
    assert require_some(rows, "t")["excluded"].isna().sum() == 1
    with pytest.raises(Refusal, match=r"all 3 images of t are left out \(.*1 two.*\)"):
        require_some(exclude(rows, [True] * 3, "three"), "t")


def test_tables_may_have_another_separator_no_header_or_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.tab").write_bytes("\ufeffid\tdx\n1\tnv \n2\t\n".encode())
    (tmp_path / "b.csv").write_text("1,nv,\n2,mel,\n")
    tabbed = read_table(tmp_path / "a.tab", TableFormat("\t"))
    assert tabbed["id"].tolist() == ["1", "2"]
    assert tabbed["dx"].fillna("missing").tolist() == ["nv", "missing"]
    assert read_table(tmp_path / "b.csv", TableFormat(names=["id", "dx"])).to_dict("list") == {"id": ["1", "2"], "dx": ["nv", "mel"]}


def test_lines_that_the_expression_does_not_fit_are_counted(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("1 a.png x\n\n2 b.png\nthree\n")
    with pytest.raises(Refusal, match=r"2 of 3 lines of .* for example `2 b\.png`"):
        read_table(tmp_path / "list.txt", TableFormat(line=r"(?P<id>\S+) (?P<name>\S+) (?P<dx>\S+)"))


def test_missing_files_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "1.jpg")
    (tmp_path / "metadata.csv").write_text("id,dx\n1,nv\n2,nv\n")
    rows = CsvSource({"image_id": "id", "category": "dx"}, str(tmp_path), on_missing="leave_out").open().rows()
    assert rows["excluded"].fillna("").tolist() == ["", "listed, and its file is missing"]


def test_a_table_that_cannot_be_told_apart_is_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        picture(tmp_path / folder / "1.jpg", seed=ord(folder))
    for name in ("one_metadata.csv", "two_metadata.csv"):
        (tmp_path / name).write_text("id,dx\n1,nv\n")
    columns: dict[str, str | list[str]] = {"image_id": "id", "category": "dx"}
    for source, message in (
        (CsvSource(columns, str(tmp_path), table="*metadata.csv"), r"holds 2 tables"),
        (CsvSource(columns, str(tmp_path / "one_metadata.csv"), images="**"), r"have one name and differ"),
        (CsvSource(columns, str(tmp_path / "one_metadata.csv"), tables={"train": "x"}), r"is one table, and x are needed"),
        (CsvSource({**columns, "sex": ["gender", "sex"]}, str(tmp_path / "one_metadata.csv")), r"none of the columns gender, sex"),
        (CsvSource(columns, str(tmp_path / "one_metadata.csv"), where={"view": "PA"}), r"no column `view`"),
        (CsvSource(columns, str(tmp_path / "one_metadata.csv"), splits={"train": "gone.txt"}, images="a"), r"gone\.txt does not exist"),
        (CsvSource(columns, str(tmp_path / "one_metadata.csv"), on_missing="ignore"), r"`on_missing` is `ignore`"),
        (CsvSource(columns, str(tmp_path / "one_metadata.csv"), line="("), r"`line` is no regular expression"),
        (FolderSource(str(tmp_path), values={"split": {"valid": "val"}}), r"`values` are about `split`"),
    ):
        with pytest.raises(Refusal, match=message):
            source.open()


def test_a_name_in_two_lists_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "1.jpg")
    (tmp_path / "metadata.csv").write_text("id,dx\n1,nv\n")
    for name in ("train", "test"):
        (tmp_path / f"{name}.txt").write_text("1.jpg\n")
    with pytest.raises(Refusal, match=r"1\.jpg is both in the list of train images and in .*test\.txt"):
        CsvSource({"image_id": "id", "category": "dx"}, str(tmp_path), splits={"train": "train.txt", "test": "test.txt"}).open()
