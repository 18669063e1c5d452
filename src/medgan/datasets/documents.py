"""results.json: the newest results of a data set, written section by section."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import ImagePreview, JSONPreview
from PIL import Image, UnidentifiedImageError

from medgan.datasets.base import LocalPath
from medgan.errors import UserError
from medgan.evaluation.results import SECTIONS, new_document
from medgan.files.atomic import write_bytes, write_text
from medgan.plots.style import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
from collections.abc import Iterator

from kedro.io import DatasetError


class ResultsSectionDataset(
    LocalPath, AbstractDataset["Mapping[str, Any]", "dict[str, Any] | None"]
):
    """One section of results.json, as {"data": hash of the images and splits, "rows": {name: row}}.

    Sections of other data never stand beside each other: saving one with a new hash drops the
    others.
    """

    def __init__(
        self,
        *,
        filepath: str,
        section: str,
        dataset: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath, {"optional": True, **(metadata or {})})
        if section not in SECTIONS:
            raise UserError(
                f"conf: results.json has no section '{section}': use one of {', '.join(SECTIONS)}."
            )
        self.section = section
        self.dataset = dataset or self.path.parent.name

    def load(self) -> dict[str, Any] | None:
        """The section, or None where there is none."""
        document = read_document(self.path)
        rows = (document or {}).get(self.section)
        return (
            {"data": document["provenance"].get("data_hash"), "rows": rows}
            if document and rows
            else None
        )

    def save(self, data: Mapping[str, Any]) -> None:
        """Replaces the section; sections about other data go."""
        document = read_document(self.path)
        if (
            document is None
            or document["dataset"] != self.dataset
            or document["provenance"].get("data_hash") != data["data"]
        ):
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
        UserError: the file is no results document.
    """
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{path} is not JSON ({error}): delete it, then `kedro run` writes it again."
        ) from error
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise UserError(
            f"{path} is no results document of schema 1: delete it, then `kedro run` writes it again."
        )
    return document


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Replaces the document; a number that JSON does not know (NaN, infinity) is an error, not a
    file nobody can read.
    """
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


class HtmlDataset(LocalPath, AbstractDataset[str, "str | None"]):
    """One self-contained page."""

    def __init__(self, *, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, metadata)

    def load(self) -> str | None:
        """The page, or None where it is optional and absent."""
        return None if self.absent() else self.path.read_text(encoding="utf-8")

    def save(self, data: str) -> None:
        """Replaces the page."""
        write_text(self.path, data)


KEY = "Key"
"""The text in a PNG file that names the drawing it shows."""


class FigureDataset(LocalPath, AbstractDataset["Figure | Drawing | bytes", "bytes | None"]):
    """A matplotlib figure as a PNG file; equal figures give equal files."""

    def __init__(
        self, *, filepath: str, dpi: int = 120, metadata: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(filepath, metadata)
        self.dpi = dpi

    def load(self) -> bytes | None:
        """The PNG file, or None where it is optional and absent."""
        return None if self.absent() else self.path.read_bytes()

    def save(self, data: Figure | Drawing | bytes) -> None:
        """Renders and writes a figure; bytes are taken for a PNG file. A drawing that the file
        shows already is not made again.
        """
        if isinstance(data, bytes):
            write_bytes(self.path, data)
        elif not isinstance(data, Drawing):
            write_bytes(self.path, render(data, self.dpi))
        elif shown_key(self.path) != (key := f"{data.key}-{self.dpi}"):
            write_bytes(self.path, render(data.draw(), self.dpi, key))

    def preview(self) -> ImagePreview:
        """The picture for kedro-viz."""
        return ImagePreview(base64.b64encode(self.path.read_bytes()).decode())


def render(figure: Figure, dpi: int, key: str | None = None) -> bytes:
    """The PNG file of a figure, without the date and version that would make equal figures
    differ.
    """
    buffer = io.BytesIO()
    named = {} if key is None else {KEY: key}
    figure.savefig(
        buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None, **named}
    )
    return buffer.getvalue()


def shown_key(path: Path) -> str | None:
    """The key of the drawing that a whole PNG file shows; None where there is no such file or no
    key in it.
    """
    try:
        with Image.open(path) as picture:
            picture.verify()
            key = picture.info.get(KEY)
    except (OSError, SyntaxError, UnidentifiedImageError):
        return None
    return key if isinstance(key, str) else None


DOCUMENT = "external.json"


class ExternalTestsDataset(LocalPath, AbstractDataset[None, "dict[str, Any]"]):
    """`<filepath>/<other data set>/<model>/external.json` of the models that were trained on
    `trained_on`. Read only.
    """

    def __init__(
        self, *, filepath: str, trained_on: str, metadata: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(filepath, {"optional": True, **(metadata or {})})
        self.trained_on = trained_on

    def load(self) -> dict[str, Any]:
        """{"trained_on", "tests": [the document with `model` and `tested_on`]}, by data set and
        model; no tests where there are none.
        """
        return {"trained_on": self.trained_on, "tests": list(self._tests())}

    def save(self, data: None) -> None:
        """Tests are written by the data set whose images are scored."""
        raise DatasetError(
            "tests on other data sets are read only: `kedro run --env OTHER --tags external` makes them"
        )

    def _tests(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.path.glob(f"*/*/{DOCUMENT}")):
            document = _read(path)
            if document.get("trained_on") == self.trained_on:
                yield {"model": path.parent.name, "tested_on": path.parents[1].name, **document}


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{path} is not JSON ({error}): delete it, then `kedro run --tags external` writes it again."
        ) from error
    return document
