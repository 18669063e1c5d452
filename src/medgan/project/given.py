"""`--params`: its text as parameters, and parameters as its text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from medgan.errors import UserError
from medgan.evaluation.spaces import SpaceName
from medgan.nested import leaves

TEXT = frozenset(
    (
        *("source", "masks", "lpips_weights", "backbone_weights", "flag", "normal", "set"),
        *("ingestion.normal", "ingestion.separator", "classifier_training.weights"),
        *("evaluation.dataset", "evaluation.model_from", "evaluation.reference_standard"),
        *("evaluation.region.name", "per_class.model.generator", "compute.address"),
        *("synthesis.source", "synthesis.source_class", "synthesis.source_python"),
        *(f"synthesis.spaces.{name}" for name in get_args(SpaceName)),
    )
)
"""Parameters that are free text, such as paths and names: `source=2019` is the folder 2019."""
TEXT_OF_A_MODEL = ".checkpoint"
PAIR = re.compile(r"\s*(?P<name>[^=,\s\[\]{}\"']+)\s*=\s*")
NEXT = re.compile(r",(?=\s*[A-Za-z_][\w.]*\s*=)|,?\s*$")
"""Where a value without quotes and brackets ends: before the next NAME=, or at the end."""
QUOTED = re.compile(r"(?P<mark>['\"])(?P<text>.*?)(?P=mark)\s*(?:,|$)")
BRACKETS = {"[": "]", "{": "}"}
TOKEN = re.compile(r"'[^']*'|\"[^\"]*\"|.", re.DOTALL)
HELP = (
    "give NAME=VALUE, several of them separated by commas; a list in brackets, NAME=[a, b], and a "
    "text with commas in quotes, \"NAME='a, b'\""
)


def given_parameters(text: str) -> dict[str, Any]:
    """Parse `flag=bloodmnist,preprocessing.size=28` into nested parameters.

    A value in brackets or braces is YAML, one in quotes is text. Others end before the next
    `,NAME=`, so that a path may hold commas, equals signs and blanks. Values of TEXT are text
    always, others what YAML reads.

    Raises:
        UserError: a part is not NAME=VALUE, a value is empty, or a name comes twice.
    """
    nested: dict[str, Any] = {}
    seen: list[str] = []
    for name, value in _pairs(text):
        for other in seen:
            if f"{other}.".startswith(f"{name}.") or f"{name}.".startswith(f"{other}."):
                raise UserError(f"--params has `{name}` and `{other}`: give one value for them.")
        seen.append(name)
        *parents, last = name.split(".")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return nested


def written(given: Mapping[str, Any]) -> str:
    """Write nested parameters as `--params` takes them."""
    return ",".join(f"{name}={_written(name, value)}" for name, value in _named(given))


def is_text(name: str) -> bool:
    """Whether the value of a parameter is text whatever it looks like."""
    return name in TEXT or name.endswith(TEXT_OF_A_MODEL)


def _named(given: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Iterate over dotted names and values; a mapping whose keys are no names is a value."""
    for key, value in given.items():
        if isinstance(value, Mapping) and value and all(str(one).isidentifier() for one in value):
            yield from _named(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _pairs(text: str) -> Iterator[tuple[str, Any]]:
    rest = text.strip(" ,")
    while rest:
        match = PAIR.match(rest)
        if match is None or not all(match["name"].split(".")):
            raise UserError(f"--params has `{rest}`: {HELP}.")
        name = match["name"]
        value, rest = _value(name, rest[match.end() :])
        yield name, value
        rest = rest.strip(" ,")


def _value(name: str, text: str) -> tuple[Any, str]:
    """Return the value that a text begins with, and the rest of the text."""
    quoted = QUOTED.match(text)
    if quoted:
        value, rest = quoted["text"].strip(), text[quoted.end() :]
    else:
        end, rest = _end(name, text)
        value = text[:end].strip()
    if not value:
        raise UserError(f"--params: {name}= has no value: give {name}=VALUE or leave it out.")
    if "${" in value:
        raise UserError(f"--params has `{name}={value}`: a value cannot hold `${{`.")
    if quoted or is_text(name):
        return value, rest
    if "," in value and value[0] not in BRACKETS:
        raise UserError(f"--params has `{name}={value}`: {HELP}.")
    try:
        parsed = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={value}"]))
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"--params has `{name}={value}`, which is no YAML: {HELP}.") from error
    return parsed["value"], rest  # type: ignore[index, call-overload]


def _end(name: str, text: str) -> tuple[int, str]:
    """Return where an unquoted value ends, and what comes after the comma behind it."""
    if text[:1] in BRACKETS and not is_text(name):
        closing: list[str] = []
        for token in TOKEN.finditer(text):
            if token[0] in BRACKETS:
                closing.append(BRACKETS[token[0]])
            elif closing and token[0] == closing[-1]:
                closing.pop()
            if not closing:
                return token.end(), text[token.end() :]
        raise UserError(f"--params has `{name}={text}`, where a bracket stays open: {HELP}.")
    match = NEXT.search(text)
    return (match.start(), text[match.end() :]) if match else (len(text), "")


def _written(name: str, value: Any) -> str:
    if isinstance(value, list | dict):
        return yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()
    plain = "null" if value is None else str(value)
    if all(_reads(f"{name}={plain}{more}", name, value) for more in ("", ",x=0")):
        return plain
    return f"'{plain}'" if "'" not in plain else f'"{plain}"'


def _reads(text: str, name: str, value: Any) -> bool:
    try:
        return bool(dict(leaves(given_parameters(text))).get(name) == value)
    except UserError:
        return False
