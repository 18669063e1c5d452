"""Base classes of the data sets: atomic local writes, other file systems through fsspec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem
from kedro.io import AbstractVersionedDataset, Version
from kedro.io.core import get_protocol_and_path

from medgan.files.atomic import new_file

In = TypeVar("In")
Out = TypeVar("Out")
LOCAL = "file"


class WholeFiles(LocalFileSystem):
    """The local file system; a file that is written replaces the old one once it is complete."""

    def open(self, path: str, mode: str = "rb", **options: Any) -> AbstractContextManager[Any]:
        """Open a file; text is UTF-8."""
        if "b" not in mode:
            options.setdefault("encoding", "utf-8")
        if "w" in mode:
            return _written(Path(self._strip_protocol(path)), mode, options)
        opened: AbstractContextManager[Any] = super().open(path, mode, **options)
        return opened


@contextmanager
def _written(path: Path, mode: str, options: Mapping[str, Any]) -> Iterator[Any]:
    kept = {name: options[name] for name in ("encoding", "newline") if name in options}
    with new_file(path) as temporary, temporary.open(mode, **kept) as file:
        yield file


class Optional:
    """`metadata: {optional: true}`: a pipeline may start without the entry, which loads as None."""

    metadata: dict[str, object] | None

    @property
    def optional(self) -> bool:
        """Whether a pipeline may start without it."""
        return bool((self.metadata or {}).get("optional", False))


class Whole(Optional):
    """Mixin for a data set of kedro-datasets: whole saves, and None where optional and absent."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self._protocol == LOCAL:  # type: ignore[attr-defined]
            self._fs = WholeFiles()

    def load(self) -> Any:
        """Load the content, or None where it is optional and absent."""
        if self.optional and not self.exists():  # type: ignore[attr-defined]
            return None
        return super().load()  # type: ignore[misc]


class StoredDataset(Optional, AbstractVersionedDataset[In, Out]):
    """A file or folder on any file system of fsspec, versioned where the catalog says so."""

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        credentials: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        self._protocol, path = get_protocol_and_path(filepath, version)
        local = self._protocol == LOCAL
        self._fs = (
            WholeFiles() if local else fsspec.filesystem(self._protocol, **(credentials or {}))
        )
        self.metadata = dict(metadata or {})
        super().__init__(PurePosixPath(path), version, self._fs.exists, self._fs.glob)

    @property
    def local(self) -> bool:
        """Whether it lies on this machine."""
        return self._protocol == LOCAL

    def newest(self) -> Path | None:
        """Return the local path of what would be loaded; None where that is nothing or remote."""
        self._clear_version_cache()
        return Path(self._get_load_path()) if self.local and self.exists() else None

    def absent(self) -> bool:
        """Whether loading should give None."""
        return self.optional and not self.exists()

    def _exists(self) -> bool:
        return bool(self._fs.exists(str(self._get_load_path())))

    def _describe(self) -> dict[str, object]:
        return {
            "filepath": self._filepath,
            "protocol": self._protocol,
            "version": self._version,
        }


class LocalPath(Optional):
    """A path on this machine, and the `metadata` of its catalog entry."""

    def __init__(self, filepath: str, metadata: Mapping[str, object] | None = None) -> None:
        self.path = Path(filepath)
        self.metadata = dict(metadata or {})

    def absent(self) -> bool:
        """Whether loading should give None."""
        return self.optional and not self.path.exists()

    def _exists(self) -> bool:
        return self.path.exists()

    def _describe(self) -> dict[str, object]:
        return {"filepath": self.path.as_posix()}
