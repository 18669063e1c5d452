"""Published models: versioned folders of weights and a card."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, Version
from kedro_datasets._typing import JSONPreview
from safetensors.torch import load_file, save_file

from medgan.catalog.atomic import new_folder
from medgan.contracts import ImageSpec, Refusal
from medgan.models import PublishedModel

logger = logging.getLogger(__name__)
WEIGHTS, CARD, PAGE = "model.safetensors", "card.json", "README.md"


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
        """The newest version, or the one asked for.

        Raises:
            Refusal: the weights are not those that the card names.
        """
        folder = Path(self._get_load_path())
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        spec = ImageSpec(**{**card["spec"], "classes": tuple(card["spec"]["classes"])})
        model = PublishedModel(card["name"], card["configuration"], spec, load_file(folder / WEIGHTS), card["card"])
        if model.key != card["key"]:
            raise Refusal(
                f"The published model in {folder} is damaged: delete it, then `kedro run --pipeline gan_training` publishes it again."
            )
        return model

    def save(self, data: PublishedModel) -> None:
        """Writes a new version, unless the newest one holds the same model."""
        self._clear_version_cache()
        if self._newest_key() == data.key:
            logger.debug("%s is published already", data.name)
            return
        with new_folder(Path(self._get_save_path())) as folder:
            save_file({name: value.detach().cpu().contiguous() for name, value in data.tensors.items()}, folder / WEIGHTS)
            (folder / PAGE).write_text(page_of(data), encoding="utf-8")
            (folder / CARD).write_text(json.dumps(card_of(data), indent=1, default=_plain), encoding="utf-8")
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


def card_of(model: PublishedModel) -> dict[str, Any]:
    """What stands beside the weights."""
    return {
        "name": model.name,
        "key": model.key,
        "configuration": dict(model.configuration),
        "spec": asdict(model.spec),
        "card": dict(model.card),
    }


def page_of(model: PublishedModel) -> str:
    """The card for a human reader, in Markdown."""
    card = json.loads(json.dumps(dict(model.card), default=_plain))
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
        f"| {name} | {value if isinstance(value, str | int | float) else json.dumps(value, default=_plain)} |"
        for name, value in values.items()
    ]
    return "\n".join(["| | |", "|---|---|", *rows]) if rows else ""


def _plain(value: object) -> Any:
    """Nested configurations as dictionaries, anything else as its text."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
