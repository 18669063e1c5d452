"""All parameters, checked and typed before the first node: scale chosen, no key unknown, every
value of its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from medgan.errors import UserError, closest, unknown
from medgan.ranges import CountOrNone, Seed

SCALES = ("smoke", "cpu", "gpu")
Scale = Literal["smoke", "cpu", "gpu"]


def sections() -> dict[str, object]:
    """The type of every top-level parameter; a model's section carries the name of its module."""
    from medgan import models
    from medgan.evaluation.protocol import EvaluationConfig
    from medgan.images.config import AugmentationConfig, IngestionConfig, PreprocessingConfig
    from medgan.networks.classifier import CLASSIFIERS
    from medgan.pipelines.classifier_training.config import ClassifierConfig
    from medgan.pipelines.gan_training.nodes import GanTrainingConfig
    from medgan.pipelines.synthesis.config import SynthesisConfig
    from medgan.training.settings import ComputeConfig

    return {
        "scale": Scale,
        "seed": Seed,
        "keep_versions": CountOrNone,
        "fresh": bool,
        "source": str | None,
        "masks": str | None,
        "classifier": Literal.__getitem__(tuple(CLASSIFIERS)),
        "compute": ComputeConfig,
        "lpips_weights": str | None,
        "backbone_weights": str | None,
        "ingestion": IngestionConfig,
        "preprocessing": PreprocessingConfig,
        "augmentation": AugmentationConfig,
        "gan_training": GanTrainingConfig,
        "synthesis": SynthesisConfig,
        "classifier_training": ClassifierConfig,
        "evaluation": EvaluationConfig,
        **{name: _settings(models.load(name).Config) for name in models.names()},
    }


def typed(parameters: Mapping[str, object], kinds: Mapping[str, object]) -> dict[str, Any]:
    """Parameters as the dataclasses that the pipelines take.

    Args:
        parameters: what the configuration files and `--params` say.
        kinds: the type of each top-level key, as `sections()` gives it.

    Raises:
        UserError: the first unknown, missing or wrong key.
    """
    # Stdlib dataclasses inherit `extra = forbid` from the model around them.
    known: Any = {name: (kind, ...) for name, kind in kinds.items()}
    document = create_model(
        "Parameters", __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **known
    )
    try:
        checked = document.model_validate(at_scale(parameters))
    except ValidationError as error:
        raise UserError(_sentence(error, kinds)) from None
    return {name: getattr(checked, name) for name in kinds}


def check_given(given: Mapping[str, object], kinds: Mapping[str, object]) -> None:
    """Raise `UserError` for a parameter of `--params` that does not exist."""
    for name in given:
        if name not in kinds:
            error = unknown("parameter", name, kinds)
            raise UserError(f"--params: {error} A value that holds `,{name}=` needs quotes.")


def _settings(config: type) -> Any:
    """The type of a model's section."""
    from medgan.training.settings import ModelSettings

    return ModelSettings.__class_getitem__(config)  # type: ignore[attr-defined]


def at_scale(parameters: Mapping[str, object]) -> dict[str, object]:
    """Parameters with every mapping of scales (`{smoke: 10, cpu: 2000, gpu: 50000}`) replaced by
    the value of the chosen one.

    Raises:
        UserError: no such scale, or a budget that leaves it out.
    """
    scale = parameters.get("scale")
    if scale not in SCALES:
        raise UserError(
            f"conf: `scale` is {scale!r}: use one of {', '.join(SCALES)}, for example `kedro run --params scale=smoke`."
        )
    return {key: _choose(value, scale, key) for key, value in parameters.items()}


def _choose(value: Any, scale: str, path: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    if value and set(value) <= set(SCALES):
        if scale not in value:
            raise UserError(
                f"conf: `{path}` has no value for scale={scale}: add one, or run with scale={' or '.join(value)}."
            )
        return _choose(value[scale], scale, path)
    return {key: _choose(inner, scale, f"{path}.{key}") for key, inner in value.items()}


def _sentence(error: ValidationError, kinds: Mapping[str, object]) -> str:
    """The first thing wrong, as one sentence, with a count of the others."""
    first, *others = error.errors(include_url=False)
    path = [str(part) for part in first["loc"]]
    more = f" ({len(others)} more after it)" if others else ""
    describe = _DESCRIBE.get(first["type"], _wrong)
    sentence = f"conf: `{'.'.join(path)}` {describe(path, first, kinds)}{more}"
    return sentence if sentence.endswith("?") else f"{sentence}."


def _unknown(path: list[str], _: Any, kinds: Mapping[str, object]) -> str:
    known = sorted(_keys_at(kinds, path[:-1]))
    close = closest(path[-1], known)
    return (
        f"is not a known key; did you mean `{close[0]}`?"
        if close
        else f"is not a known key; known are {', '.join(known)}"
    )


def _missing(_: list[str], __: Any, ___: Mapping[str, object]) -> str:
    return "is missing; add it to conf/base or to the environment"


def _wrong(_: list[str], problem: Any, __: Mapping[str, object]) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    return f"is {problem['input']!r}: {message[0].lower()}{message[1:]}"


_DESCRIBE = {
    "extra_forbidden": _unknown,
    "unexpected_keyword_argument": _unknown,
    "missing": _missing,
    "missing_argument": _missing,
}


def _keys_at(kinds: Mapping[str, object], path: list[str]) -> Mapping[str, object]:
    """The keys that are allowed below a path."""
    for part in path:
        kinds = _fields(kinds.get(part))
    return kinds


def _fields(kind: object) -> dict[str, object]:
    """Field names and types of a dataclass, of a generic one with its variables filled in, or of
    the first one in a union.
    """
    origin = get_origin(kind) or kind
    if not is_dataclass(origin):
        return next(filter(None, map(_fields, get_args(kind))), {})
    hints = get_type_hints(origin)
    variables = dict(zip(getattr(origin, "__parameters__", ()), get_args(kind), strict=False))
    return {
        field.name: variables.get(hints[field.name], hints[field.name]) for field in fields(origin)
    }
