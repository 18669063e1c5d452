"""Cells that a spreadsheet has damaged, and values that are put together from several cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from medgan.errors import UserError
from tests.sources.test_table import HEAD, rows_of, same, source


@pytest.mark.parametrize(
    "error",
    ["#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#####", "Err:502"],
)
@pytest.mark.parametrize("line", ["2.png,{},q", "2.png,b,{}", "{},b,q"])
def test_errors_of_spreadsheets_are_no_values(tmp_path: Path, error: str, line: str) -> None:
    lines = [HEAD, "1.png,a,p", line.format(error), "3.png,b,r"]
    with pytest.raises(UserError, match=r"line 3 of metadata.csv has `.*an error in place of"):
        source(tmp_path, lines, ["1.png", "2.png", "3.png"]).open()


def test_errors_in_columns_that_nobody_uses_do_not_count(tmp_path: Path) -> None:
    lines = [f"{HEAD},bmi", "1.png,a,p,#DIV/0!", "2.png,#N/A,#N/A,1", "3.png,#1,#2,1"]
    rows = source(tmp_path, lines).open().named_rows()
    assert rows["category_raw"].tolist() == ["a", "#N/A", "#1"]
    assert rows["group_id"].tolist() == ["p", None, "#2"]


@pytest.mark.parametrize("number", ["1.23457E+11", "1.23E+11", "1,23E+11", "1.23456789012345e+20"])
def test_ids_without_their_last_digits_are_refused(tmp_path: Path, number: str) -> None:
    lines = [HEAD, "1.png,a,p", f'2.png,b,"{number}"', f'3.png,b,"{number}"']
    with pytest.raises(UserError, match=r"line 3 .*whose last digits are lost.*\(2 such cells\)"):
        source(tmp_path, lines).open()


def test_powers_of_ten_that_lack_nothing_are_ids(tmp_path: Path) -> None:
    """R writes 100000 as 1e+05."""
    patients = ["1e+05", "100000", "1.20000E+05", "120000", "1e5"]
    lines = [HEAD, *(f"{place}.png,a,{name}" for place, name in enumerate(patients))]
    names = [f"{place}.png" for place in range(5)]
    assert same(row[2] for row in rows_of(source(tmp_path, lines, names).open())) == [0, 0, 2, 2, 4]


@pytest.mark.parametrize(
    ("head", "keys"),
    [
        ("image,label,label,patient", {"columns": {"category": ["label", "dx"]}}),
        ("image,label,image,patient", {"file": "{image}", "columns": {"category": "label"}}),
        ("image,label,patient,patient", {"columns": {"category": "label", "site": "{patient}"}}),
    ],
    ids=["a choice", "the file", "a template"],
)
def test_columns_that_come_twice_are_refused_wherever_they_are_used(
    tmp_path: Path, head: str, keys: dict
) -> None:
    with pytest.raises(UserError, match=r"has several columns `.*`; rename all but one"):
        source(tmp_path, [head, "1.png,a,b,c"], **keys).open()


def test_half_of_a_patient_is_none(tmp_path: Path) -> None:
    lines = ["image,label,site,patient", "1.png,a,A,1", "2.png,a,,1", "3.png,a,A,", "4.png,a,B,1"]
    columns = {"category": "label", "group_id": "{site} {patient}"}
    names = [f"{number}.png" for number in range(1, 5)]
    found = source(tmp_path, lines, names, columns=columns).open()
    assert found.named_rows()["group_id"].tolist() == ["A 1", None, None, "B 1"]
    lines = ["image,label,site,patient", "1.png,a,,1", "2.png,a,,2"]
    found = source(tmp_path, lines, names[:2], columns=columns).open()
    assert found.named_rows()["group_id"].tolist()[:2] == ["1", "2"], "no image has a site"
