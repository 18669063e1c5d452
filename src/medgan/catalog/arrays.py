"""Named arrays: a .npz file, never a pickle (fault F49)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview
from numpy.typing import NDArray

from medgan.catalog.atomic import new_file
from medgan.catalog.files import LocalPath
from medgan.contracts import Refusal

Arrays = Mapping[str, NDArray[Any]]


class ArraysDataset(LocalPath, AbstractDataset["Arrays", "dict[str, NDArray[Any]] | None"]):
    """A dictionary of arrays of numbers or fixed-length text."""

    def __init__(self, *, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, metadata)

    def load(self) -> dict[str, NDArray[Any]] | None:
        """The arrays, or None where they are optional and absent."""
        if self.absent():
            return None
        with np.load(self.path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    def save(self, data: Arrays) -> None:
        """Replaces the file.

        Raises:
            Refusal: an array of Python objects, which only a pickle could hold.
        """
        objects = [name for name, values in data.items() if np.asarray(values).dtype.hasobject]
        if objects:
            raise Refusal(f"{self.path.name} cannot hold arrays of Python objects: give {', '.join(objects)} a plain dtype.")
        with new_file(self.path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **data)

    def preview(self) -> JSONPreview:
        """Names, dtypes and shapes for kedro-viz."""
        return JSONPreview(json.dumps({name: f"{values.dtype} {values.shape}" for name, values in (self.load() or {}).items()}))
