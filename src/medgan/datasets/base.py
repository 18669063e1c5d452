"""What all data sets of one local path share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class LocalPath:
    """A path on this machine, and the `metadata` of its catalog entry.

    `metadata: {optional: true}` allows the entry to be absent where a pipeline takes it as an
    input; it then loads as None.
    """

    def __init__(self, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        self.path = Path(filepath)
        self.metadata = dict(metadata or {})

    @property
    def optional(self) -> bool:
        """Whether a pipeline may start without it."""
        return bool(self.metadata.get("optional", False))

    def absent(self) -> bool:
        """Whether loading should give None."""
        return self.optional and not self.path.exists()

    def _exists(self) -> bool:
        return self.path.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self.path.as_posix()}
