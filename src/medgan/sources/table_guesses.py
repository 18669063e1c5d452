"""Guess which columns of a table name the files of a folder, their labels and their patients."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from medgan.errors import UserError
from medgan.sources.dialects import TableFormat, read_table
from medgan.sources.forms import form
from medgan.sources.path_guesses import MOST_LABELS, PARTS
from medgan.sources.rows import part, sex, years

SUFFIXES = frozenset((".csv", ".tsv", ".txt"))
WORKBOOKS = frozenset((".xlsx", ".xls", ".ods", ".parquet"))
"""Tables that are not read."""
LARGEST = 200 * 2**20
"""Bytes of a table that is looked into."""
LISTED = 0.5
"""Share of the rows that have to name a file, or of the files that have to be named."""
LABEL_WORDS = (
    *("label", "labels", "class", "category", "diagnosis", "dx", "target", "finding"),
    *("finding labels", "findings", "disease", "pathology", "abnormality", "abnormal"),
    *("tumor", "tumour", "group", "outcome", "status"),
)
FIELD_WORDS = {
    "group_id": (
        *("patient", "patient id", "patientid", "subject", "subject id", "subjectid", "pid"),
        *("case", "case id", "caseid", "participant", "participant id", "lesion id"),
    ),
    "split": ("split", "set", "subset", "partition", "fold", "part"),
    "sex": ("sex", "gender", "patient sex", "patient gender"),
    "age": ("age", "patient age", "age approx", "age years"),
    "site": ("site", "hospital", "center", "centre", "localization"),
    "view": ("view", "view position", "projection"),
    "date": ("date", "study date", "acquisition date"),
}
"""Field -> names of its column, as `forms.form` writes them, the most telling one first."""
SEVERAL = "|"


CHECKS: dict[str, Callable[[pd.Series[Any]], bool]] = {
    "split": lambda values: bool(values.map(form).isin(PARTS).all()),
    "sex": lambda values: bool(values.map(sex).notna().any()),
    "age": lambda values: bool(values.map(years).notna().any()),
}
"""Field -> whether the filled cells of a column can be its values."""


@dataclass(frozen=True)
class TableGuess:
    """What a table beside the images tells."""

    name: str
    """Of the table, in the folder."""
    columns: dict[str, str]
    """Field -> column; `image_id` names the file."""
    one_hot: list[str]
    separator: str | None
    """Between the labels of an image with several findings."""
    split_values: dict[str, str]
    missing: int
    """Rows whose file is not there."""


def guess_from_tables(root: Path, paths: Sequence[str]) -> tuple[list[TableGuess], list[str]]:
    """Look into the tables of a folder.

    Args:
        root: the folder.
        paths: POSIX paths of the images below it.

    Returns:
        A guess for each table that names the images, and a sentence for each that cannot be read.
    """
    names = {key for path in paths for key in _keys(path)}
    guesses, problems = [], []
    for file in sorted(root.iterdir()):
        if file.suffix.lower() in WORKBOOKS and not file.name.startswith((".", "~")):
            problems.append(f"The table {file.name} is not used: save it as CSV (UTF-8).")
        if file.suffix.lower() not in SUFFIXES or not file.is_file() or file.name.startswith("."):
            continue
        try:
            guess = _guess(file, names, len(paths))
        except UserError as error:
            if file.suffix.lower() != ".txt":  # a text with commas need not be a table
                problems.append(f"The table {file.name} is not used: {str(error).rstrip('.')}.")
            continue
        if guess is not None:
            guesses.append(guess)
    return guesses, problems


def _keys(path: str) -> Iterator[str]:
    """Yield the file name, and it without its suffixes, in lower case."""
    name = PurePosixPath(path.replace("\\", "/")).name.strip().casefold()
    yield name
    yield name.removesuffix(".gz").rpartition(".")[0] or name


def _guess(file: Path, names: set[str], count: int) -> TableGuess | None:
    if file.stat().st_size > LARGEST or not _is_table(file):
        return None
    cells = read_table(file, TableFormat()).cells
    files = _file_column(cells, names, count)
    if files is None:
        return None
    known = cells[cells[files].notna()]
    listed = known[files].map(lambda name: not names.isdisjoint(_keys(name)))
    columns = {"image_id": files, **_fields(known, files)}
    taken = set(columns.values())
    label, one_hot = _label(known, taken), list[str]()
    if label is None:
        one_hot = [str(name) for name in cells if name not in taken and _is_binary(known[name])]
    if len(one_hot) == 1:
        label, one_hot = one_hot[0], []
    if label is not None:
        columns["category"] = label
    several = label is not None and known[label].str.contains(SEVERAL, regex=False).any()
    separator = SEVERAL if one_hot or several else None
    parts = set(known[columns["split"]].dropna()) if "split" in columns else set[str]()
    values = {name: PARTS[form(name)] for name in parts if part(name) != PARTS[form(name)]}
    return TableGuess(file.name, columns, one_hot, separator, values, int((~listed).sum()))


def _is_table(file: Path) -> bool:
    """Return whether the first line of a file has several cells: notes and lists are no tables."""
    with file.open("rb") as opened:
        first = opened.read(4096).splitlines()[:1]
    text = first[0].decode(errors="replace") if first else ""
    return any(len(next(csv.reader([text], delimiter=mark), [])) > 1 for mark in ",;\t|")


def _file_column(cells: pd.DataFrame, names: set[str], count: int) -> str | None:
    """Return the column that names most files, or None."""
    found = {
        str(column): sum(
            not names.isdisjoint(_keys(name)) for name in cells[column].dropna().unique()
        )
        for column in cells
    }
    best = max(found, key=lambda column: found[column])
    enough = found[best] >= LISTED * min(len(cells), count)
    return best if found[best] and enough else None


def _fields(cells: pd.DataFrame, files: str) -> dict[str, str]:
    """Return field -> column, by the names of the columns and their cells."""
    named = {form(str(column)): str(column) for column in cells if column != files}
    found = {}
    for field, words in FIELD_WORDS.items():
        fitting = (named[form(word)] for word in words if form(word) in named)
        for column in fitting:
            values = cells[column].dropna()
            if len(values) and (field not in CHECKS or CHECKS[field](values)):
                found[field] = column
                break
    return found


def _label(cells: pd.DataFrame, taken: set[str]) -> str | None:
    """Return the column of labels: by its name, else the only one with few values."""
    free = [str(column) for column in cells if column not in taken]
    named = {form(column): column for column in free}
    by_name = [named[form(word)] for word in LABEL_WORDS if form(word) in named]
    if by_name:
        return by_name[0]
    few = [
        column
        for column in free
        if 2 <= cells[column].nunique() <= MOST_LABELS and not _is_number(cells[column])
    ]
    return few[0] if len(few) == 1 else None


def _is_binary(column: pd.Series[Any]) -> bool:
    return {form(value) for value in column.dropna()} in ({"0", "1"}, {"0"}, {"1"})


def _is_number(column: pd.Series[Any]) -> bool:
    numbers: pd.Series[Any] = pd.to_numeric(column.dropna(), errors="coerce")
    return bool(numbers.notna().all())
