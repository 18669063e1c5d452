"""Published models: versioned folders of weights and a card."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, DatasetError, Version
from kedro_datasets._typing import JSONPreview

from medgan.catalog.atomic import new_folder
from medgan.catalog.files import LocalPath
from medgan.models import CARD, PublishedModel

logger = logging.getLogger(__name__)
PAGE = "README.md"


class PublishedDataset(AbstractVersionedDataset[PublishedModel, PublishedModel]):
    """`<filepath>/<version>/<name>/` with weights, card and the card as a page; a new version only when the weights changed."""

    versioned = True

    def __init__(self, *, filepath: str, version: Version | None = None, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(PurePosixPath(filepath), version or Version(None, None))
        self.metadata = dict(metadata or {})

    @classmethod
    def _save_wrapper(cls, save_func: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        """Kedro warns where a save makes no new version; here that is the point."""
        wrapper: Callable[[Any, Any], None] = AbstractDataset._save_wrapper.__func__(cls, save_func)  # type: ignore[attr-defined]
        return wrapper

    def load(self) -> PublishedModel:
        """The newest version, or the one asked for. Raises `Refusal` where it is damaged."""
        return PublishedModel.read(Path(self._get_load_path()))

    def save(self, data: PublishedModel) -> None:
        """Writes a new version, unless the newest one holds the same model."""
        self._clear_version_cache()
        if self._newest_key() == data.key:
            logger.debug("%s is published already", data.name)
            return
        with new_folder(Path(self._get_save_path())) as folder:
            data.write(folder)
            (folder / PAGE).write_text(page_of(data), encoding="utf-8")
        self._clear_version_cache()

    def preview(self) -> JSONPreview:
        """The card for kedro-viz."""
        return JSONPreview((Path(self._get_load_path()) / CARD).read_text(encoding="utf-8"))

    def _newest_key(self) -> str | None:
        if not self.exists():
            return None
        key: str = json.loads((Path(self._get_load_path()) / CARD).read_text(encoding="utf-8"))["key"]
        return key

    def _exists(self) -> bool:
        return (Path(self._get_load_path()) / CARD).exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}


class PublishedElsewhereDataset(LocalPath, AbstractDataset[None, "PublishedModel | None"]):
    """The newest version of a model that another data set published; None where there is none. Read only."""

    def __init__(self, *, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, {"optional": True, **(metadata or {})})

    def load(self) -> PublishedModel | None:
        """The model. Raises `Refusal` where it is damaged."""
        there = PublishedDataset(filepath=self.path.as_posix())
        return there.load() if there.exists() else None

    def save(self, data: None) -> None:
        """Models of another data set are never written."""
        raise DatasetError("a model of another data set is read only")


def page_of(model: PublishedModel) -> str:
    """The card for a human reader, in Markdown."""
    card = dict(model.card)
    used, limits = card.pop("intended_use", ""), card.pop("limits", [])
    looks, figures = card.pop("looks", []), card.pop("figures", {})
    parts = [
        f"# {model.name}",
        used,
        "## Figures of the published step",
        _markdown_table(figures) or "None were taken: the weights are those after the last step.",
        "## Training",
        _markdown_table(card),
        "## Configuration",
        _markdown_table({**model.configuration, "image": " x ".join(map(str, model.spec.shape)), "classes": ", ".join(model.spec.classes)}),
        "## Looks at the training" if looks else "",
        "\n".join(["```", *(json.dumps(look) for look in looks), "```"]) if looks else "",
        "## Limits" if limits else "",
        "\n".join(f"- {limit}" for limit in limits),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_table(values: Mapping[str, Any]) -> str:
    rows = [
        f"| {name} | {value if isinstance(value, str | int | float) else json.dumps(value, default=str)} |"
        for name, value in values.items()
    ]
    return "\n".join(["| | |", "|---|---|", *rows]) if rows else ""
