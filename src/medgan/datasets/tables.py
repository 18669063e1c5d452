"""kedro-datasets' tables and JSON documents, saved whole or not at all: theirs, killed, leave a
file that loads short. And the facts of images, in SQLite.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro.utils import load_obj
from kedro_datasets.json import JSONDataset as KedroJSONDataset
from kedro_datasets.pandas import CSVDataset as KedroCSVDataset
from kedro_datasets.pandas import ParquetDataset as KedroParquetDataset

from medgan.datasets.base import LocalPath, Whole
from medgan.errors import UserError
from medgan.files.documents import from_json, to_json
from medgan.images.metadata import ImageFacts


class CSVDataset(Whole, KedroCSVDataset):
    """`kedro_datasets.pandas.CSVDataset`, saved whole."""


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

    def __init__(self, *, filepath: str, metadata: Mapping[str, object] | None = None) -> None:
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
