"""Tables with one row per image, beside the folder of the images."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import pandas as pd

from medgan.errors import UserError
from medgan.sources.checks import check_choice
from medgan.sources.files import COPY, FileImages, copies, given_path, walk
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.rows import (
    EXCLUDED,
    FIELDS,
    blank_to_none,
    exclude,
    exclusions,
    require_some,
    tidy,
)

ANYWHERE = "**"  # as the folder of the images: anywhere below the table, found by file name
ON_MISSING = ("fail", "leave_out")
UNLISTED = "not listed"  # reason for the exclusion of a file that no row names


@dataclass(frozen=True)
class TableFormat:
    """How the rows of a table are written."""

    separator: str = ","
    names: list[str] | None = None  # names of the columns, for a table without a header
    line: str | None = None
    """A regular expression with one named group per column, for a list that is no CSV."""


@dataclass(frozen=True)
class CsvSource:
    """Tables with one row per image, and the folder of the images."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    columns: dict[str, str | list[str]]
    """Field -> column of the table; `category` is required. Of several columns the first that
    exists and is filled counts, row by row. A text with columns in braces, such as
    `"{source} {patientid}"`, is a template."""
    path: str | None = None  # the table, or the folder that holds it as `table`
    table: str = "metadata.csv"
    """Name of the table, or a pattern such as `*metadata.csv` that one file matches."""
    tables: dict[str, str] = field(default_factory=dict)
    """Part of the split -> its table, where each part has one."""
    separator: str = ","
    names: list[str] | None = None
    line: str | None = None  # see `TableFormat` for these three
    images: str = "images"
    """Folder of the images, relative to the table; `**` searches below it by file name."""
    file: str = "{image_id}.jpg"
    """File of an image in that folder, a template of fields and columns. (Kedro makes values of a
    key named `filename` absolute paths.)"""
    splits: dict[str, str] = field(default_factory=dict)
    """Part of the split -> a list of its file names, one per line."""
    where: dict[str, str | list[str]] = field(default_factory=dict)
    """Field or column -> values of images that are used; others are left out and counted."""
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    """Field -> value in the table -> value here, such as `split: {valid: val}`."""
    on_missing: str = "fail"  # what to do where a listed file is missing: fail, or leave_out
    reading: ReadingConfig = field(default_factory=ReadingConfig)  # how files are decoded

    def open(self) -> FileImages:
        """Read the tables. Raises `UserError` for missing tables, columns and files."""
        self._check()
        tables = self._tables()
        root = next(iter(tables.values())).parent
        names = " and ".join(map(str, tables.values()))
        table = self._read(tables)
        rows = self._filtered(self._fields(table), table)
        files = fill_template(self.file, table, rows).fillna("").tolist()
        rows = with_paths(rows, files, root, self.images)
        rows = self._split(check_missing(rows, root, names, self.on_missing), root)
        ids = rows.reindex(columns=["image_id"])["image_id"].astype(object)
        rows["image_id"] = ids.where(ids.notna(), rows["path"])
        return FileImages(root.name, root, require_some(rows, names), self.reading)

    def _check(self) -> None:
        unknown = [name for name in {**self.columns, **self.values} if name not in FIELDS]
        if unknown or "category" not in self.columns:
            raise UserError(
                f"the source's `columns` and `values` are about {', '.join(FIELDS)}, "
                f"and need category; check `{[*unknown, 'category'][0]}`"
            )
        check_choice(self.on_missing, ON_MISSING, "the source's `on_missing`")
        try:
            re.compile(self.line or "")
        except re.error as error:
            problem = f"`line` is no regular expression ({error})"
            raise UserError(f"the source's {problem}; correct it in the catalog") from error

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

    def _read(self, tables: dict[str, Path]) -> pd.DataFrame:
        form = TableFormat(self.separator, self.names, self.line)
        parts = [
            read_table(path, form).assign(**({"split": part} if part else {}))
            for part, path in tables.items()
        ]
        table = pd.concat(parts, ignore_index=True)
        single = [name for name in self.columns.values() if isinstance(name, str)]
        needed = [name for name in single if "{" not in name]
        for column in [*needed, *(name for name in self.where if name not in self.columns)]:
            if column not in table:
                raise UserError(
                    f"{next(iter(tables.values()))} has no column `{column}`; it has "
                    f"{', '.join(map(str, table.columns))}: correct the source in the catalog"
                )
        return table

    def _fields(self, table: pd.DataFrame) -> pd.DataFrame:
        fields = {FIELDS[name]: self._field(table, name) for name in self.columns}
        rows = pd.DataFrame(fields, index=table.index)
        if self.tables:
            rows["split"] = table["split"]
        return tidy(rows, self.values)

    def _field(self, table: pd.DataFrame, name: str) -> pd.Series[Any]:
        column = self.columns[name]
        if isinstance(column, list):
            present = [name for name in column if name in table]
            if not present:
                raise UserError(
                    f"the table has none of the columns {', '.join(column)} of the source"
                )
            found = table[present].apply(blank_to_none).bfill(axis=1).iloc[:, 0]
        elif "{" in column:
            found = fill_template(column, table, pd.DataFrame(index=table.index))
        else:
            found = table[column]
        return found if name in ("category", "image_id") else blank_to_none(found)

    def _filtered(self, rows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
        for name, wanted in self.where.items():
            values = rows[FIELDS[name]] if name in self.columns else table[name]
            text = values.where(values.notna(), "missing").astype(str)
            kept = text.isin([wanted] if isinstance(wanted, str) else wanted)
            rows = exclude(rows, ~kept, name + " " + text)
        return rows

    def _split(self, rows: pd.DataFrame, root: Path) -> pd.DataFrame:
        if not self.splits:
            return rows
        parts = read_lists(root, self.splits)
        split = rows["path"].map(lambda path: parts.get(PurePosixPath(path).name)).astype(object)
        rows = rows.assign(split=split.where(split.notna(), None))
        return exclude(rows, split.isna(), "in none of the official lists")


def find_table(folder: Path, name: str) -> Path:
    """Return the one file in the folder that matches a name or pattern. Raises `UserError`."""
    found = sorted(path for path in folder.glob(name) if path.is_file())
    if not found:
        raise UserError(f"{folder / name} does not exist; give it with --params source=PATH")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(f"{folder} holds {len(found)} tables `{name}` ({names}); keep one of them")
    return found[0]


def read_table(path: Path, form: TableFormat) -> pd.DataFrame:
    """Read a table as stripped text, empty cells missing. Raises `UserError`."""
    try:
        if form.line:
            table = _read_lines(path, form.line)
        else:
            # index_col=False: a comma at the end of each row (ChestX-ray14) shifts no columns.
            table = pd.read_csv(
                path,
                sep=form.separator,
                names=form.names,
                header=None if form.names else 0,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                encoding="utf-8-sig",
            )
    except (ValueError, OSError) as error:
        problem = f"cannot be read as CSV ({type(error).__name__})"
        raise UserError(f"{path} {problem}; correct or replace it") from error
    if not len(table):
        raise UserError(f"{path} lists no images; give a table with one row per image")
    text = table.astype(object).where(table.notna(), "").astype(str)
    text = text.apply(lambda column: column.str.strip()).astype(object)
    stripped: pd.DataFrame = text.where(text != "", None)
    return stripped


def _read_lines(path: Path, line: str) -> pd.DataFrame:
    pattern = re.compile(line)
    lines = _lines(path)
    matches = [pattern.fullmatch(text) for text in lines]
    strange = [text for text, match in zip(lines, matches, strict=True) if match is None]
    if strange:
        raise UserError(
            f"{len(strange)} of {len(lines)} lines of {path} do not match the source's `line`, "
            f"for example `{strange[0]}`; correct them"
        )
    groups = [match.groupdict() for match in matches if match]
    return pd.DataFrame(groups, columns=list(pattern.groupindex), dtype=object)


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8-sig")
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_lists(folder: Path, lists: dict[str, str]) -> dict[str, str]:
    """Read one list of file names per part into file name -> part. Raises `UserError`."""
    parts: dict[str, str] = {}
    for part, name in lists.items():
        path = folder / name
        if not path.is_file():
            remedy = f"put the list of {part} images there, or drop `splits`"
            raise UserError(f"{path} does not exist; {remedy}")
        for text in _lines(path):
            if parts.setdefault(text, part) != part:
                both = f"the list of {parts[text]} images and in {path}"
                raise UserError(f"{text} is both in {both}; correct them")
    return parts


def files_by_name(root: Path, images: str) -> tuple[dict[str, str], set[str]]:
    """Index the image files in the folder `images`: name -> path below root, and paths of copies.

    A name is the path below the folder, or, with ANYWHERE, the file name, which must be unique.
    """
    if images != ANYWHERE:
        return {name: _below(images, name) for name in walk(root / images)}, set()
    paths = list(walk(root))
    duplicates = copies(root, paths)
    named: dict[str, str] = {}
    for path in paths:
        name = PurePosixPath(path).name
        if path not in duplicates and named.setdefault(name, path) != path:
            raise UserError(
                f"{named[name]} and {path} in {root} have one name and differ, "
                "so a table cannot tell them apart; rename one"
            )
    return named, duplicates


def _below(images: str, name: str) -> str:
    return name if images in (ANYWHERE, ".") else f"{images}/{name}"


def with_paths(rows: pd.DataFrame, names: list[str], root: Path, images: str) -> pd.DataFrame:
    """Add the path of each image, and an excluded row for each file that is not listed."""
    named, duplicates = files_by_name(root, images)
    listed = rows.assign(path=[named.get(name, _below(images, name)) for name in names])
    unlisted = sorted({*named.values(), *duplicates} - set(listed["path"]))
    if not unlisted:
        return listed
    reasons = [COPY if path in duplicates else UNLISTED for path in unlisted]
    extra = pd.DataFrame({"path": unlisted, EXCLUDED: reasons}, dtype=object)
    listed[EXCLUDED] = exclusions(listed)
    return pd.concat([listed, extra], ignore_index=True)


def check_missing(rows: pd.DataFrame, root: Path, table: str, on_missing: str) -> pd.DataFrame:
    """Exclude missing files, or raise `UserError` with counts, as `on_missing` says."""
    reasons = exclusions(rows)
    missing = reasons.isna() & ~rows["path"].map(lambda path: (root / path).is_file()).astype(bool)
    if on_missing == "leave_out":
        return exclude(rows, missing, "listed, and its file is missing")
    if missing.any():
        raise UserError(
            f"{missing.sum()} of {reasons.isna().sum()} images that {table} lists are missing "
            f"(for example {rows.loc[missing, 'path'].iloc[0]}), and "
            f"{(reasons == UNLISTED).sum()} files there are not listed; complete the folder, "
            "correct the table or the source's `file`, or set its `on_missing` to leave_out"
        )
    return rows


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
