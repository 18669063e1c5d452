"""What was read of each image, kept in SQLite: whole batches or nothing, whenever the run is killed, and looked up without loading all."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from medgan.catalog.files import LocalPath
from medgan.contracts import Refusal
from medgan.images.facts import ImageFacts

AT_ONCE = 500
"""Paths in one question; SQLite allows 999 variables and more."""


class StoredFacts:
    """`medgan.images.facts.KnownFacts` in a file."""

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
                question = f"SELECT facts FROM image_facts WHERE path IN ({','.join('?' * len(part))})"  # noqa: S608  # question marks only
                stored = (ImageFacts.from_dict(json.loads(text)) for (text,) in connection.execute(question, part))
                found.update((facts.path, facts) for facts in stored)
        return found


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS image_facts (path TEXT PRIMARY KEY, facts TEXT NOT NULL) WITHOUT ROWID")
            yield connection
    except (sqlite3.DatabaseError, KeyError, ValueError) as error:
        raise Refusal(f"{path} is damaged ({type(error).__name__}); delete it, and the next run looks at all images again") from error


class FactsDataset(LocalPath, AbstractDataset["Sequence[ImageFacts]", StoredFacts]):
    """Facts of images by path. Saving adds to what is there, and replaces the facts of the same paths."""

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
