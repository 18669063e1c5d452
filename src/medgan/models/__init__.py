"""The methods, one module each, and the registry that finds them.

A module exports TRAINING_SET, a frozen dataclass `Config`, and `build(config, spec)`. Its name is
the Kedro namespace and the configuration key.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medgan.contracts import (
    NORMAL,
    AnomalyDetector,
    Composed,
    FeatureExtractor,
    ImageSpec,
    ImageSynthesizer,
    TrainingSet,
)
from medgan.errors import UserError

WEIGHTS, CARD = "model.safetensors", "card.json"
"""The files of a published model."""


@cache
def names() -> tuple[str, ...]:
    """Every model that can be trained for detection or synthesis, in alphabetical order."""
    return tuple(
        name
        for name in _modules()
        if _makes(name, AnomalyDetector) or _makes(name, ImageSynthesizer)
    )


@cache
def detectors() -> tuple[str, ...]:
    """The models that score images."""
    return tuple(name for name in names() if _makes(name, AnomalyDetector))


@cache
def composed() -> tuple[str, ...]:
    """The detectors that say what their score is made of."""
    return tuple(name for name in detectors() if _makes(name, Composed))


@cache
def encoders() -> tuple[str, ...]:
    """The detectors that describe an image by a vector of features."""
    return tuple(name for name in detectors() if _makes(name, FeatureExtractor))


@cache
def synthesizers() -> tuple[str, ...]:
    """The models that draw images."""
    return tuple(name for name in names() if _makes(name, ImageSynthesizer))


@cache
def load(name: str) -> ModuleType:
    """The module of a model.

    Raises:
        UserError: there is none of that name.
    """
    if name not in _modules():
        raise UserError(f"There is no model '{name}': use one of {', '.join(_modules())}.")
    return importlib.import_module(f"{__name__}.{name}")


@cache
def _modules() -> tuple[str, ...]:
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def _makes(name: str, contract: type) -> bool:
    return issubclass(get_type_hints(load(name).build)["return"], contract)


def create(
    name: str, size: int, channels: int = 1, classes: Sequence[str] = (NORMAL,), **settings: Any
) -> Any:
    """An untrained model.

    Args:
        name: one of `names()`.
        size: side of its images in pixels, a power of two from 32 on.
        channels: 1 (grey) or 3 (color).
        classes: category names for a model that is trained with labels; the first is `normal`.
        settings: fields of its `Config`.

    Raises:
        UserError: there is no such model, or it has no such setting.
    """
    module = load(name)
    known = [field.name for field in fields(module.Config)]
    unknown = [setting for setting in settings if setting not in known]
    if unknown:
        raise UserError(f"{name} has no setting '{unknown[0]}': use one of {', '.join(known)}.")
    return module.build(module.Config(**settings), ImageSpec(size, channels, tuple(classes)))


@dataclass(frozen=True)
class PublishedModel:
    """A trained model as it is handed on: its configuration, its weights, and its card."""

    name: str
    configuration: Mapping[str, Any]
    """The fields of the module's `Config`."""
    spec: ImageSpec
    tensors: Mapping[str, Tensor]
    card: Mapping[str, Any] = field(default_factory=dict)
    """What a user should know: data, splits, budget, intended use, limits."""

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name these weights with this configuration."""
        digest = hashlib.sha256(
            json.dumps([self.name, dict(self.configuration)], sort_keys=True, default=str).encode()
        )
        for name in sorted(self.tensors):
            digest.update(name.encode())
            digest.update(self.tensors[name].detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def drawable(self) -> tuple[str, ...]:
        """The classes that a generator can draw: all of them if it was trained with labels, else
        the normal one.
        """
        labelled = load(self.name).TRAINING_SET is TrainingSet.LABELLED
        return self.spec.classes if labelled else self.spec.classes[:1]

    def write(self, folder: Path) -> None:
        """Writes the weights and the card."""
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in self.tensors.items()},
            folder / WEIGHTS,
        )
        card = {
            "name": self.name,
            "key": self.key,
            "configuration": dict(self.configuration),
            "spec": asdict(self.spec),
            "card": dict(self.card),
        }
        (folder / CARD).write_text(json.dumps(card, indent=1, default=_plain), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path | str) -> PublishedModel:
        """What `write` wrote.

        Raises:
            UserError: there is no published model, or its weights are not those that the card
                names.
        """
        folder = Path(folder)
        if not (folder / CARD).exists():
            raise UserError(
                f"There is no published model in {folder}: give the folder that holds {CARD} and {WEIGHTS}."
            )
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        spec = ImageSpec(**{**card["spec"], "classes": tuple(card["spec"]["classes"])})
        model = cls(
            card["name"], card["configuration"], spec, load_file(folder / WEIGHTS), card["card"]
        )
        if model.key != card["key"]:
            raise UserError(
                f"The published model in {folder} is damaged: delete it, then `kedro run --pipeline gan_training` publishes it again."
            )
        return model

    def build(self) -> nn.Module:
        """The model with its weights, in eval mode."""
        module = load(self.name)
        model: nn.Module = module.build(module.Config(**self.configuration), self.spec)
        model.load_state_dict(dict(self.tensors))
        return model.eval()


def _plain(value: object) -> Any:
    """Nested configurations as dictionaries, anything else as its text."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
