"""Registry of the models, and published models.

Each module of this package is a model. It exports TRAINING_SET, a frozen dataclass `Config` and
`build(config, spec)`; its name is the Kedro namespace and the configuration key. With `ON_REQUEST =
True` it is left out of a plain `kedro run`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from medgan.contracts import (
    NORMAL,
    AnomalyDetector,
    Composed,
    FeatureExtractor,
    ImageSpec,
    ImageSynthesizer,
    Pretrained,
    TrainingSet,
)
from medgan.errors import UserError, unknown
from medgan.files.integrity import DamagedFile, reading

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS, CARD = "model.safetensors", "card.json"
"""Files of a published model."""
PUBLISH = "`kedro run --pipeline gan_training` publishes it again"


def names() -> tuple[str, ...]:
    """Return the models that score or generate images, in alphabetical order."""
    return tuple(sorted({*detectors(), *synthesizers()}))


def by_default() -> tuple[str, ...]:
    """Return the models of a plain `kedro run`: all but those whose module has `ON_REQUEST`."""
    return tuple(name for name in names() if "ON_REQUEST" not in _source(name))


def detectors() -> tuple[str, ...]:
    """Return the models that score images."""
    return _making(AnomalyDetector)


def composed() -> tuple[str, ...]:
    """Return the detectors whose score has components."""
    return tuple(name for name in detectors() if name in _making(Composed))


def encoders() -> tuple[str, ...]:
    """Return the detectors that map an image to a feature vector."""
    return tuple(name for name in detectors() if name in _making(FeatureExtractor))


def pretrained() -> tuple[str, ...]:
    """Return the models that need the weights of another network."""
    return tuple(name for name in names() if name in _making(Pretrained))


def synthesizers() -> tuple[str, ...]:
    """Return the models that generate images."""
    return _making(ImageSynthesizer)


def conditional() -> tuple[str, ...]:
    """Return the synthesizers that learn from labels, and so draw every class."""
    return tuple(name for name in synthesizers() if _is_labelled(name))


def unconditional() -> tuple[str, ...]:
    """Return the synthesizers that are trained without labels."""
    return tuple(name for name in synthesizers() if not _is_labelled(name))


def _is_labelled(name: str) -> bool:
    return ast.unparse(_source(name)["TRAINING_SET"]).endswith(str(TrainingSet.LABELLED))


@cache
def load(name: str) -> ModuleType:
    """Import the module of a model.

    Raises:
        UserError: if there is no such model.
    """
    if name not in _modules():
        raise UserError(f"There is no model '{name}': use one of {', '.join(_modules())}.")
    return importlib.import_module(f"{__name__}.{name}")


def not_among(known: Sequence[str], kind: str, name: str) -> UserError:
    """Return the error for a name that is none of `known`; a model of another kind is no mistyped
    one.
    """
    if name in names():
        return UserError(f"{name} is no {kind}: use one of {', '.join(sorted(known))}.")
    return unknown(kind, name, known)


def display_name(name: str) -> str:
    """Name a model as readers know it: `NAME` of its module, else its name without underscores."""
    assigned = _source(name).get("NAME") if name in _modules() else None
    if isinstance(assigned, ast.Assign):
        return str(ast.literal_eval(assigned.value))
    return name.replace("_", " ")


def form(name: str, configuration: Mapping[str, Any]) -> str:
    """Name the method that a model is with these settings, as readers know it.

    Args:
        name: of the model.
        configuration: fields of its `Config`, as in a card or a record; the others have their
            defaults, and unknown ones, of an earlier version, say nothing.

    Returns:
        `form` of its `Config`, such as ALAD; `display_name` where the model has one form only.
    """
    config = load(name).Config
    known = {field.name for field in fields(config)}
    settings = {key: value for key, value in configuration.items() if key in known}
    return str(getattr(config(**settings), "form", display_name(name)))


@cache
def _modules() -> tuple[str, ...]:
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@cache
def _making(contract: type) -> tuple[str, ...]:
    """Return the modules whose `build` returns a class with the methods of a protocol."""
    wanted = {method for method in vars(contract) if not method.startswith("_")}
    return tuple(name for name in _modules() if wanted <= _methods(name))


def _methods(name: str) -> set[str]:
    """Return the methods of the class that `build` returns, with those of its bases in `gans`."""
    source: Mapping[str, Any] = {**_source("../gans"), **_source(name)}

    def methods(model: ast.ClassDef) -> set[str]:
        own = {node.name for node in model.body if isinstance(node, ast.FunctionDef)}
        bases = [source[base] for base in map(ast.unparse, model.bases) if base in source]
        return own.union(*map(methods, bases))

    return methods(source[ast.unparse(source["build"].returns)])


@cache
def _source(name: str) -> dict[str, ast.stmt]:
    """Parse the functions, classes and constants of a module: to import it would import torch,
    which takes seconds.
    """
    tree = ast.parse((Path(__path__[0]) / f"{name}.py").read_text(encoding="utf-8"))
    named = {
        node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    assigned = {
        ast.unparse(node.targets[0]): node for node in tree.body if isinstance(node, ast.Assign)
    }
    return {**named, **assigned}


def create(
    name: str, size: int, channels: int = 1, classes: Sequence[str] = (NORMAL,), **settings: Any
) -> Any:
    """Build an untrained model.

    Args:
        name: one of `names()`.
        size: side of the images in pixels, a power of two from 32 on.
        channels: 1 (gray) or 3 (color).
        classes: category names of a model that is trained with labels; the first is `normal`.
        settings: fields of its `Config`.

    Raises:
        UserError: if there is no such model or setting.
    """
    module = load(name)
    known = [field.name for field in fields(module.Config)]
    strange = next((setting for setting in settings if setting not in known), None)
    if strange is not None:
        raise UserError(f"{name} has no setting '{strange}': use one of {', '.join(known)}.")
    return module.build(module.Config(**settings), ImageSpec(size, channels, tuple(classes)))


def fits(described: Sequence[int], found: Sequence[int]) -> bool:
    """Whether a tensor may be loaded; an empty one, as of memorized images, takes any number."""
    rows = found[:1] if described[:1] == (0,) else described[:1]
    return (*rows, *described[1:]) == tuple(found)


@dataclass(frozen=True)
class PublishedModel:
    """A trained model: its configuration, its weights and its model card."""

    name: str
    configuration: Mapping[str, Any]
    """The fields of the module's `Config`."""
    spec: ImageSpec
    tensors: Mapping[str, Tensor]
    card: Mapping[str, Any] = field(default_factory=dict)
    """Data, splits, budget, intended use and limits, for a reader."""
    score_weights: Mapping[str, float] | None = None
    """Of the components of a detector's score, where validation chose them; None for the weights of
    the method."""

    @property
    def key(self) -> str:
        """16 hexadecimal digits that identify the weights, the configuration and the score."""
        chosen = [dict(self.score_weights)] if self.score_weights else []
        described = [self.name, dict(self.configuration), *chosen]
        header = json.dumps(described, sort_keys=True, default=str)
        checksum = hashlib.sha256(header.encode())
        for name in sorted(self.tensors):
            checksum.update(name.encode())
            checksum.update(self.tensors[name].detach().cpu().contiguous().numpy().tobytes())
        return checksum.hexdigest()[:16]

    @property
    def drawable(self) -> tuple[str, ...]:
        """The classes that a generator draws: all if it was trained with labels, else normal."""
        labelled = load(self.name).TRAINING_SET is TrainingSet.LABELLED
        return self.spec.classes if labelled else self.spec.classes[:1]

    def write(self, folder: Path) -> None:
        """Write the weights and the card into an existing folder."""
        from safetensors.torch import save_file

        tensors = {name: value.detach().cpu().contiguous() for name, value in self.tensors.items()}
        save_file(tensors, folder / WEIGHTS)
        card = {
            "name": self.name,
            "key": self.key,
            "configuration": dict(self.configuration),
            "spec": asdict(self.spec),
            "card": dict(self.card),
        }
        if self.score_weights:
            card["score_weights"] = dict(self.score_weights)
        (folder / CARD).write_text(json.dumps(card, indent=1, default=_plain), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path | str) -> PublishedModel:
        """Read what `write` wrote.

        Raises:
            UserError: if there is no published model, or its weights do not match its card.
        """
        from safetensors.torch import load_file

        folder = Path(folder)
        if not (folder / CARD).exists():
            raise UserError(
                f"There is no published model in {folder}: give the folder that holds {CARD} and "
                f"{WEIGHTS}."
            )
        with reading(folder, PUBLISH):
            card = json.loads((folder / CARD).read_text(encoding="utf-8"))
            spec = ImageSpec(**{**card["spec"], "classes": tuple(card["spec"]["classes"])})
            tensors = load_file(folder / WEIGHTS)
            model = cls(
                *(card["name"], card["configuration"], spec, tensors, card["card"]),
                score_weights=card.get("score_weights"),
            )
            if model.key != card["key"]:
                raise DamagedFile(folder, f"{WEIGHTS} does not fit {CARD}")
            return model

    def build(self) -> nn.Module:
        """Build the model with its weights, in eval mode.

        Raises:
            UserError: its configuration describes other weights than it has. This is found out
                before memory is taken for them: a card of 1 KB may describe any number of weights.
        """
        import torch

        module = load(self.name)
        config = module.Config(**self.configuration)
        with torch.device("meta"):
            planned: nn.Module = module.build(config, self.spec)
        described = planned.state_dict()
        if described.keys() != self.tensors.keys() or not all(
            fits(described[name].shape, value.shape) for name, value in self.tensors.items()
        ):
            raise UserError(
                f"The {CARD} of the published model {self.name} describes other weights than its "
                f"{WEIGHTS} has: delete it, then `kedro run --pipeline gan_training` publishes it "
                "again."
            )
        model: nn.Module = module.build(config, self.spec)
        model.load_state_dict(dict(self.tensors))
        if self.score_weights:
            chosen = dict(self.score_weights)
            model.score_weights = lambda: chosen  # type: ignore[assignment]  # in place of its own
        return model.eval()


def _plain(value: object) -> Any:
    """Convert nested configurations to dictionaries, anything else to text."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
