"""What `medgan score` and `medgan classify` say in the terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

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
    """Write the detector and its data set, the first rows, and the counts as text.

    Args:
        scoring: the outcome.
        file: where scores.csv lies.
        width: columns of the terminal.
    """
    using, table = scoring.using, scoring.table
    shown = table[table["unit"] != "slice"]
    title = f"{using.published.name}, trained on the data set {using.dataset} ({using.version})"
    parts: list[Table | str] = [
        title,
        Table(COLUMNS, [_row(row) for row in shown.head(ROWS).to_dict("records")]),
        *(f"Caution: {caution}." for caution in using.cautions),
        *([f"{len(shown) - ROWS} more rows are in the file."] if len(shown) > ROWS else []),
        _counted(scoring, file),
    ]
    return print_text(parts, width)


def classes_text(found: Classified, file: Path, width: int) -> str:
    """Write the classifier and its data set, the first rows, and the counts as text.

    Args:
        found: the outcome.
        file: where classes.csv lies.
        width: columns of the terminal.
    """
    using, table = found.using, found.table
    title = f"{using.arm}, trained on the data set {using.dataset} ({using.version})"
    names = {"no_image": "other files"}
    counted = ", ".join(
        f"{count} {names.get(name, name)}" for name, count in counts_of_classes(table).items()
    )
    parts: list[Table | str] = [
        title,
        Table(CLASS_COLUMNS, [_class_row(row) for row in table.head(ROWS).to_dict("records")]),
        *(f"Caution: {caution}." for caution in using.cautions),
        *([f"{len(table) - ROWS} more rows are in the file."] if len(table) > ROWS else []),
        f"{counted}: {file}",
    ]
    return print_text(parts, width)


def _class_row(row: dict[Hashable, Any]) -> list[str]:
    code = f"{row['code']}: " if row["code"] else ""
    number = "" if math.isnan(row["probability"]) else f"{row['probability']:.3f}"
    name = f"{row['path']}, slice {row['slice']}" if row["slice"] else row["path"]
    return [name, row["decision"], number, code + row["message"]]


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


def _row(row: dict[Hashable, Any]) -> list[str]:
    code = f"{row['code']}: " if row["code"] else ""
    number = "" if math.isnan(row["score"]) else f"{row['score']:.4g}"
    return [row["path"], number, row["decision"], code + row["message"]]


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
