"""Tests of a data set's models on other data sets: each lies with the data set whose images were scored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from medgan.catalog.files import LocalPath
from medgan.contracts import Refusal

DOCUMENT = "external.json"


class ExternalTestsDataset(LocalPath, AbstractDataset[None, "dict[str, Any]"]):
    """`<filepath>/<other data set>/<model>/external.json` of the models that were trained on `trained_on`. Read only."""

    def __init__(self, *, filepath: str, trained_on: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, {"optional": True, **(metadata or {})})
        self.trained_on = trained_on

    def load(self) -> dict[str, Any]:
        """{"trained_on", "tests": [the document with `model` and `tested_on`]}, by data set and model; no tests where there are none."""
        return {"trained_on": self.trained_on, "tests": list(self._tests())}

    def save(self, data: None) -> None:
        """Tests are written by the data set whose images are scored."""
        raise DatasetError("tests on other data sets are read only: `kedro run --env OTHER --tags external` makes them")

    def _tests(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.path.glob(f"*/*/{DOCUMENT}")):
            document = _read(path)
            if document.get("trained_on") == self.trained_on:
                yield {"model": path.parent.name, "tested_on": path.parents[1].name, **document}


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refusal(f"{path} is not JSON ({error}): delete it, then `kedro run --tags external` writes it again.") from error
    return document
