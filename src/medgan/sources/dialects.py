"""Tables as text: encodings, separators, quotes, and rows that do not fit their header."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medgan.errors import UserError
from medgan.sources.forms import plain

SEPARATORS = (",", ";", "\t", "|")
BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
OTHER_FILES = {
    b"PK\x03\x04": "an Excel workbook or another zip archive; save the sheet as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save the sheet as CSV (UTF-8)",
    b"\x1f\x8b": "compressed with gzip; unpack it",
    b"PAR1": "a Parquet file; save it as CSV",
    b"\x89HDF": "an HDF5 file; save the table as CSV",
    b"SQLite format 3": "a database of SQLite; export the table as CSV",
    b"%PDF": "a PDF document; give the table as CSV",
    b"version https://git-lfs": "a pointer of Git LFS and not the table; fetch it (git lfs pull)",
    b"<": "a web page or XML; fetch the table itself",
}
"""How a file that is no table begins -> what it is and what to do."""
EXCEL_HINT = re.compile(r'"?sep=(.)"?\r?\n?')  # the first line of a table that Excel is to open


@dataclass(frozen=True)
class TableFormat:
    """How the rows of a table are written."""

    separator: str | None = None  # None: the one of SEPARATORS that is most frequent in the header
    names: list[str] | None = None  # names of the columns, for a table without a header
    line: str | None = None
    """A regular expression with one named group per column, for a list that is no CSV."""
    encoding: str | None = None  # None: UTF-8, or what a byte order mark says


@dataclass(frozen=True)
class Table:
    """The rows of a table."""

    cells: pd.DataFrame  # stripped text, empty cells None
    lines: list[str]
    """Where each row stands, such as `line 3 of metadata.csv`."""
    repeated: frozenset[str] = frozenset()  # names that several columns have

    def assign(self, **columns: str) -> Table:
        """Add columns that have one value."""
        return Table(self.cells.assign(**columns), self.lines, self.repeated)


def joined(tables: list[Table]) -> Table:
    """Put tables below each other; a column that one of them lacks is empty there."""
    cells = pd.concat([table.cells for table in tables], ignore_index=True).astype(object)
    repeated = frozenset[str]().union(*(table.repeated for table in tables))
    lines = [line for table in tables for line in table.lines]
    return Table(cells.where(cells.notna(), None), lines, repeated)


def read_table(path: Path, form: TableFormat) -> Table:
    """Read a table as text. Raises `UserError` with the number of the line that is wrong."""
    table = _matched(path, form, form.line) if form.line else _parsed(path, form)
    if table.cells.empty:
        raise UserError(f"{path} lists no images; give a table with one row per image")
    return table


def read_lines(path: Path, encoding: str | None = None) -> list[tuple[int, str]]:
    """Read the lines that are not empty, stripped, with their numbers. Raises `UserError`."""
    lines = re.split(r"\r\n|\r|\n", decode(path, encoding))
    return [(number, plain(line)) for number, line in enumerate(lines, 1) if plain(line)]


def decode(path: Path, encoding: str | None = None) -> str:
    """Read a text file: UTF-8, or what its byte order mark or `encoding` says.

    Raises:
        UserError: the file cannot be opened, is no text, or has another encoding.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        problem = f"cannot be opened ({type(error).__name__})"
        raise UserError(f"{path} {problem}; correct or replace it") from error
    for start, what in OTHER_FILES.items():
        if content.startswith(start):
            raise UserError(f"{path} is {what}")
    marked = (name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark))
    chosen = encoding or next(marked, "utf-8")
    try:
        text = content.decode(chosen)
    except LookupError:
        raise UserError(f"the source's `encoding` is `{encoding}`, which does not exist") from None
    except UnicodeError as error:
        raise _not_in(chosen, path, content, getattr(error, "start", 0)) from error
    if "\0" in text:
        raise _not_in(chosen, path, content, content.index(b"\0"))
    return text


def _not_in(encoding: str, path: Path, content: bytes, start: int) -> UserError:
    """Return the error for a file of another encoding; `start` is the first wrong byte."""
    wide = b"\0" in content[:200]
    other = ("utf-16-be" if content[:1] == b"\0" else "utf-16-le") if wide else "cp1252"
    shown = content.decode(other, errors="replace")
    number = len(re.findall(r"\r\n|\r|\n", content[:start].decode(other, errors="replace")))
    line = re.split(r"\r\n|\r|\n", shown)[number]
    return UserError(
        f"{path} is not in the encoding {encoding}: see line {number + 1} (`{plain(line)[:80]}` in "
        f"{other}); save it as UTF-8, or set the source's `encoding`, such as {other}"
    )


def _matched(path: Path, form: TableFormat, line: str) -> Table:
    pattern = re.compile(line)
    lines = read_lines(path, form.encoding)
    matches = [(number, text, pattern.fullmatch(text)) for number, text in lines]
    strange = [(number, text) for number, text, match in matches if match is None]
    if strange:
        raise UserError(
            f"{len(strange)} of {len(lines)} lines of {path} do not match the source's `line`, "
            f"for example line {strange[0][0]}, `{strange[0][1]}`; correct them"
        )
    groups = [
        [plain(cell or "") or None for cell in match.groups()] for *_, match in matches if match
    ]
    cells = pd.DataFrame(groups, columns=list(pattern.groupindex), dtype=object)
    return Table(cells, [f"line {number} of {path.name}" for number, *_ in matches])


def _parsed(path: Path, form: TableFormat) -> Table:
    text = decode(path, form.encoding)
    hint = EXCEL_HINT.match(text)
    separator = form.separator or (hint[1] if hint else _separator(text, form.names))
    if len(separator) != 1:
        raise UserError(
            f"the source's `separator` is `{separator}`; give one character, or describe the lines "
            "with `line`"
        )
    records = _records(path, text, separator)
    if hint:
        next(records)
    filled = ((number, cells) for number, cells in records if any(cells))
    first, header = (1, list(form.names)) if form.names else next(filled, (1, []))
    while header and not header[-1]:
        header.pop()
    rows = [(number, _trimmed(cells, len(header))) for number, cells in filled]
    _check_lengths(path, header, rows, separator)
    _check_quotes(path, [(first, header), *rows], separator)
    names = [name or f"column {place}" for place, name in enumerate(header, 1)]
    cells = pd.DataFrame([cells for _, cells in rows], columns=names, dtype=object)
    repeated = frozenset(cells.columns[cells.columns.duplicated()])
    cells = cells.loc[:, ~cells.columns.duplicated()]
    lines = [f"line {number} of {path.name}" for number, _ in rows]
    return Table(cells.where(cells != "", None), lines, repeated)


def _separator(text: str, names: list[str] | None) -> str:
    """Return the separator with which the first line has most cells, or as many as `names`."""
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    counts = {mark: len(next(csv.reader([first], delimiter=mark), [])) for mark in SEPARATORS}
    fitting = [mark for mark in SEPARATORS if names and counts[mark] >= len(names)]
    return fitting[0] if fitting else max(counts, key=lambda mark: counts[mark])


def _records(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Iterate over the records of a CSV text with the numbers of the lines that they begin in."""
    # Python's parser refuses blanks between a closing quote and the separator.
    text = re.sub(rf'" +(?=[{re.escape(separator)}\r\n]|$)', '"', text)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            yield start, [plain(cell) for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"line {start} of {path} cannot be read as CSV ({error}); correct its quotes"
            ) from error


def _check_quotes(path: Path, rows: list[tuple[int, list[str]]], separator: str) -> None:
    """Raise `UserError` for a cell that holds other rows, since it is between two stray quotes."""
    columns: list[Counter[str]] = []
    for number, cells in rows:
        for place, cell in enumerate(cells):
            held = _rows_within(cell, place, len(cells), separator) if "\n" in cell else []
            if held and not columns:
                columns = [
                    Counter(column) for column in zip(*(row for _, row in rows), strict=True)
                ]
            # Lines of a text that have as many cells as the table do not have the same ones.
            elsewhere = (
                columns[k][text] + sum(row[k] == text for row in held) - (cells[k] == text)
                for row in held
                for k, text in enumerate(row)
                if text
            )
            if any(count > 1 for count in elsewhere):
                raise UserError(
                    f"line {number} of {path} has a cell in quotes that holds {len(held) - 1} line "
                    "breaks and the rows behind them; delete its two quotes"
                )


def _rows_within(cell: str, place: int, length: int, separator: str) -> list[list[str]]:
    """Return the rows that end, stand and begin in a cell, as far as they do so; none for a text
    whose lines have another number of cells.
    """
    lines = [line.split(separator) for line in cell.split("\n") if line.strip()]
    lines[0] = [""] * place + lines[0]
    lines[-1] += [""] * (length - 1 - place)
    if any(len(line) != length for line in lines):
        return []
    lines[0][place] = ""  # it is a cell of its row, also in a text
    return [list(map(plain, line)) for line in lines]


def _trimmed(cells: list[str], length: int) -> list[str]:
    """Drop empty cells behind the last column."""
    while len(cells) > length and not cells[-1]:
        cells = cells[:-1]
    return cells


def _check_lengths(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]], separator: str
) -> None:
    wrong = [(number, cells) for number, cells in rows if len(cells) != len(header)]
    if not wrong:
        return
    number, cells = wrong[0]
    longer = len(cells) > len(header)
    remedy = f"put cells that hold a `{separator}` in quotes" if longer else "complete them"
    if len(header) == 1:
        remedy = "delete what stands above the line of the column names"
    raise UserError(
        f"{len(wrong)} of {len(rows)} rows of {path} have another number of cells than the "
        f"{len(header)} columns ({', '.join(header)}): line {number} has {len(cells)} "
        f"(`{separator.join(cells)[:80]}`); {remedy}"
    )
