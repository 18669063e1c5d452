"""results.json, pages, and the documents of other data sets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro.io.core import VersionNotFoundError
from kedro_datasets._typing import JSONPreview
from kedro_datasets.text import TextDataset as KedroTextDataset

from medgan.datasets.base import LocalPath, StoredDataset, Whole
from medgan.datasets.parts import document
from medgan.errors import UserError
from medgan.evaluation.details import ExternalTest, ExternalTests
from medgan.evaluation.reading import SECTIONS, read_results
from medgan.evaluation.results import Results, Section
from medgan.files.atomic import write_text
from medgan.files.documents import from_json, to_json
from medgan.files.integrity import DamagedFile, reading

logger = logging.getLogger(__name__)
DOCUMENT = "external.json"


class TextDataset(Whole, KedroTextDataset):
    """`kedro_datasets.text.TextDataset`, saved whole."""


class ResultsSectionDataset(StoredDataset["Section[Any]", "Section[Any] | None"]):
    """One section of results.json.

    Three pipelines write their sections of one file: the first to do so in a run starts the new
    version from the newest old one. Sections of other data never stand beside each other: saving
    one with a new hash drops the others.
    """

    def __init__(self, *, filepath: str, section: str, **settings: Any) -> None:
        super().__init__(filepath=filepath, **settings)
        self.metadata = {"optional": True, **(self.metadata or {})}
        if section not in SECTIONS:
            raise UserError(
                f"conf: results.json has no section '{section}': use one of {', '.join(SECTIONS)}."
            )
        self.section = section
        self.dataset = self._filepath.parent.name

    @classmethod
    def _save_wrapper(cls, save_func: Any) -> Any:
        """Kedro refuses to save one version twice, which three sections do."""
        return AbstractDataset._save_wrapper.__func__(cls, save_func)  # type: ignore[attr-defined]

    def load(self) -> Section[Any] | None:
        """Load the section, or None where there is none."""
        found = self.document()
        rows: Any = getattr(found, self.section, None)
        left_out = found.left_out.get(self.section, {}) if found else {}
        if not found or not (rows or left_out):
            return None
        return Section(found.provenance.get("data_hash", ""), rows or {}, left_out)

    def save(self, data: Section[Any]) -> None:
        """Replace the section; sections about other data go."""
        try:
            found = self.document()
        except DamagedFile as error:
            logger.warning("%s", error.told("results are started anew"))
            found = None
        about = (found.dataset, found.provenance.get("data_hash")) if found else None
        same = found if about == (self.dataset, data.data) else None
        results = same or Results(dataset=self.dataset)
        left_out = {**results.left_out, self.section: dict(data.left_out)}
        changed: dict[str, Any] = {
            self.section: dict(data.rows),
            "left_out": {name: found for name, found in left_out.items() if found},
            "provenance": {**results.provenance, "data_hash": data.data},
        }
        self.write(replace(results, **changed))

    def document(self) -> Results | None:
        """The whole document, or None where there is none."""
        self._cached_load_version = None
        try:
            path = self._get_load_path()
        except VersionNotFoundError:
            return None
        if not self._fs.exists(str(path)):
            return None
        with reading(Path(path), self.remedy, self.local):
            return _results(self._fs.cat_file(str(path)), str(path))

    def write(self, results: Results) -> None:
        """Write the document as that of this run."""
        version = self.resolve_save_version()
        path = self._get_versioned_path(version) if version else self._filepath
        self._fs.makedirs(str(path.parent), exist_ok=True)
        with self._fs.open(str(path), "w") as file:
            file.write(document(results))

    def preview(self) -> JSONPreview:
        """Show the section in kedro-viz."""
        return JSONPreview(json.dumps(to_json(self.load())))

    def _exists(self) -> bool:
        try:
            return self.load() is not None
        except DatasetError as error:
            if isinstance(error.__cause__, DamagedFile):
                return False
            raise

    def _describe(self) -> dict[str, object]:
        return {**super()._describe(), "section": self.section}


def newest_version(path: Path) -> Path:
    """The file of the newest version below a path that Kedro versions; the path itself where it is
    a file.
    """
    versions = sorted(path.glob(f"*/{path.name}")) if path.is_dir() else []
    return versions[-1] if versions else path


def read_document(path: Path) -> Results | None:
    """The results at a path, or those of its newest version; None where there are none.

    Raises:
        UserError: the file is no results document.
    """
    file = newest_version(path)
    if not file.is_file():
        return None
    with reading(file):
        return _results(file.read_bytes(), str(file))


def _results(text: bytes, where: str) -> Results:
    try:
        return read_results(json.loads(text))
    except UserError as error:
        raise UserError(
            f"{where}: {error} If `kedro run` says this, delete the file first."
        ) from error


def write_document(path: Path, value: object) -> None:
    """Replace a document; a number that JSON does not know (NaN, infinity) is an error, not a file
    nobody can read.
    """
    write_text(path, document(value))


class ExternalTestsDataset(LocalPath, AbstractDataset[None, ExternalTests]):
    """`<filepath>/<other data set>/<model>/external.json` of the models that were trained on
    `trained_on`. Read only.
    """

    def __init__(
        self, *, filepath: str, trained_on: str, metadata: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(filepath, {"optional": True, **(metadata or {})})
        self.trained_on = trained_on

    def load(self) -> ExternalTests:
        """Load the tests by data set and model; no tests where there are none."""
        return ExternalTests(self.trained_on, tuple(self._tests()))

    def save(self, data: None) -> None:
        """Tests are written by the data set whose images are scored."""
        raise DatasetError(
            "tests on other data sets are read only: `kedro run --env OTHER --tags external` makes them"
        )

    def _tests(self) -> Iterator[ExternalTest]:
        for path in sorted(self.path.glob(f"*/*/{DOCUMENT}")):
            with reading(path, "`kedro run --tags external` makes it again"):
                found = json.loads(path.read_text(encoding="utf-8"))
            if found.get("trained_on") == self.trained_on:
                where = {"model": path.parent.name, "tested_on": path.parents[1].name}
                yield from_json(ExternalTest, where | found, str(path))
