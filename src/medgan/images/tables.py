"""Tables beside images: CSV files, and lists whose lines a regular expression reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medgan.contracts import Refusal


@dataclass(frozen=True)
class TableFormat:
    """How the rows of a table are written."""

    separator: str = ","
    names: list[str] | None = None
    """Names of the columns, for a table whose first line is a row already."""
    line: str | None = None
    """A regular expression with named groups, for a list that is no CSV; a group is a column."""


def find_table(folder: Path, name: str) -> Path:
    """The file in the folder that a name or a pattern such as `*metadata.csv` means. Raises `Refusal` where it is none, or several."""
    found = sorted(path for path in folder.glob(name) if path.is_file())
    if not found:
        raise Refusal(f"{folder / name} does not exist; give the table or its folder with --params source=PATH")
    if len(found) > 1:
        raise Refusal(f"{folder} holds {len(found)} tables `{name}` ({', '.join(path.name for path in found)}); leave one of them there")
    return found[0]


def read_table(path: Path, form: TableFormat) -> pd.DataFrame:
    """A table as text, empty cells missing, spaces around values cut off.

    Raises:
        Refusal: it cannot be read as `form` says, or has no rows.
    """
    try:
        read = _read_lines(path, form.line) if form.line else _read_csv(path, form)
    except (ValueError, OSError) as error:
        raise Refusal(f"{path} cannot be read as CSV ({type(error).__name__}); mend or replace it") from error
    if not len(read):
        raise Refusal(f"{path} lists no images; give a table with a row for each image")
    return read.apply(_stripped)


def _read_csv(path: Path, form: TableFormat) -> pd.DataFrame:
    # index_col=False: a comma at the end of every row, as in ChestX-ray14's table, must not shift the columns.
    return pd.read_csv(
        path,
        sep=form.separator,
        names=form.names,
        header=None if form.names else 0,
        dtype=str,
        keep_default_na=False,
        index_col=False,
        encoding="utf-8-sig",
    )


def _read_lines(path: Path, line: str) -> pd.DataFrame:
    pattern = re.compile(line)
    lines = [text for text in path.read_text(encoding="utf-8-sig").splitlines() if text.strip()]
    matches = [pattern.fullmatch(text.strip()) for text in lines]
    strange = [text for text, match in zip(lines, matches, strict=True) if match is None]
    if strange:
        raise Refusal(
            f"{len(strange)} of {len(lines)} lines of {path} are not of the form of the list, for example `{strange[0]}`; mend them"
        )
    return pd.DataFrame([match.groupdict() for match in matches if match], columns=list(pattern.groupindex), dtype=object)


def _stripped(column: pd.Series[Any]) -> pd.Series[Any]:
    text = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    return text.where(text != "", None).astype(object)


def read_lists(folder: Path, lists: dict[str, str]) -> dict[str, str]:
    """File name -> part, from one list of file names for each part. Raises `Refusal` for a missing list, or a name in two."""
    parts: dict[str, str] = {}
    for part, name in lists.items():
        path = folder / name
        if not path.is_file():
            raise Refusal(f"{path} does not exist; put the list of the {part} images there, or take `splits` out of the source")
        for text in filter(None, map(str.strip, path.read_text(encoding="utf-8-sig").splitlines())):
            if parts.setdefault(text, part) != part:
                raise Refusal(f"{text} is both in the list of {parts[text]} images and in {path}; mend the lists")
    return parts
