"""Values of fields from the cells of a table: columns, templates, one-hot columns; damaged cells."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from medgan.errors import UserError
from medgan.sources.dialects import Table
from medgan.sources.forms import form
from medgan.sources.rows import blank_to_none

YES, NO = frozenset({"1", "true", "yes", "y", "x"}), frozenset({"0", "false", "no", "n", ""})
"""Cells of one-hot columns, as `forms.form` writes them."""
FINDINGS = "|"  # between the labels of an image for which several one-hot columns hold 1
SPREADSHEET_ERROR = re.compile(
    r"#(?:REF|VALUE|NUM|NULL|SPILL|CALC|FIELD|BLOCKED|CONNECT|BUSY|UNKNOWN)!|#DIV/0!|#NAME\?|#{3,}"
    r"|Err:\d{3}",
    re.IGNORECASE,
)
"""What a spreadsheet shows in place of a value. `#N/A` is a missing value."""
ROUNDED = re.compile(r"[+-]?\d+(?:[.,](\d*))?([eE])\+?(\d{1,3})")
"""A number in powers of ten."""
FLOAT_DIGITS = 15  # that a float keeps of every number


def check_cells(table: Table, columns: Iterable[str], ids: Iterable[str]) -> None:
    """Refuse cells of these columns that a spreadsheet has damaged.

    Args:
        table: the table.
        columns: columns that are used.
        ids: those of them that tell images or patients apart.

    Raises:
        UserError: an error in place of a value, or an id without its last digits; names the line.
    """
    names = frozenset(ids)
    for column in dict.fromkeys(columns):
        cells = table.cells[column].fillna("")
        wrong = dict.fromkeys(
            _places(cells, SPREADSHEET_ERROR.fullmatch), "an error in place of a value"
        )
        if column in names:
            lost = "an id whose last digits are lost, so that several ids are one"
            wrong |= dict.fromkeys(_places(cells, _is_rounded), lost)
        if wrong:
            place = min(wrong)
            raise UserError(
                f"{table.lines[place]} has `{cells.iloc[place]}` in the column `{column}`: "
                f"{wrong[place]} ({len(wrong)} such cells). Correct the table in the spreadsheet "
                "(ids as text), and save it again"
            )


def _places(cells: pd.Series[Any], damaged: Callable[[str], object]) -> list[int]:
    return [place for place, text in enumerate(cells) if damaged(text)]


def _is_rounded(text: str) -> bool:
    """Return whether a number lacks digits: spreadsheets (E) show the first ones, and programs (e)
    write as many as a float has.
    """
    number = ROUNDED.fullmatch(text)
    if number is None:
        return False
    digits = len(number[1] or "")
    return int(number[3]) > digits and (number[2] == "E" or digits + 1 >= FLOAT_DIGITS)


def columns_of(template: str) -> list[str]:
    """Return the columns in the braces of a template."""
    try:
        return [name for _, name, *_ in string.Formatter().parse(template) if name]
    except ValueError as error:
        raise UserError(f"`{template}` in the source is no template ({error})") from error


def first_filled(table: Table, columns: list[str], name: str) -> pd.Series[Any]:
    """Return the first of several columns that is filled, row by row. Raises `UserError`."""
    present = table.cells[[column for column in columns if column in table.cells]]
    if present.empty:
        raise UserError(f"the table has none of the columns {', '.join(columns)} of the source")
    marks = {form(str(value)) for value in present.stack().dropna()}
    if name == "category" and len(present.columns) > 1 and marks <= YES | NO:
        listed = ", ".join(columns)
        raise UserError(
            f"the columns {listed} of the table hold 0 and 1 and no labels; replace the source's "
            f"column `category` by `one_hot: [{listed}]`"
        )
    return present.apply(blank_to_none).bfill(axis=1).iloc[:, 0]


def one_hot_labels(table: Table, columns: list[str]) -> pd.Series[Any]:
    """Return the names of the columns that hold 1, joined by `|`; None for a row without one.

    Raises:
        UserError: a cell is neither 0 nor 1, with its line.
    """
    marks = table.cells[columns].fillna("").map(form)
    for column in columns:
        wrong = (~marks[column].isin(YES | NO)).to_numpy().nonzero()[0]
        if len(wrong):
            raise UserError(
                f"{table.lines[wrong[0]]} has `{table.cells[column].iloc[wrong[0]]}` in the "
                f"one-hot column `{column}`; correct it to 0 or 1, or leave such rows out with "
                "the source's `where`"
            )
    labels = [
        FINDINGS.join(column for column, shown in zip(columns, row, strict=True) if shown) or None
        for row in marks.isin(YES).to_numpy()
    ]
    return pd.Series(labels, index=table.cells.index, dtype=object)


def fill_template(template: str, table: pd.DataFrame, rows: pd.DataFrame) -> pd.Series[Any]:
    """Fill a template from columns and fields, row by row; missing where the text is empty."""
    known = pd.concat([table.drop(columns=table.columns.intersection(rows.columns)), rows], axis=1)
    records = known.astype(object).where(known.notna(), "").to_dict("records")
    try:
        texts = [template.format_map(record).strip() for record in records]
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise UserError(
            f"`{template}` in the source cannot be filled in ({error}); "
            f"the table has {', '.join(map(str, known))}"
        ) from error
    return pd.Series([text or None for text in texts], index=known.index, dtype=object)
