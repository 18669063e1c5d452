"""Which spellings are one value, and which are not."""

from __future__ import annotations

import pytest

from medgan.errors import UserError
from medgan.sources.forms import as_text, form, plain, spellings


@pytest.mark.parametrize(
    "same",
    [
        [
            "12",
            "12.0",
            "12.",
            "012",
            " 12 ",
            "12,0",
            "0012.00",
            "+12",
            "\u200b12",
            "１２",
            '="012"',
            "'012",
            "'12'",
            '"12"',
            "“012”",
            "‘12’",
        ],
        ["120000", "1.2e+05", "120000.0", "1,2E+05"],
        ["12.5", "12.50", "12,5"],
        ["1000", "1,000", "01000", "1000.0"],
        ["1234567", "1,234,567"],
        ["-1", "-1.0", "-01"],
        ["0", "0.0", "00", "-0"[1:]],
        ["p01", "P1", "p_1", "P-001", "p 1", "P.1"],
        ["No Finding", "no_finding", "NO-FINDING", "no\u00a0finding", "nofinding", " No  Finding"],
        ["Müller", "Mu\u0308ller", "MÜLLER", "ｍüller"],
        ["COVID-19", "covid\u201319", "COVID 19"],
        ["1.2.840.10", "1-2-840-10"],
        ["ß", "ss"],
    ],
    ids=lambda same: same[0],
)
def test_spellings_of_one_value_have_one_form(same: list[str]) -> None:
    assert len({form(text) for text in same}) == 1, {text: form(text) for text in same}
    assert len(spellings(same)) == 1


def test_different_values_have_different_forms() -> None:
    different = [
        *("0", "1", "-1", "10", "100", "12.5", "125", "1.2.840.10", "1.2.84.010.1", "1-12", "11-2"),
        *("ER+", "ER-", "ER", "grade 1-2", "grade 12", "p1", "p10", "1p", "tumour", "non-tumour"),
        '"a" or "b"',
        *("sick", "not sick", "NA", "", "?", "-", "123456789012345678901234567890", "Muller"),
        *("123456789012345678901234567891", "Müller", "A12", "B12", "1e5"),
    ]
    assert len({form(text) for text in different}) == len(different)
    assert spellings(different) == []


def test_the_most_frequent_spelling_comes_first() -> None:
    assert spellings(["12.0", "12", "7", "12", "p1"]) == [["12", "12.0"]]


@pytest.mark.parametrize(
    "text", ["\ufeffimage", "image\u200b", "\u00a0image \u00ad", '="image"', "'image"]
)
def test_what_nobody_sees_is_dropped(text: str) -> None:
    assert plain(text) == "image"


def test_numbers_of_yaml_are_text_and_truth_values_are_refused() -> None:
    assert [as_text(value) for value in (0, 1.0, "no", None)] == ["0", "1.0", "no", None]
    with pytest.raises(UserError, match="in quotes, such as 'no': normal"):
        as_text(False)
