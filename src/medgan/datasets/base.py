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
from medgan.files.integrity import REMEDY, reading

In = TypeVar("In")
Out = TypeVar("Out")
LOCAL = "file"


class WholeFiles(LocalFileSystem):
    """The local file system; a file that is written replaces the old one once it is complete, and
    has its checksum beside it.
    """

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
    with new_file(path, sealed=True) as temporary, temporary.open(mode, **kept) as file:
        yield file


class Entry:
    """What the `metadata` of a catalog entry says.

    `optional: true`: a pipeline may start without it, and it loads as None. `made_by: PIPELINE`, or
    a list of them: named where the data is damaged.
    """

    metadata: dict[str, object] | None

    @property
    def optional(self) -> bool:
        """Whether a pipeline may start without it."""
        return bool((self.metadata or {}).get("optional", False))

    @property
    def remedy(self) -> str:
        """How the data is made again."""
        made_by: Any = (self.metadata or {}).get("made_by", ())
        names = [made_by] if isinstance(made_by, str) else list(made_by)
        option = f"--pipeline{'s' if len(names) > 1 else ''} {','.join(names)}"
        return f"`kedro run {option}` makes it again" if names else REMEDY


class Whole(Entry):
    """Mixin for a data set of kedro-datasets: whole saves, checked loads, and None where optional
    and absent.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self._protocol == LOCAL:  # type: ignore[attr-defined]
            self._fs = WholeFiles()

    def load(self) -> Any:
        """Load the content, or None where it is optional and absent."""
        if self.optional and not self.exists():  # type: ignore[attr-defined]
            return None
        path = Path(self._get_load_path())  # type: ignore[attr-defined]
        with reading(path, self.remedy, self._protocol == LOCAL):  # type: ignore[attr-defined]
            return super().load()  # type: ignore[misc]


class StoredDataset(Entry, AbstractVersionedDataset[In, Out]):
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

    def reading(self) -> AbstractContextManager[None]:
        """Check what is loaded; see `medgan.files.integrity.reading`."""
        return reading(Path(self._get_load_path()), self.remedy, self.local)

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


class LocalPath(Entry):
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
