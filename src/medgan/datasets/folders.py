"""Folders: what a pipeline makes of one model is one data set, described by a dataclass."""

from __future__ import annotations

import filecmp
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro.utils import load_obj
from kedro_datasets._typing import ImagePreview

from medgan.datasets.base import Optional, StoredDataset
from medgan.datasets.parts import Part, contact, parts_of
from medgan.files.atomic import new_folder, recovered
from medgan.files.documents import to_json

logger = logging.getLogger(__name__)


class FolderDataset(StoredDataset[Any, Any]):
    """A folder with a file for each field of a dataclass; a field that is None has no file.

    It is saved as a whole or not at all. With `versioned: true`, a save that would repeat the
    newest version makes no new one.

    Args:
        filepath: the folder, on any file system of fsspec.
        of: the dataclass, as `package.module.Name`.
        settings: `version`, `credentials`, `metadata` of `StoredDataset`.
    """

    def __init__(self, *, filepath: str, of: str, **settings: Any) -> None:
        super().__init__(filepath=filepath, **settings)
        self.of = of
        self._fetched: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def _save_wrapper(cls, save_func: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        """Kedro warns where a save makes no new version; here that is the point."""
        wrapper: Callable[[Any, Any], None] = AbstractDataset._save_wrapper.__func__(cls, save_func)  # type: ignore[attr-defined]
        return wrapper

    @property
    def parts(self) -> tuple[Part, ...]:
        """What lies in it."""
        return parts_of(load_obj(self.of))

    def load(self) -> Any:
        """Load the dataclass; arrays are read from the disk when they are asked for."""
        if self.absent():
            return None
        folder = self._folder()
        found = {
            part.name: part.format.read(part, folder / part.file)
            for part in self.parts
            if (folder / part.file).exists()
        }
        return load_obj(self.of)(**found)

    def save(self, data: Any) -> None:
        """Write the folder."""
        self._clear_version_cache()
        newest = self.newest()
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for part in self.parts:
                value = getattr(data, part.name)
                if value is not None:
                    part.format.write(part, value, folder / part.file)
            if newest is None or self._version is None or not _equal(folder, newest):
                self._publish(folder)
        self._clear_version_cache()

    def preview(self) -> ImagePreview:
        """Show its pictures in kedro-viz, one below the other."""
        folder = self._folder()
        files = (folder / part.file for part in self.parts if part.format.suffix == ".png")
        return ImagePreview(contact([file.read_bytes() for file in files if file.exists()]))

    def mlflow_parts(self, data: Any) -> Iterator[tuple[str, Any, Path]]:
        """Yield what MLflow is to keep of a save: what it is, its value, its file."""
        folder = self.newest()
        if folder is None:
            return
        for part in self.parts:
            value, path = getattr(data, part.name), folder / part.file
            if part.logged_as and value is not None:
                yield part.logged_as, to_json(value) if path.suffix == ".json" else value, path

    def _folder(self) -> Path:
        """The folder that is loaded, copied to this machine where it is on another."""
        path = self._get_load_path()
        if self.local:
            return Path(path)
        self._fetched = tempfile.TemporaryDirectory()
        here = Path(self._fetched.name) / path.name
        self._fs.get(str(path), str(here), recursive=True)
        return here

    def _exists(self) -> bool:
        if self.local and not self._version:
            recovered(Path(self._filepath))
        return super()._exists()

    def _publish(self, folder: Path) -> None:
        path = self._get_save_path()
        if not self.local:
            if self._fs.exists(str(path)):
                self._fs.rm(str(path), recursive=True)
            self._fs.put(str(folder), str(path), recursive=True)
            return
        with new_folder(Path(path)) as new:
            shutil.copytree(folder, new, dirs_exist_ok=True)

    def _describe(self) -> dict[str, object]:
        return {**super()._describe(), "of": self.of}


def _equal(folder: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same content."""
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    there = {path.relative_to(other) for path in other.rglob("*") if path.is_file()}
    return files == there and all(
        filecmp.cmp(folder / file, other / file, shallow=False) for file in files
    )


class Earlier:
    """What the last run has left, read when it is asked for."""

    def __init__(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        self._entries = entries

    def __call__(self, kind: str, model: str = "") -> Any | None:
        """Load an earlier output; None where there is none that this version can read.

        Args:
            kind: one of the names under `datasets` in the catalog.
            model: fills {model} in its path.
        """
        entry = dict(self._entries[kind])
        entry["filepath"] = str(entry["filepath"]).replace("{model}", model)
        dataset = AbstractDataset.from_config(f"{model}.{kind}", entry)
        try:
            return dataset.load()
        except DatasetError as error:
            logger.debug("%s cannot be reused: %s", dataset, error)
            return None


class EarlierDataset(Optional, AbstractDataset[None, Earlier]):
    """The outputs of the last run that the nodes of a pipeline may reuse: a node cannot read its
    own output.

    One entry for a pipeline, whatever the number of models. Nothing has to exist for it.

    Args:
        datasets: name to catalog entry, with {model} in its path; YAML anchors keep it equal to
            that of the output.
        metadata: of the entry.
    """

    def __init__(
        self,
        *,
        datasets: Mapping[str, Mapping[str, Any]],
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        self.datasets = datasets
        self.metadata = {"optional": True, **(metadata or {})}

    def load(self) -> Earlier:
        """Load a function from (name, model) to the earlier output."""
        return Earlier(self.datasets)

    def save(self, data: None) -> None:
        """Refuse: the outputs have entries of their own."""
        raise DatasetError("earlier outputs are read only")

    def _describe(self) -> dict[str, object]:
        return {"datasets": list(self.datasets)}
