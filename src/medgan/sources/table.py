"""Tables with one row per image, beside the folder of the images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from medgan.errors import UserError, closest, require
from medgan.sources.cells import (
    check_cells,
    columns_of,
    fill_template,
    first_filled,
    one_hot_labels,
)
from medgan.sources.dialects import Table, TableFormat, joined, read_table
from medgan.sources.files import FileImages, given_path
from medgan.sources.forms import Text, form
from medgan.sources.listed import Place, locate, parts_of, read_lists
from medgan.sources.listing import BY_PATTERN
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.rows import (
    EXCLUDED,
    FIELDS,
    Remark,
    blank_to_none,
    exclude,
    exclusions,
    known_fields,
    one_spelling,
    require_some,
    tidy,
)

UNLISTED = "not listed"  # reason for the exclusion of a file that no row names
MISSING = "listed, and its file is missing"
OWN_TABLE = "a table or list that the source itself reads"


@dataclass(frozen=True)
class CsvSource:
    """Tables with one row per image, and the folder of the images."""

    columns: dict[str, str | list[str]]
    """Field -> column of the table; `category` is required, unless there is `one_hot`. Of several
    columns the first that exists and is filled counts, row by row. A text with columns in braces,
    such as `"{source} {patientid}"`, is a template."""
    path: str | None = None  # the table, or the folder that holds it as `table`
    table: str = "metadata.csv"
    """Name of the table, or a pattern such as `*metadata.csv` that one file matches."""
    tables: dict[str, str] = field(default_factory=dict)
    """Part of the split -> its table, where each part has one."""
    one_hot: list[str] = field(default_factory=list)
    """Columns of 0 and 1 that are labels: an image has those whose column holds 1."""
    separator: str | None = None
    names: list[str] | None = None
    line: str | None = None
    encoding: str | None = None  # see `TableFormat` for these four
    images: str = "images"
    """Folder of the images, relative to the table; `**` searches below it by file name."""
    file: str = "{image_id}.jpg"
    """File of an image in that folder, a template of fields and columns. (Kedro makes values of a
    key named `filename` absolute paths.)"""
    splits: dict[str, str] = field(default_factory=dict)
    """Part of the split -> a list of its file names, one per line."""
    where: dict[str, Text | list[Text]] = field(default_factory=dict)
    """Field or column -> values of images that are used; others are left out and counted."""
    values: dict[str, dict[Text, Text]] = field(default_factory=dict)
    """Field -> value in the table -> value here, such as `split: {valid: val}`."""
    leave_out: list[str] = field(default_factory=list)
    """Regular expressions on the path; files that match one are left out and counted."""
    on_missing: str = "fail"  # what to do where a listed file is missing: fail, or leave_out
    reading: ReadingConfig = field(default_factory=ReadingConfig)  # how files are decoded

    def open(self) -> FileImages:
        """Read the tables. Raises `UserError` for missing tables, columns and files."""
        self._check()
        tables = self._tables()
        root = next(iter(tables.values())).parent
        names = " and ".join(map(str, tables.values()))
        table = self._read(tables)
        rows, remarks = one_spelling(self._fields(table))
        rows = self._filtered(rows, table.cells)
        files = fill_template(self.file, table.cells, rows).fillna("").tolist()
        rows, others, otherwise = with_paths(rows, files, Place(root, self.images, self.leave_out))
        rows, repeated = once(rows, table.lines)
        if self.on_missing == "leave_out":
            rows = exclude(rows, missing_files(rows, root), MISSING)
        else:
            require_files(rows, others, root, names)
        rows, absent = self._split(rows, root)
        own = {os.path.relpath(path, root) for path in tables.values()} | set(self.splits.values())
        others.loc[others["path"].isin(own), EXCLUDED] = OWN_TABLE
        known = known_fields(require_some(rows, names), self._origins())
        rows = pd.concat([rows, others], ignore_index=True)
        ids = rows.reindex(columns=["image_id"])["image_id"].astype(object)
        rows["image_id"] = ids.where(ids.notna(), rows["path"])
        return FileImages(
            root.name, root, rows, self.reading, (*remarks, *otherwise, *repeated, *absent, *known)
        )

    def _check(self) -> None:
        needed = [] if self.one_hot else ["category"]
        unknown = [name for name in {**self.columns, **self.values} if name not in FIELDS]
        wrong = [*unknown, *(name for name in needed if name not in self.columns)]
        if wrong:
            raise UserError(
                f"the source's `columns` and `values` are about {', '.join(FIELDS)}, "
                f"and need category (or `one_hot`); check `{wrong[0]}`"
            )
        if self.one_hot and "category" in self.columns:
            raise UserError("the source has the column `category` and `one_hot`; drop one of them")
        problem = f"the source's `on_missing` is `{self.on_missing}`; choose fail or leave_out"
        require(self.on_missing in ("fail", "leave_out"), problem)
        try:
            re.compile(self.line or "")
        except re.error as error:
            problem = f"`line` is no regular expression ({error})"
            raise UserError(f"the source's {problem}; correct it in the catalog") from error

    def _origins(self) -> dict[str, str]:
        """Return where each field comes from, in words; a group of `line` without a value is one
        that its author made optional.
        """
        if self.line:
            return {}
        origins = {
            name: f"its column `{column if isinstance(column, str) else ', '.join(column)}`"
            for name, column in self.columns.items()
        }
        return origins | ({"category": "its `one_hot`"} if self.one_hot else {})

    def _tables(self) -> dict[str, Path]:
        """Return part -> table; one table for all parts has the key ''."""
        given = given_path(self.path, "the table of images")
        if given.is_dir():
            named = self.tables or {"": self.table}
            return {part: find_table(given, name) for part, name in named.items()}
        if self.tables:
            names = ", ".join(self.tables.values())
            raise UserError(f"{given} is one table, and {names} are needed; give their folder")
        return {"": given}

    def _read(self, tables: dict[str, Path]) -> Table:
        expected = TableFormat(self.separator, self.names, self.line, self.encoding)
        read = {part: read_table(path, expected) for part, path in tables.items()}
        for part, table in read.items():
            self._check_columns(table, tables[part])
        return joined([table.assign(split=part) if part else table for part, table in read.items()])

    def _check_columns(self, table: Table, path: Path) -> None:
        present = [str(name) for name in table.cells]
        needed = list(self._needed())
        used = [name for name in (*needed, *self._optional()) if name in present]
        for column in used:
            if column in table.repeated:
                raise UserError(f"{path} has several columns `{column}`; rename all but one")
        for column in needed:
            if column not in present:
                alike = [name for name in present if form(name) == form(column)]
                close = alike or closest(column, present)
                raise UserError(
                    f"{path} has no column `{column}`; it has {', '.join(present)}: "
                    + (f"did you mean `{close[0]}`? " if close else "")
                    + "Correct the source in the catalog, or give it `names` if the table has no "
                    "header"
                )
        check_cells(table, used, [*self._of_field("image_id"), *self._of_field("group_id")])

    def _needed(self) -> Iterator[str]:
        """Iterate over the columns that every table must have."""
        yield from self.one_hot
        for name, column in self.columns.items():
            if isinstance(column, str):
                yield from self._of_field(name)
        yield from (name for name in self.where if name not in self.columns)

    def _optional(self) -> Iterator[str]:
        """Iterate over the columns that are read where a table has them."""
        for name, column in self.columns.items():
            if not isinstance(column, str):
                yield from self._of_field(name)
        yield from (name for name in columns_of(self.file) if name not in self.columns)

    def _of_field(self, name: str) -> list[str]:
        """Return the columns that a field is read from."""
        column = self.columns.get(name, [])
        if isinstance(column, str):
            return columns_of(column) if "{" in column else [column]
        return column

    def _fields(self, table: Table) -> pd.DataFrame:
        fields = {FIELDS[name]: self._field(table, name) for name in self.columns}
        rows = pd.DataFrame(fields, index=table.cells.index)
        if self.one_hot:
            rows[FIELDS["category"]] = one_hot_labels(table, self.one_hot)
        if self.tables:
            rows["split"] = table.cells["split"]
        return tidy(rows, self.values)

    def _field(self, table: Table, name: str) -> pd.Series[Any]:
        column, cells = self.columns[name], table.cells
        if isinstance(column, list):
            found = first_filled(table, column, name)
        elif "{" in column:
            found = fill_template(column, cells, pd.DataFrame(index=cells.index))
            if name not in ("category", "image_id"):  # half of an id is none
                parts = cells[columns_of(column)].apply(blank_to_none).dropna(axis=1, how="all")
                found = found.where(parts.notna().all(axis=1), None)
        else:
            found = cells[column]
        return found if name in ("category", "image_id") else blank_to_none(found)

    def _filtered(self, rows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
        for name, wanted in self.where.items():
            values = rows[FIELDS[name]] if name in self.columns else table[name]
            text = values.where(values.notna(), "missing").astype(str)
            kept = text.map(form).isin(map(form, [wanted] if isinstance(wanted, str) else wanted))
            rows = exclude(rows, ~kept, name + " " + text)
        return rows

    def _split(self, rows: pd.DataFrame, root: Path) -> tuple[pd.DataFrame, list[Remark]]:
        if not self.splits:
            return rows, []
        found, absent = parts_of(rows["path"].tolist(), read_lists(root, self.splits))
        split = pd.Series(found, index=rows.index, dtype=object)
        rows = exclude(rows.assign(split=split), split.isna(), "in none of the official lists")
        return rows, absent


def find_table(folder: Path, name: str) -> Path:
    """Return the one file in the folder that matches a name or pattern. Raises `UserError`."""
    found = sorted(path for path in folder.glob(name) if path.is_file())
    if not found:
        raise UserError(f"{folder / name} does not exist; give it with --params source=PATH")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(f"{folder} holds {len(found)} tables `{name}` ({names}); keep one of them")
    return found[0]


def with_paths(
    rows: pd.DataFrame, names: list[str], place: Place
) -> tuple[pd.DataFrame, pd.DataFrame, list[Remark]]:
    """Add the path of each image; return an excluded row for each file that is not listed too."""
    named, others, idle = place.find()
    paths, remarks = locate(names, named, place)
    listed = rows.assign(path=paths)
    by_pattern = {path: why for path, why in others.items() if why.startswith(BY_PATTERN)}
    listed = exclude(listed, listed["path"].isin(by_pattern), listed["path"].map(by_pattern))
    others = dict.fromkeys(named.values(), UNLISTED) | others
    unlisted = sorted(others.keys() - set(paths))
    reasons = [others[path] for path in unlisted]
    extra = pd.DataFrame({"path": unlisted, EXCLUDED: reasons}, dtype=object)
    return listed, extra, [*remarks, *idle]


def once(rows: pd.DataFrame, lines: list[str]) -> tuple[pd.DataFrame, list[Remark]]:
    """Keep one row for each path, with what any of its rows tell.

    Raises:
        UserError: two used rows of one path contradict each other; names both lines.
    """
    of_line = pd.Series(range(len(rows)), index=rows.index)
    used = rows[exclusions(rows).isna()]
    again = used[used["path"].duplicated(keep=False)]
    fields = [column for column in FIELDS.values() if column in rows]
    for column in fields:
        values = again[column].fillna("") if column == FIELDS["category"] else again[column]
        first = values.groupby(again["path"]).transform("first")
        wrong = again.index[values.notna() & (values != first)]
        if len(wrong):
            path = again.loc[wrong[0], "path"]
            other = again.index[(again["path"] == path) & (values == first)][0]
            both = [f"{lines[of_line[place]]} (`{values[place]}`)" for place in (other, wrong[0])]
            raise UserError(
                f"{' and '.join(both)} are about one image, {path}, and contradict each other in "
                f"{column.removesuffix('_raw')}; correct one of them"
            )
    filled = again.groupby("path")[fields].transform("first")
    rows.loc[again.index, fields] = filled.astype(object).where(filled.notna(), None)
    ordered = rows.assign(left=exclusions(rows).notna()).sort_values("left", kind="stable")
    kept = rows.loc[ordered.index[~ordered["path"].duplicated()].sort_values()]
    count = len(rows) - len(kept)
    text = f"{count} rows are about an image that has a row already, and count once"
    remarks = [Remark("repeated rows", count, text)] if count else []
    return kept.reset_index(drop=True), remarks


def missing_files(rows: pd.DataFrame, root: Path) -> pd.Series[bool]:
    """Return which rows are used and have no file."""
    present = rows["path"].map(lambda path: (root / path).is_file()).astype(bool)
    return exclusions(rows).isna() & ~present


def require_files(rows: pd.DataFrame, others: pd.DataFrame, root: Path, table: str) -> None:
    """Raise `UserError` for rows without a file, with counts of both sides."""
    missing = missing_files(rows, root)
    if missing.any():
        raise UserError(
            f"{missing.sum()} of {exclusions(rows).isna().sum()} images that {table} lists are "
            f"missing (for example {rows.loc[missing, 'path'].iloc[0] or 'a blank name'}), and "
            f"{(others[EXCLUDED] == UNLISTED).sum()} files there are not listed; complete the "
            "folder, correct the table or the source's `file`, or set its `on_missing` to leave_out"
        )
