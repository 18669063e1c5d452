"""Labels and names from data, as file names and as cells that a spreadsheet program opens."""

from __future__ import annotations

import csv
import hashlib
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 100
"""Bytes of a slug, which leaves room for a number and a suffix."""
DIGITS = 12
_WITH_DIGEST = re.compile(rf"(^|_)[0-9a-f]{{{DIGITS}}}\Z")
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
"""What Excel, LibreOffice or Google Sheets may run as a formula, also as we write it."""
_WRITTEN = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def slug(text: str) -> str:
    """Return a file name without suffix for a label or name: readable, and unique.

    It has letters, digits, `-`, `_` and `.`, begins with a letter or digit, and has at most
    `LONGEST` bytes. A text that is such a name stays as it is. Others end in 12 digits of their
    SHA-256, so that `a/b` and `a:b` differ, and on file systems that ignore case `A` and `a`.
    """
    plain = unicodedata.normalize("NFC", text)
    safe = "".join(one if one.isalnum() or one in "-_." else "_" for one in plain)
    safe = safe.lstrip("._-")
    kept = safe == text.casefold() and len(safe.encode()) <= LONGEST
    if safe and kept and not _WITH_DIGEST.search(safe):
        return safe
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:DIGITS]
    readable = safe.encode()[: LONGEST - DIGITS - 1].decode(errors="ignore").rstrip("._-")
    return f"{readable}_{digest}" if readable else digest


def printable(name: str) -> str:
    """Return the name of a file as text that can be written: bytes that are not UTF-8 as `\\xe9`."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def as_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Put a `'` before texts that a spreadsheet program would run as a formula.

    Column names are texts too. Numbers, and texts that are plain numbers, stay as they are.
    `from_cells` gives the same table back.
    """
    return _each_text(table, _as_cell)


def from_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Remove each `'` that `as_cells` has put before a text."""
    return _each_text(table, lambda text: text[1:] if _WRITTEN.match(text) else text)


def quoting(table: pd.DataFrame) -> Literal[0, 2]:
    """Return the `quoting` of `to_csv` for a table: of all texts where one has a carriage return.

    Python before 3.13 quotes texts with other line breaks alone, and one without quotes begins a
    new row.
    """
    texts = [*table.columns, *_texts(table).to_numpy().ravel()]
    breaks = any(isinstance(text, str) and "\r" in text for text in texts)
    return csv.QUOTE_NONNUMERIC if breaks else csv.QUOTE_MINIMAL


def csv_text(table: pd.DataFrame) -> str:
    """Return a table as CSV, without its index and without formulas."""
    return as_cells(table).to_csv(index=False, quoting=quoting(table))


def _as_cell(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _each_text(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    def changed(value: Any) -> Any:
        return change(value) if isinstance(value, str) else value

    return table.assign(**_texts(table).map(changed)).rename(columns=changed)


def _texts(table: pd.DataFrame) -> pd.DataFrame:
    return table.select_dtypes(exclude=["number", "bool", "datetime"])
