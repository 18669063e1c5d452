"""The methods, one module each, and the registry that finds them.

A module exports TRAINING_SET, a frozen dataclass `Config`, and `build(config, spec)`. Its name is the Kedro namespace and the
configuration key.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any, get_type_hints

from torch import Tensor, nn

from medgan.contracts import AnomalyDetector, ImageSpec, ImageSynthesizer, Refusal, TrainingSet


@cache
def names() -> tuple[str, ...]:
    """Every model that can be trained for detection or synthesis, in alphabetical order."""
    return tuple(name for name in _modules() if _makes(name, AnomalyDetector) or _makes(name, ImageSynthesizer))


@cache
def detectors() -> tuple[str, ...]:
    """The models that score images."""
    return tuple(name for name in names() if _makes(name, AnomalyDetector))


@cache
def synthesizers() -> tuple[str, ...]:
    """The models that draw images."""
    return tuple(name for name in names() if _makes(name, ImageSynthesizer))


@cache
def load(name: str) -> ModuleType:
    """The module of a model.

    Raises:
        Refusal: there is none of that name.
    """
    if name not in _modules():
        raise Refusal(f"There is no model '{name}': use one of {', '.join(_modules())}.")
    return importlib.import_module(f"{__name__}.{name}")


@cache
def _modules() -> tuple[str, ...]:
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def _makes(name: str, contract: type) -> bool:
    return issubclass(get_type_hints(load(name).build)["return"], contract)


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
        digest = hashlib.sha256(json.dumps([self.name, dict(self.configuration)], sort_keys=True, default=str).encode())
        for name in sorted(self.tensors):
            digest.update(name.encode())
            digest.update(self.tensors[name].detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def drawable(self) -> tuple[str, ...]:
        """The classes that a generator can draw: all of them if it was trained with labels, else the normal one."""
        labelled = load(self.name).TRAINING_SET is TrainingSet.LABELLED
        return self.spec.classes if labelled else self.spec.classes[:1]

    def build(self) -> nn.Module:
        """The model with its weights, in eval mode."""
        module = load(self.name)
        model: nn.Module = module.build(module.Config(**self.configuration), self.spec)
        model.load_state_dict(dict(self.tensors))
        return model.eval()
