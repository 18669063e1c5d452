"""results.json: the newest results of a data set, written section by section."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview

from medgan.catalog.atomic import write_text
from medgan.catalog.files import LocalPath
from medgan.contracts import Refusal
from medgan.evaluation.results import SECTIONS, new_document


class ResultsSectionDataset(LocalPath, AbstractDataset["Mapping[str, Any]", "dict[str, Any] | None"]):
    """One section of results.json, as {"data": hash of the images and splits, "rows": {name: row}}.

    Sections of other data never stand beside each other: saving one with a new hash drops the others.
    """

    def __init__(self, *, filepath: str, section: str, dataset: str | None = None, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, {"optional": True, **(metadata or {})})
        if section not in SECTIONS:
            raise Refusal(f"conf: results.json has no section '{section}': use one of {', '.join(SECTIONS)}.")
        self.section = section
        self.dataset = dataset or self.path.parent.name

    def load(self) -> dict[str, Any] | None:
        """The section, or None where there is none."""
        document = read_document(self.path)
        rows = (document or {}).get(self.section)
        return {"data": document["provenance"].get("data_hash"), "rows": rows} if document and rows else None

    def save(self, data: Mapping[str, Any]) -> None:
        """Replaces the section; sections about other data go."""
        document = read_document(self.path)
        if document is None or document["dataset"] != self.dataset or document["provenance"].get("data_hash") != data["data"]:
            document = new_document(self.dataset, "test")
        document[self.section] = dict(data["rows"])
        document["provenance"] = {**document.get("provenance", {}), "data_hash": data["data"]}
        write_document(self.path, document)

    def preview(self) -> JSONPreview:
        """The section for kedro-viz."""
        return JSONPreview(json.dumps(self.load()))

    def _exists(self) -> bool:
        return self.load() is not None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self.path.as_posix(), "section": self.section}


def read_document(path: Path) -> dict[str, Any] | None:
    """The document of a data set, or None where there is none.

    Raises:
        Refusal: the file is no results document.
    """
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refusal(f"{path} is not JSON ({error}): delete it, then `kedro run` writes it again.") from error
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise Refusal(f"{path} is no results document of schema 1: delete it, then `kedro run` writes it again.")
    return document


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Replaces the document; a number that JSON does not know (NaN, infinity) is an error, not a file nobody can read."""
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")
