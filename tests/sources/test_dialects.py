"""How tables are written: each dialect is read as it is meant, or refused with its line."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from medgan.errors import UserError
from medgan.sources.dialects import TableFormat, decode, read_table

HEAD = ("image", "label", "patient")
ROWS = [("001.png", "NA", "p 1"), ("002.png", "Müller, left", "007"), ("003.png", "", "12.0")]
MEANT = [("001.png", "NA", "p 1"), ("002.png", "Müller, left", "007"), ("003.png", None, "12.0")]


def written(
    separator: str = ",", quoted: bool = True, rows: list = ROWS, head: tuple = HEAD
) -> str:
    """A table as text, with quotes where a cell needs them."""

    def cell(text: str) -> str:
        return f'"{text}"' if quoted or separator in text else text

    return "".join(separator.join(map(cell, row)) + "\n" for row in (head, *rows))


def read(folder: Path, content: bytes | str, **form: object) -> list[tuple]:
    path = folder / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    cells = read_table(path, TableFormat(**form)).cells
    assert list(cells) == list(HEAD)
    return [tuple(row) for row in cells.to_numpy()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("separator", "quoted"), list(product(",;\t|", [True, False])))
def test_encodings_line_ends_separators_and_quotes(
    tmp_path: Path, separator: str, quoted: bool, newline: str, encoding: str
) -> None:
    text = written(separator, quoted).replace("\n", newline)
    assert read(tmp_path, text.encode(encoding)) == MEANT


@pytest.mark.parametrize(
    "content",
    [
        written().replace('"patient"', '" patient\u00a0"'),
        "sep=;\n" + written(";"),
        '"sep=\t"\r\n' + written("\t").replace("\n", "\r\n"),
        written().replace("\n", "\n\n"),
        written().replace("\n", "\n,,\n").replace("\n", " \n"),
        written().replace("\n", ",\n"),
        written().replace("\n", ",,,\n"),
        written().rstrip("\n"),
        "\n\n" + written(),
        written().replace('"NA"', '"\u200bNA\u00a0"'),
        written().replace('"007"', '="007"'),
        written().replace("Müller", "Mu\u0308ller"),
        written().replace(',"', ', "'),
    ],
)
def test_what_spreadsheets_and_people_leave_does_not_count(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == MEANT


def test_other_encodings_are_read_where_the_source_names_them(tmp_path: Path) -> None:
    for encoding in ("latin-1", "cp1252", "utf-16-le", "mac-roman"):
        assert read(tmp_path, written().encode(encoding), encoding=encoding) == MEANT


def test_tables_without_a_header_have_the_names_of_the_source(tmp_path: Path) -> None:
    for separator, mark in product(",;\t|", (None, "")):
        text = written(separator).split("\n", 1)[1]
        form = {} if mark is None else {"separator": separator}
        assert read(tmp_path, text, names=list(HEAD), **form) == MEANT


def test_rows_know_their_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n1,"two\nlines"\n\n3,4\n')
    table = read_table(tmp_path / "t.csv", TableFormat())
    assert table.lines == ["line 2 of t.csv", "line 5 of t.csv"]
    assert table.cells["b"].tolist() == ["two\nlines", "4"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize(("first", "last"), [(2, 3), (3, 6), (1, 4), (2, 6)])
def test_stray_quotes_that_swallow_rows_are_told(
    tmp_path: Path, separator: str, newline: str, column: int, first: int, last: int
) -> None:
    rows = [HEAD, *((f"{k}.png", ("NV", "MEL")[k % 2], f"p{k}") for k in range(5))]
    rows = [list(row) for row in rows]
    rows[first - 1][column] = '"' + rows[first - 1][column]
    rows[last - 1][column] += '"'
    text = "".join(separator.join(row) + newline for row in rows)
    told = f"holds {last - first} line breaks and the rows|correct its quotes"
    with pytest.raises(UserError, match=rf"line {first} of .*({told})"):
        read(tmp_path, text)


def test_lines_and_separators_in_a_cell_are_text(tmp_path: Path) -> None:
    reports = ["Heart normal,\nlungs clear, no effusion", "a\nb", "one\n\n,,two", "x, y\n1, 2, 3"]
    rows = [(f"{k}.png", "NV", text) for k, text in enumerate(reports)]
    assert read(tmp_path, written(rows=rows)) == rows


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n1,2,x\n3,4,,\n", r"1 of 3 rows .* line 3 has 3 \(`1,2,x`\); put .* in quotes"),
        ("# films of 2020\na,b\n1,2\n", r"2 of 2 rows .*; delete what stands above the line"),
        ("a,b,c\n1,2,3\n1,2\n", r"1 of 2 rows .* line 3 has 2 .*; complete them"),
        ("a,b,c\n1,2,3\n4,5,6\n7", r"line 4 has 1 \(`7`\)"),
        ("a\tb\n1\t2\n\n1\t2\t3\n", r"line 4 has 3"),
        ('a,b\n1,2\n"3,4\n5,6\n', r"line 3 of .* cannot be read as CSV \(unexpected end"),
        ('a,b\n1,"2"x\n', r"line 2 of .* cannot be read as CSV"),
        (
            "a,b\n1,M\u00fcller\n".encode("latin-1"),
            r"not .* utf-8: see line 2 \(`1,Müller` in cp12",
        ),
        ("a,b\r1,2\r3,\u00fc\r".encode("cp1252"), r"see line 3 .*`encoding`, such as cp1252"),
        ("a,b\n1,2\n".encode("utf-16-le"), r"see line 1 .* in utf-16-le\)"),
        ("a,b\n1,2\n".encode("utf-16-be"), r"see line 1 .* in utf-16-be\)"),
        (b"\xff\xfea\x00,", r"not in the encoding utf-16: see line 1"),
        (b"PK\x03\x04rest", r"an Excel workbook or another zip archive; save .* as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1", r"an Excel workbook"),
        (b"\x1f\x8b\x08", r"compressed with gzip; unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", r"pointer of Git LFS"),
        (b"<!DOCTYPE html>", r"a web page"),
        ("", r"lists no images"),
        ("a,b\n", r"lists no images"),
        ("\n,\n", r"lists no images"),
    ],
)
def test_what_is_no_such_table_is_refused_with_its_line(
    tmp_path: Path, content: bytes | str, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        read(tmp_path, content)


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for form, words in (
        ({"separator": r"\s+"}, "`separator` is .*give one character"),
        ({"encoding": "utf-9"}, "`encoding` is `utf-9`, which does not exist"),
    ):
        with pytest.raises(UserError, match=words):
            read(tmp_path, written(), **form)
    with pytest.raises(UserError, match="cannot be opened"):
        decode(tmp_path / "gone.csv")


def test_lines_that_the_expression_does_not_fit_are_counted(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("1 a.png x\n\n2 b.png\nthree\n")
    line = r"(?P<id>\S+) (?P<name>\S+) (?P<dx>\S+)"
    with pytest.raises(UserError, match=r"2 of 3 lines .* for example line 3, `2 b\.png`"):
        read_table(tmp_path / "list.txt", TableFormat(line=line))
