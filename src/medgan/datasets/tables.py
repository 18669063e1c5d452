"""kedro-datasets' tables and JSON documents, saved whole or not at all: theirs, killed, leave a
file that loads short (F25).
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview
from kedro_datasets.json import JSONDataset as KedroJSONDataset
from kedro_datasets.pandas import CSVDataset as KedroCSVDataset
from kedro_datasets.pandas import ParquetDataset as KedroParquetDataset

from medgan.datasets.base import LocalPath
from medgan.errors import UserError
from medgan.files.atomic import new_file, write_text
from medgan.images.metadata import ImageFacts

if TYPE_CHECKING:
    import pandas as pd


class WholeSave:
    """Saves to a file beside the right one, which takes its place once it is complete. For
    unversioned files on this machine.

    `metadata: {optional: true}` allows the file to be absent where a pipeline takes it as an input;
    it then loads as None.
    """

    _filepath: PurePosixPath
    metadata: dict[str, Any] | None

    def load(self) -> Any:
        """The content, or None where it is optional and absent."""
        if (self.metadata or {}).get("optional", False) and not Path(self._filepath).exists():
            return None
        return super().load()  # type: ignore[misc]

    def save(self, data: Any) -> None:
        """Replaces the file."""
        path = self._filepath
        with new_file(Path(path)) as temporary:
            try:
                self._filepath = PurePosixPath(temporary)
                super().save(data)  # type: ignore[misc]
            finally:
                self._filepath = path


class CSVDataset(WholeSave, KedroCSVDataset):
    """`kedro_datasets.pandas.CSVDataset`, saved whole."""


class ParquetDataset(WholeSave, KedroParquetDataset):
    """`kedro_datasets.pandas.ParquetDataset`, saved whole."""


class JSONDataset(WholeSave, KedroJSONDataset):
    """`kedro_datasets.json.JSONDataset`, saved whole."""


AT_ONCE = 500
"""Paths in one question; SQLite allows 999 variables and more."""


class StoredFacts:
    """`medgan.images.metadata.KnownFacts` in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, paths: Sequence[str]) -> dict[str, ImageFacts]:
        """The facts of those paths that are known; none where nothing was read yet."""
        if not self.path.exists():
            return {}
        found: dict[str, ImageFacts] = {}
        with _opened(self.path) as connection:
            for start in range(0, len(paths), AT_ONCE):
                part = paths[start : start + AT_ONCE]
                question = (
                    f"SELECT facts FROM image_facts WHERE path IN ({','.join('?' * len(part))})"  # noqa: S608  # question marks only
                )
                stored = (
                    ImageFacts.from_dict(json.loads(text))
                    for (text,) in connection.execute(question, part)
                )
                found.update((facts.path, facts) for facts in stored)
        return found


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS image_facts (path TEXT PRIMARY KEY, facts TEXT NOT NULL) WITHOUT ROWID"
            )
            yield connection
    except (sqlite3.DatabaseError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}); delete it, and the next run looks at all images again"
        ) from error


class FactsDataset(LocalPath, AbstractDataset["Sequence[ImageFacts]", StoredFacts]):
    """Facts of images by path. Saving adds to what is there, and replaces the facts of the same
    paths.
    """

    def __init__(self, *, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, metadata)

    def load(self) -> StoredFacts:
        """A handle; nothing has to exist for that."""
        return StoredFacts(self.path)

    def save(self, data: Sequence[ImageFacts]) -> None:
        """Writes the facts in one transaction."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = [(facts.path, json.dumps(facts.as_dict())) for facts in data]
        with _opened(self.path) as connection:
            connection.executemany("INSERT OR REPLACE INTO image_facts VALUES (?, ?)", rows)


Row = Mapping[str, Any]


class CurvesDataset(LocalPath, AbstractDataset["Sequence[Row]", "pd.DataFrame"]):
    """A CSV file with a column `step`, to which every save adds rows.

    A training that resumes repeats steps, and one that starts anew begins before all of them: so
    rows from the first new step on are dropped before the new ones are added.
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
