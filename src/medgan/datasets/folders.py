"""Folders: what a pipeline makes of one model is one data set, described by a dataclass."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro.utils import load_obj
from kedro_datasets._typing import ImagePreview

from medgan.datasets.base import Entry, StoredDataset
from medgan.datasets.parts import Part, contact, document, parts_of, preview_of
from medgan.errors import chain
from medgan.evaluation.results import LeftOut
from medgan.files.atomic import publish_folder, recovered, scratch_folder, seal
from medgan.files.documents import from_json, to_json
from medgan.files.integrity import MANIFEST, DamagedFile, intact, reading

logger = logging.getLogger(__name__)
LEFT_OUT = "left_out.json"
"""The only file of a folder whose model was left out."""


class FolderDataset(StoredDataset[Any, Any]):
    """A folder with a file for each field of a dataclass; a field that is None has no file.

    `LeftOut` may be saved instead of the dataclass, and is loaded then. It is saved as a whole or not at all. With `versioned: true`, a save that would repeat the
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
        if not folder.is_dir():
            raise DatasetError(f"{folder} is not there: {self.remedy}.")
        with reading(folder, self.remedy):
            if (folder / LEFT_OUT).exists():
                reason = json.loads((folder / LEFT_OUT).read_text(encoding="utf-8"))
                return from_json(LeftOut, reason, str(folder / LEFT_OUT))
            found = {
                part.name: part.format.read(part, folder / part.file)
                for part in self.parts
                if (folder / part.file).exists()
            }
            return load_obj(self.of)(**found)

    def save(self, data: Any) -> None:
        """Write the folder."""
        self._clear_version_cache()
        if self.local:
            with scratch_folder(Path(self._filepath)) as folder:
                self._write(data, folder)
                if not self._repeats(folder):
                    publish_folder(folder, Path(self._get_save_path()))
        else:
            with tempfile.TemporaryDirectory() as temporary:
                self._write(data, Path(temporary))
                self._upload(temporary)
        self._clear_version_cache()

    def preview(self) -> ImagePreview:
        """Show its pictures in kedro-viz, one below the other."""
        folder = self._folder()
        files = (folder / part.file for part in self.parts if part.format.suffix == ".png")
        with reading(folder, self.remedy):
            return preview_of(contact([file.read_bytes() for file in files if file.exists()]))

    def mlflow_parts(self, data: Any) -> Iterator[tuple[str, Any, Path]]:
        """Yield what MLflow is to keep of a save: what it is, its value, its file."""
        folder = self.newest()
        if folder is None or isinstance(data, LeftOut):
            return
        for part in self.parts:
            value, path = getattr(data, part.name), folder / part.file
            if part.logged_as and value is not None:
                yield part.logged_as, to_json(value) if path.suffix == ".json" else value, path

    def _folder(self) -> Path:
        """The folder that is loaded, copied to this machine where it is on another."""
        path = self._get_load_path()
        if self.local:
            return recovered(Path(path))
        self._fetched = tempfile.TemporaryDirectory()
        here = Path(self._fetched.name) / path.name
        self._fs.get(str(path), str(here), recursive=True)
        return here

    def _exists(self) -> bool:
        if self.local and not self._version:
            recovered(Path(self._filepath))
        return super()._exists()

    def _write(self, data: Any, folder: Path) -> None:
        if isinstance(data, LeftOut):
            (folder / LEFT_OUT).write_text(document(data), encoding="utf-8")
        else:
            for part in self.parts:
                value = getattr(data, part.name)
                if value is not None:
                    part.format.write(part, value, folder / part.file)
        seal(folder)

    def _repeats(self, folder: Path) -> bool:
        """Whether the newest version is intact, and has the same files."""
        newest = self.newest() if self._version else None
        if newest is None:
            return False
        if not intact(newest):
            logger.warning("%s is damaged or has no checksums: it is saved again.", newest)
            return False
        return (folder / MANIFEST).read_bytes() == (newest / MANIFEST).read_bytes()

    def _upload(self, folder: str) -> None:
        path = str(self._get_save_path())
        if self._fs.exists(path):
            self._fs.rm(path, recursive=True)
        self._fs.put(folder, path, recursive=True)

    def _describe(self) -> dict[str, object]:
        return {**super()._describe(), "of": self.of}


class Earlier:
    """What the last run has left, read when it is asked for."""

    def __init__(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        self._entries = entries

    def __call__(self, kind: str, model: str = "") -> Any | None:
        """Load an earlier output; None where there is none that this version can read. A damaged
        one is reported.

        Args:
            kind: one of the names under `datasets` in the catalog.
            model: fills {model} in its path.
        """
        entry = dict(self._entries[kind])
        entry["filepath"] = str(entry["filepath"]).replace("{model}", model)
        dataset = AbstractDataset.from_config(f"{model}.{kind}", entry)
        try:
            found = dataset.load()
        except DatasetError as error:
            damage = next((link for link in chain(error) if isinstance(link, DamagedFile)), None)
            if damage is not None:
                logger.warning("%s", damage.told("not used"))
            logger.debug("%s cannot be reused: %s", dataset, error)
            return None
        return None if isinstance(found, LeftOut) else found


class EarlierDataset(Entry, AbstractDataset[None, Earlier]):
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
