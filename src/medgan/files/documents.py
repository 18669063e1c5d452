"""JSON documents of typed results: dataclasses to plain values and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError, model_validator

from medgan.errors import UserError

T = TypeVar("T")
ALWAYS: Mapping[str, bool] = {"always": True}
"""Metadata of a field that is written even where it equals its default."""
FLAT: Mapping[str, bool] = {"flat": True}
"""Metadata of a mapping whose entries are keys of the document itself; see `OpenKeys`."""


def to_json(value: Any) -> Any:
    """Convert a result to what `json.dump` takes.

    A dataclass with a method `as_dict` decides its own form. In any other one, a field that equals
    its default is left out; a field without a default, or with the metadata ALWAYS, is written.
    """
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return _fields_to_json(value)
    if isinstance(value, Mapping):
        return {str(key): to_json(inner) for key, inner in value.items()}
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [to_json(inner) for inner in value]
    return value


def _fields_to_json(value: Any) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for field in fields(value):
        inner = getattr(value, field.name)
        if field.metadata.get("flat"):
            document |= to_json(inner)
        elif field.metadata.get("always") or inner != _default(field):
            document[field.name] = to_json(inner)
    return document


class OpenKeys:
    """Base of a dataclass that has one field with the metadata FLAT.

    When it is read, keys of the document that are no other field and belong to that mapping become
    its entries.
    """

    @classmethod
    def belongs(cls, value: Any) -> bool:
        """Whether the value of a key that is no field is an entry of the mapping."""
        return isinstance(value, Mapping)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, document: Any) -> Any:
        if not isinstance(document, Mapping):
            return document
        own = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
        flat = next(name for name, field in own.items() if field.metadata.get("flat"))
        entries = {
            key: value
            for key, value in document.items()
            if (key not in own or key == flat) and cls.belongs(value)
        }
        return {key: document[key] for key in own if key in document and key != flat} | {
            flat: entries
        }


def from_json(kind: type[T], document: Any, where: str = "The document") -> T:
    """Read a result of a type from its JSON form; unknown keys are ignored.

    Raises:
        UserError: a key is missing or has a value of another type; names the first one.
    """
    try:
        return _adapter(kind).validate_python(document)  # type: ignore[no-any-return, arg-type]
    except ValidationError as error:
        raise UserError(
            f"{where} is not of this version of medgan ({first_problem(error)}): "
            "run 'kedro run' again."
        ) from None


def first_problem(error: ValidationError) -> str:
    """Return where the first wrong value is, and what is wrong with it."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'its value'}: {first['msg'].lower()}"


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _default(field: Field[Any]) -> Any:
    """The default of a field; MISSING, which equals no value, where it has none."""
    return field.default_factory() if field.default_factory is not MISSING else field.default
