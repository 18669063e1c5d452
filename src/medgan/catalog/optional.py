"""Any other data set, where it may be absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedro.io import AbstractDataset


class OptionalDataset(AbstractDataset[Any, Any]):
    """Wraps a data set of any type: what does not exist loads as None, and a pipeline may start without it."""

    optional = True

    def __init__(self, *, dataset: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        self.dataset: AbstractDataset[Any, Any] = AbstractDataset.from_config("dataset", dict(dataset))
        self.metadata = dict(metadata or {})

    def load(self) -> Any:
        """The data, or None."""
        return self.dataset.load() if self.dataset.exists() else None

    def save(self, data: Any) -> None:
        """Saves as the wrapped data set does."""
        self.dataset.save(data)

    def _exists(self) -> bool:
        return self.dataset.exists()

    def _release(self) -> None:
        self.dataset.release()

    def _describe(self) -> dict[str, Any]:
        return self.dataset._describe()
