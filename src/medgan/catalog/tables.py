"""kedro-datasets' tables and JSON documents, saved whole or not at all: theirs, killed, leave a file that loads short (F25)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from kedro_datasets.json import JSONDataset as KedroJSONDataset
from kedro_datasets.pandas import CSVDataset as KedroCSVDataset
from kedro_datasets.pandas import ParquetDataset as KedroParquetDataset

from medgan.catalog.atomic import new_file


class WholeSave:
    """Saves to a file beside the right one, which takes its place once it is complete. For unversioned files on this machine.

    `metadata: {optional: true}` allows the file to be absent where a pipeline takes it as an input; it then loads as None.
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
