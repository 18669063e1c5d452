"""kedro-datasets' tables and JSON documents, saved whole or not at all: theirs, killed, leave a
file that loads short. And the facts of images, in SQLite.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset
from kedro.utils import load_obj
from kedro_datasets.json import JSONDataset as KedroJSONDataset
from kedro_datasets.pandas import CSVDataset as KedroCSVDataset
from kedro_datasets.pandas import ParquetDataset as KedroParquetDataset

from medgan.datasets.base import LocalPath, Whole
from medgan.files.documents import from_json, to_json
from medgan.files.integrity import DamagedFile
from medgan.files.names import as_cells, from_cells, quoting
from medgan.images.metadata import ImageFacts
from medgan.sources.neutral_ids import PROCESS_KEY, pseudonym, stored_key

logger = logging.getLogger(__name__)


class CSVDataset(Whole, KedroCSVDataset):
    """`kedro_datasets.pandas.CSVDataset`, saved whole, without formulas for a spreadsheet program."""

    _save_args: dict[str, Any]

    def load(self) -> pd.DataFrame | None:
        """Load the table as it was given to `save`, or None where it is optional and absent."""
        found = super().load()
        return None if found is None else from_cells(found)

    def save(self, data: pd.DataFrame) -> None:
        """Replace the file; a text that looks like a formula begins with `'` in it."""
        self._save_args = {**self._save_args, "quoting": quoting(data)}
        super().save(as_cells(data))


class ParquetDataset(Whole, KedroParquetDataset):
    """`kedro_datasets.pandas.ParquetDataset`, saved whole."""


class JSONDataset(Whole, KedroJSONDataset):
    """`kedro_datasets.json.JSONDataset`, saved whole; a typed result as its JSON form.

    Args:
        of: the type that it loads as, as `package.module.Name`; plain JSON without one.
        settings: of `kedro_datasets.json.JSONDataset`.
    """

    def __init__(self, *, of: str | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._type = of

    def load(self) -> Any:
        """Load the document, or None where it is optional and absent."""
        found = super().load()
        if found is None or self._type is None:
            return found
        return from_json(load_obj(self._type), found, str(self._get_load_path()))

    def save(self, data: Any) -> None:
        """Replace the file."""
        super().save(to_json(data))


AT_ONCE = 500
"""Paths in one question; SQLite allows 999 variables and more."""
TABLE = (
    "CREATE TABLE IF NOT EXISTS facts_of_images "
    "(path TEXT PRIMARY KEY, facts TEXT NOT NULL, sha256 TEXT NOT NULL) WITHOUT ROWID"
)
DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_ERROR", "SQLITE_SCHEMA")
"""Errors of a file that is no database of ours; others are of the disk."""
LOOKED_AT_AGAIN = "the next run of the pipeline ingestion reads the images again"


class StoredFacts:
    """`medgan.images.metadata.KnownFacts` in a file, which holds pseudonyms in place of paths."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self._key = key

    def of(self, paths: Sequence[str]) -> dict[str, ImageFacts]:
        """The facts of those paths that are known; none where nothing was read yet."""
        if not self.path.exists():
            return {}
        found: dict[str, ImageFacts] = {}
        with _opened(self.path) as connection:
            for start in range(0, len(paths), AT_ONCE):
                part = {self.hidden(path): path for path in paths[start : start + AT_ONCE]}
                wanted = f"WHERE path IN ({','.join('?' * len(part))})"
                for name, text in self.rows(connection, wanted, list(part)):
                    found[part[name]] = ImageFacts(**{**json.loads(text), "path": part[name]})
        return found

    def add(self, facts: Sequence[ImageFacts]) -> None:
        """Add facts in one transaction; they replace those of the same paths."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        texts = {self.hidden(one.path): json.dumps({**asdict(one), "path": ""}) for one in facts}
        rows = [(name, text, _checksum(name, text)) for name, text in texts.items()]
        with _opened(self.path) as connection:
            connection.executemany("INSERT OR REPLACE INTO facts_of_images VALUES (?, ?, ?)", rows)

    def hidden(self, path: str) -> str:
        """The pseudonym of a path."""
        return pseudonym(path, self._key, "path")

    def check(self) -> None:
        """Raise `DamagedFile` where any entry is not what was written."""
        with _opened(self.path) as connection:
            ((state,),) = connection.execute("PRAGMA quick_check(1)")
            if state != "ok":
                raise DamagedFile(self.path, state, LOOKED_AT_AGAIN)
            for _ in self.rows(connection):
                pass

    def rows(
        self, connection: sqlite3.Connection, condition: str = "", values: Sequence[str] = ()
    ) -> Iterator[tuple[str, str]]:
        """Pseudonym and facts of the entries, each compared with its checksum."""
        question = f"SELECT path, facts, sha256 FROM facts_of_images {condition}"  # noqa: S608  # question marks only
        for name, text, checksum in connection.execute(question, values):
            if _checksum(name, text) != checksum:
                raise DamagedFile(self.path, "an entry has changed", LOOKED_AT_AGAIN)
            yield name, text


def _checksum(path: str, facts: str) -> str:
    return hashlib.sha256(f"{path}\0{facts}".encode()).hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(TABLE)
            yield connection
    except (sqlite3.DatabaseError, UnicodeDecodeError, TypeError) as error:
        name = getattr(error, "sqlite_errorname", None) or DAMAGE[0]
        if not name.startswith(DAMAGE):
            raise
        raise DamagedFile(path, type(error).__name__, LOOKED_AT_AGAIN) from error


class FactsDataset(LocalPath, AbstractDataset["Sequence[ImageFacts]", StoredFacts]):
    """Facts of images by path. Saving adds to what is there, and replaces the facts of the same
    paths. It is a cache: a damaged file is reported and removed when it is loaded.
    """

    def __init__(self, *, filepath: str, metadata: Mapping[str, object] | None = None) -> None:
        super().__init__(filepath, metadata)
        self.key_file: Path | None = None
        """Key of the pseudonyms of paths; without one they hold for this process."""

    def load(self) -> StoredFacts:
        """A handle; nothing has to exist for that."""
        facts = self._stored()
        try:
            if self.path.exists():
                facts.check()
        except DamagedFile as error:
            logger.warning("%s", error)
            self.path.unlink()
        return facts

    def save(self, data: Sequence[ImageFacts]) -> None:
        """Writes the facts in one transaction."""
        self._stored().add(data)

    def _stored(self) -> StoredFacts:
        return StoredFacts(self.path, stored_key(self.key_file) if self.key_file else PROCESS_KEY)
