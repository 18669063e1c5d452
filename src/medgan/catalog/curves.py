"""Training curves that grow while the training runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from medgan.catalog.atomic import write_text
from medgan.catalog.files import LocalPath

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]


class CurvesDataset(LocalPath, AbstractDataset["Sequence[Row]", "pd.DataFrame"]):
    """A CSV file with a column `step`, to which every save adds rows.

    A training that resumes repeats steps, and one that starts anew begins before all of them: so rows from the first new step
    on are dropped before the new ones are added.
    """

    def __init__(self, *, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, metadata)

    def load(self) -> pd.DataFrame:
        """All rows; an empty table where there are none yet."""
        import pandas as pd

        return pd.read_csv(self.path) if self.path.exists() else pd.DataFrame(columns=["step"])

    def save(self, data: Sequence[Row]) -> None:
        """Adds rows in the order of their steps; no rows, no change."""
        if data:
            first = int(data[0]["step"])
            kept: list[Row] = [row for row in self._stored() if int(row["step"]) < first]
            write_text(self.path, as_csv([*kept, *data]))

    def preview(self, nrows: int = 20) -> TablePreview:
        """The last rows for kedro-viz."""
        table: dict[str, Any] = self.load().tail(nrows).to_dict(orient="split")
        return TablePreview(table)

    def _stored(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV text; a column that some rows lack is empty there."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
