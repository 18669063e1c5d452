from __future__ import annotations

import pandas as pd
import pytest

from medgan.errors import UserError
from medgan.sources.rows import blank_to_none, exclude, require_some, sex, tidy, years


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
    gaps = ["unknown", "", "NA", None, "n/a", "<NA>", "NaT", "-", "?", "Missing", " . "]
    column = blank_to_none(pd.Series(["trunk", *gaps, "none of these"]))
    assert column.tolist() == ["trunk", *[None] * len(gaps), "none of these"]


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
