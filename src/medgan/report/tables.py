"""Tables of values, rendered as HTML (by the template of the report), Markdown, text and CSV."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from medgan.files.names import csv_text
from medgan.report.text import Value, number, or_reason, signed_interval, value_of, with_interval
from medgan.stats.bootstrap import Estimate

Cell = Value | str
"""A value is formatted by its column; text stands as it is."""
Rows = list[list[Cell]]
Form = Callable[[Value, int], str]
VALUE: Form = number
INTERVAL: Form = with_interval
SIGNED: Form = signed_interval
OR_REASON: Form = or_reason


@dataclass(frozen=True)
class Column:
    """The heading of a column, and how its values are written."""

    name: str
    form: Form = INTERVAL
    digits: int = 3
    text: bool = False
    """Whether the terminal aligns it to the left and wraps it."""

    def __call__(self, cell: Cell) -> str:
        """Write a cell."""
        return cell if isinstance(cell, str) else self.form(cell, self.digits)


Columns = Sequence[Column | str]


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first column names the row, with a remark after a line break."""

    kind: ClassVar[str] = "table"
    columns: Columns
    """A bare name is a column of values with their intervals."""
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    note: str = ""
    stacked: bool = False
    """Whether HTML shows each row as a list on a narrow screen, instead of scrolling."""
    ranked: bool = False
    """Whether the first row is the best one."""

    @property
    def headed(self) -> list[Column]:
        """The columns."""
        return [Column(name) if isinstance(name, str) else name for name in self.columns]

    @property
    def headings(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.headed]

    @property
    def texts(self) -> list[list[str]]:
        """The cells as text."""
        columns = self.headed
        return [[show(cell) for show, cell in zip(columns, row, strict=True)] for row in self.rows]

    def markdown(self) -> str:
        """The table in Markdown, without title and note; empty where there is no row."""
        lines = [self.headings, ["---"] * len(self.columns), *self.texts]
        marks = str.maketrans({"|": "\\|", "\n": "<br>"})
        rows = (" | ".join(cell.translate(marks) for cell in row) for row in lines)
        return "\n".join(f"| {row} |" for row in rows) if self.rows else ""

    def terminal(self) -> Any:
        """The table for `print_text`."""
        from rich import box
        from rich.table import Table as RichTable

        style: dict[str, Any] = {"title_justify": "left", "title_style": "", "pad_edge": False}
        table = RichTable(title=self.title or None, box=box.SIMPLE_HEAD, **style)
        for place, column in enumerate(self.headed):
            left = column.text or not place
            side: Any = "left" if left else "right"
            table.add_column(column.name, justify=side, no_wrap=not left, overflow="fold")
        for row in self.texts:
            table.add_row(*row)
        return table

    def frame(self) -> pd.DataFrame:
        """The bare values; an estimate has two more columns, `<name>_low` and `<name>_high`."""
        return pd.DataFrame([self._flat(row) for row in self.rows])

    def _flat(self, row: Sequence[Cell]) -> dict[str, str | float | None]:
        cells: dict[str, str | float | None] = {}
        for name, cell in zip(self.headings, row, strict=True):
            cells[name] = cell if isinstance(cell, str) else value_of(cell)
            if isinstance(cell, Estimate):
                cells |= {f"{name}_low": cell.low, f"{name}_high": cell.high}
        return cells

    def csv(self) -> str:
        """The bare values as CSV."""
        return csv_text(self.frame())


def print_text(parts: Iterable[Table | str], width: int = 100) -> str:
    """Write tables and sentences as text of at most `width` columns, without colors."""
    from rich.console import Console

    stream = io.StringIO()
    plain: dict[str, Any] = {"force_terminal": False, "color_system": None, "legacy_windows": False}
    console = Console(file=stream, width=width, **plain)
    for part in parts:
        shown = part.terminal() if isinstance(part, Table) else part
        console.print(shown, markup=False, highlight=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"
