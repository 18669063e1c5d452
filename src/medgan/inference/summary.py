"""What `medgan score` and `medgan classify` say in the terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from medgan.files.names import printable
from medgan.inference.batch import Scoring
from medgan.inference.classify import Classified
from medgan.inference.classify import counts as counts_of_classes
from medgan.inference.table import counts
from medgan.report.tables import VALUE, Column, Table, print_text

ROWS = 20
"""Rows of the table; scores.csv has all of them."""
COLUMNS = (
    Column("file", text=True),
    Column("score", VALUE, digits=4),
    Column("decision", text=True),
    Column("remark", text=True),
)
CLASS_COLUMNS = (
    Column("file", text=True),
    Column("decision", text=True),
    Column("probability", VALUE),
    Column("remark", text=True),
)


def scores_text(scoring: Scoring, file: Path, width: int) -> str:
    """Write the detector and its data set, the first rows, and the counts as text."""
    table = scoring.table[scoring.table["unit"] != "slice"]
    rows = [[row["path"], *_cells(row, "score", ".4g")] for row in _first(table)]
    name = scoring.using.published.name
    return _text(scoring, name, Table(COLUMNS, rows), len(table), _counted(scoring, file), width)


def classes_text(found: Classified, file: Path, width: int) -> str:
    """Write the classifier and its data set, the first rows, and the counts as text."""
    rows = []
    for row in _first(found.table):
        number, decision, remark = _cells(row, "probability", ".3f")
        name = f"{row['path']}, slice {row['slice']}" if row["slice"] else row["path"]
        rows.append([name, decision, number, remark])
    counted = ", ".join(
        f"{count} {'other files' if name == 'no_image' else name}"
        for name, count in counts_of_classes(found.table).items()
    )
    shown = Table(CLASS_COLUMNS, rows)
    return _text(found, found.using.arm, shown, len(found.table), f"{counted}: {file}", width)


def _first(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return table.head(ROWS).to_dict("records")


def _cells(row: Mapping[Hashable, Any], value: str, form: str) -> tuple[str, str, str]:
    """Return the value of a row, its decision, and its code with the message."""
    code = f"{row['code']}: " if row["code"] else ""
    number = "" if math.isnan(row[value]) else format(row[value], form)
    return number, row["decision"], code + row["message"]


def _text(
    found: Scoring | Classified, name: str, shown: Table, count: int, counted: str, width: int
) -> str:
    """Write the model, the first of `count` rows, cautions and counts."""
    using = found.using
    parts: list[Table | str] = [
        f"{name}, trained on the data set {using.dataset} ({using.version})",
        shown,
        *(f"Caution: {caution}." for caution in using.cautions),
        *([f"{count - ROWS} more rows are in the file."] if count > ROWS else []),
        counted,
    ]
    return print_text(parts, width)


def scores_document(scoring: Scoring, file: Path) -> dict[str, Any]:
    """The detector, its data set, and all rows of scores.csv as JSON."""
    return {"model": scoring.using.published.name, **_document(scoring, file)}


def classes_document(found: Classified, file: Path) -> dict[str, Any]:
    """The classifier, its data set, and all rows of classes.csv as JSON."""
    return {"arm": found.using.arm, **_document(found, file)}


def _document(found: Scoring | Classified, file: Path) -> dict[str, Any]:
    return {
        "dataset": found.using.dataset,
        "version": found.using.version,
        "cautions": list(found.using.cautions),
        "file": printable(str(file)),
        "rows": json.loads(found.table.to_json(orient="records")),  # NaN becomes null
    }


def _counted(scoring: Scoring, file: Path) -> str:
    found = counts(scoring.table)
    volumes = f" of {found['volumes']} volumes" if found["volumes"] else ""
    judged = (
        f", {found['anomalous']} called anomalous, {found['outside']} outside the domain"
        if scoring.using.frozen
        else ""
    )
    hidden = f" ({scoring.hidden} hidden not counted)" if scoring.hidden else ""
    return (
        f"{found['images'] - found['refused']} images{volumes} scored{judged}, "
        f"{found['refused']} refused, {found['no_image']} other files{hidden}: {file}"
    )
