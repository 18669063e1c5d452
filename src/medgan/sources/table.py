"""A table with a row for each image, beside the folder that the images lie in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import pandas as pd

from medgan.errors import UserError
from medgan.sources.files import (
    FIELDS,
    FileImages,
    check_missing,
    exclude,
    given_path,
    known,
    require_some,
    tidy,
    with_paths,
)
from medgan.sources.readers.config import ReadingConfig


@dataclass(frozen=True)
class TableFormat:
    """How the rows of a table are written."""

    separator: str = ","
    names: list[str] | None = None
    """Names of the columns, for a table whose first line is a row already."""
    line: str | None = None
    """A regular expression with named groups, for a list that is no CSV; a group is a column."""


def find_table(folder: Path, name: str) -> Path:
    """The file in the folder that a name or a pattern such as `*metadata.csv` means. Raises
    `UserError` where it is none, or several.
    """
    found = sorted(path for path in folder.glob(name) if path.is_file())
    if not found:
        raise UserError(
            f"{folder / name} does not exist; give the table or its folder with --params source=PATH"
        )
    if len(found) > 1:
        raise UserError(
            f"{folder} holds {len(found)} tables `{name}` ({', '.join(path.name for path in found)}); leave one of them there"
        )
    return found[0]


def read_table(path: Path, form: TableFormat) -> pd.DataFrame:
    """A table as text, empty cells missing, spaces around values cut off.

    Raises:
        UserError: it cannot be read as `form` says, or has no rows.
    """
    try:
        read = _read_lines(path, form.line) if form.line else _read_csv(path, form)
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path} cannot be read as CSV ({type(error).__name__}); mend or replace it"
        ) from error
    if not len(read):
        raise UserError(f"{path} lists no images; give a table with a row for each image")
    return read.apply(_stripped)


def _read_csv(path: Path, form: TableFormat) -> pd.DataFrame:
    # index_col=False: a comma at the end of every row, as in ChestX-ray14's table, must not shift
    # the columns.
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
        raise UserError(
            f"{len(strange)} of {len(lines)} lines of {path} are not of the form of the list, for example `{strange[0]}`; mend them"
        )
    return pd.DataFrame(
        [match.groupdict() for match in matches if match],
        columns=list(pattern.groupindex),
        dtype=object,
    )


def _stripped(column: pd.Series[Any]) -> pd.Series[Any]:
    text = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    return text.where(text != "", None).astype(object)


def read_lists(folder: Path, lists: dict[str, str]) -> dict[str, str]:
    """File name -> part, from one list of file names for each part. Raises `UserError` for a
    missing list, or a name in two.
    """
    parts: dict[str, str] = {}
    for part, name in lists.items():
        path = folder / name
        if not path.is_file():
            raise UserError(
                f"{path} does not exist; put the list of the {part} images there, or take `splits` out of the source"
            )
        for text in filter(None, map(str.strip, path.read_text(encoding="utf-8-sig").splitlines())):
            if parts.setdefault(text, part) != part:
                raise UserError(
                    f"{text} is both in the list of {parts[text]} images and in {path}; mend the lists"
                )
    return parts


ON_MISSING = ("fail", "leave_out")


@dataclass(frozen=True)
class CsvSource:
    """Tables with one row for each image, and the folder that the images lie in."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    columns: dict[str, str | list[str]]
    """Field -> column of the table; `category` is needed. Several columns: the first that is there
    and filled counts, row by row. A text with columns in braces, such as `"{source} {patientid}"`,
    is filled in."""
    path: str | None = None
    """The table, or the folder that holds it as `table`."""
    table: str = "metadata.csv"
    """Name of the table, or a pattern such as `*metadata.csv` that one file matches."""
    tables: dict[str, str] = field(default_factory=dict)
    """Part of the split -> its table, where each part has one."""
    separator: str = ","
    names: list[str] | None = None
    line: str | None = None
    """See `TableFormat` for these three."""
    images: str = "images"
    """Folder of the images, relative to the table; `**` is anywhere below it, by the file's own
    name.
    """
    file: str = "{image_id}.jpg"
    """File of an image in that folder, from its fields and columns. (Not `filename`: Kedro makes
    keys of that name absolute paths.)
    """
    splits: dict[str, str] = field(default_factory=dict)
    """Part of the split -> a list of its file names, a line each."""
    where: dict[str, str | list[str]] = field(default_factory=dict)
    """Field or column -> the values whose images are used; the others are left out and counted."""
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    """Field -> value in the table -> value here, such as `split: {valid: val}`."""
    on_missing: str = "fail"
    """Where a listed file is missing: fail, or leave_out and count."""
    reading: ReadingConfig = field(default_factory=ReadingConfig)
    """How its files become pictures."""

    def open(self) -> FileImages:
        """Reads the tables.

        Raises:
            UserError: a table, a column or an image file is missing, or nothing is left.
        """
        self._check_fields()
        tables = self._tables()
        root, what = (
            next(iter(tables.values())).parent,
            " and ".join(str(path) for path in tables.values()),
        )
        read = self._read(tables)
        rows = self._filtered(self._fields(read), read)
        rows = with_paths(
            rows, _filled(self.file, read, rows).fillna("").tolist(), root, self.images
        )
        rows = self._split(check_missing(rows, root, what, self.on_missing), root)
        rows["image_id"] = (
            rows["image_id"].where(rows["image_id"].notna(), rows["path"])
            if "image_id" in rows
            else rows["path"]
        )
        return FileImages(root.name, root, require_some(rows, what), self.reading)

    def _check_fields(self) -> None:
        strange = [name for name in {**self.columns, **self.values} if name not in FIELDS] + [
            "category"
        ] * ("category" not in self.columns)
        if strange:
            raise UserError(
                f"the source's `columns` and `values` are about {', '.join(FIELDS)}, and need category; look at `{strange[0]}`"
            )
        if self.on_missing not in ON_MISSING:
            raise UserError(
                f"the source's `on_missing` is `{self.on_missing}`; choose from {', '.join(ON_MISSING)}"
            )
        try:
            re.compile(self.line or "")
        except re.error as error:
            raise UserError(
                f"the source's `line` is no regular expression ({error}); mend it in the catalog"
            ) from error

    def _tables(self) -> dict[str, Path]:
        """Part -> table; one table for all parts has the part ''."""
        given = given_path(self.path, "the table of images")
        if given.is_dir():
            return {
                part: find_table(given, name)
                for part, name in (self.tables or {"": self.table}).items()
            }
        if self.tables:
            raise UserError(
                f"{given} is one table, and {', '.join(self.tables.values())} are needed; give their folder with --params source=PATH"
            )
        return {"": given}

    def _read(self, tables: dict[str, Path]) -> pd.DataFrame:
        form = TableFormat(self.separator, self.names, self.line)
        parts = [
            read_table(path, form).assign(**({"split": part} if part else {}))
            for part, path in tables.items()
        ]
        read = pd.concat(parts, ignore_index=True)
        for column in self._columns():
            if column not in read:
                names = ", ".join(map(str, read.columns))
                raise UserError(
                    f"{next(iter(tables.values()))} has no column `{column}`; it has {names}: mend the source in the catalog"
                )
        return read

    def _columns(self) -> list[str]:
        """Columns that the table has to have."""
        single = [
            column
            for column in self.columns.values()
            if isinstance(column, str) and "{" not in column
        ]
        return single + [name for name in self.where if name not in self.columns]

    def _fields(self, read: pd.DataFrame) -> pd.DataFrame:
        rows = pd.DataFrame(
            {FIELDS[name]: self._field(read, column) for name, column in self.columns.items()},
            index=read.index,
        )
        told = {
            str(name): known(column)
            for name, column in rows.items()
            if name not in ("category_raw", "image_id")
        }
        split = {"split": read["split"]} if self.tables else {}
        return tidy(
            rows.assign(**told, **split),
            {FIELDS[name]: names for name, names in self.values.items()},
        )

    def _field(self, read: pd.DataFrame, column: str | list[str]) -> pd.Series[Any]:
        if isinstance(column, str):
            return (
                _filled(column, read, pd.DataFrame(index=read.index))
                if "{" in column
                else read[column]
            )
        there = [name for name in column if name in read]
        if not there:
            raise UserError(
                f"the table has none of the columns {', '.join(column)}; mend the source's `columns`"
            )
        return read[there].apply(known).bfill(axis=1).iloc[:, 0]

    def _filtered(self, rows: pd.DataFrame, read: pd.DataFrame) -> pd.DataFrame:
        for name, wanted in self.where.items():
            said = rows[FIELDS[name]] if name in self.columns else read[name]
            text = said.where(said.notna(), "missing").astype(str)
            rows = exclude(
                rows, ~text.isin([wanted] if isinstance(wanted, str) else wanted), name + " " + text
            )
        return rows

    def _split(self, rows: pd.DataFrame, root: Path) -> pd.DataFrame:
        if not self.splits:
            return rows
        parts = read_lists(root, self.splits)
        split = rows["path"].map(lambda path: parts.get(PurePosixPath(path).name)).astype(object)
        return exclude(
            rows.assign(split=split.where(split.notna(), None)),
            split.isna(),
            "in none of the official lists",
        )


def _filled(template: str, read: pd.DataFrame, rows: pd.DataFrame) -> pd.Series[Any]:
    """The template filled in from each row's columns and fields; missing where they all are."""
    table = pd.concat([read.drop(columns=read.columns.intersection(rows.columns)), rows], axis=1)
    records = table.astype(object).where(table.notna(), "").to_dict("records")
    try:
        texts = [template.format_map(record).strip() for record in records]
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise UserError(
            f"`{template}` in the source cannot be filled in ({error}); the table has {', '.join(map(str, table))}"
        ) from error
    return pd.Series([text or None for text in texts], index=table.index, dtype=object)
