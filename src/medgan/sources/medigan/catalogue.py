"""The models of medigan with their published metrics, and the metadata of packages in its format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from medgan.errors import UserError, unknown
from medgan.files.documents import first_problem

LISTED = Path(__file__).with_name("models.json")
DIGITS = 5
"""Of the number that an id begins with."""
NOT_PUBLISHED = "not published"


def _without_nulls(value: Any) -> Any:
    """Leave out keys without a value, for which the types have defaults."""
    if not isinstance(value, Mapping):
        return value
    return {name: one for name, one in value.items() if one is not None}


Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value or ()),
]


@dataclass(frozen=True)
class Arguments:
    """Keyword arguments of `generate` beside those that every package has."""

    custom: Mapping[str, Any] = field(default_factory=dict)
    """Name -> default."""


@dataclass(frozen=True)
class Method:
    """The function of a package that generates images."""

    name: str
    args: Arguments = field(default_factory=Arguments)


@dataclass(frozen=True)
class Execution:
    """How a package is run."""

    package_name: str
    package_link: str
    model_name: str
    """Name of the file with the weights, without its extension."""
    extension: str
    generate_method: Method
    dependencies: Texts = ()


@dataclass(frozen=True)
class Selection:
    """What a model generates, and what was published about it."""

    organ: Texts = ()
    modality: Texts = ()
    generates: Texts = ()
    dataset: Texts = ()
    condition: Texts = ()
    function: Texts = ()
    type: str = ""
    license: str = ""
    height: int | None = None
    width: int | None = None
    performance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """Texts about a model."""

    title: str = ""
    publication: str = ""
    doi: Texts = ()
    comment: str = ""
    inputs: Texts = ()


@dataclass(frozen=True)
class Metadata:
    """An entry of medigan's `global.json`, or of the `metadata.json` of a package."""

    execution: Execution
    selection: Annotated[Selection, BeforeValidator(_without_nulls)] = field(
        default_factory=Selection
    )
    description: Annotated[Description, BeforeValidator(_without_nulls)] = field(
        default_factory=Description
    )


@dataclass(frozen=True)
class Model:
    """A model in medigan's format."""

    id: str
    metadata: Metadata

    @property
    def short(self) -> str:
        """The number that its id begins with; the id where there is none."""
        number = self.id[:DIGITS]
        return number if number.isdecimal() and len(number) == DIGITS else self.id

    @property
    def size(self) -> str:
        """Height x width in pixels."""
        about = self.metadata.selection
        return f"{about.height} x {about.width}" if about.height and about.width else "unknown"

    @property
    def fid(self) -> str:
        """The published Fréchet inception distance with its number of images."""
        found = self.metadata.selection.performance
        if found.get("FID") is None:
            return NOT_PUBLISHED
        count = found.get("FID_no_images")
        return f"{found['FID']:g} (N = {count:,})" if count else f"{found['FID']:g} (N unknown)"

    @property
    def words(self) -> str:
        """What a search looks through, in lower case."""
        about, told = self.metadata.selection, self.metadata.description
        lists = (about.organ, about.modality, about.generates, about.dataset, about.function)
        texts = [word for one in lists for word in one]
        return " ".join([self.id, about.type, about.license, told.title, *texts]).casefold()


@cache
def listed() -> tuple[Model, ...]:
    """Return the models of medigan, in the order of their ids; no network is needed."""
    return read_metadata(LISTED.read_bytes(), LISTED.name)


def search(words: str) -> tuple[Model, ...]:
    """Return the listed models that have all of the words in what is said about them."""
    wanted = words.casefold().split()
    return tuple(model for model in listed() if all(word in model.words for word in wanted))


def is_listed(name: str) -> bool:
    """Whether medigan has a model of this id or number."""
    return any(name in (model.id, model.short) for model in listed())


def find(name: str) -> Model:
    """Return a listed model by its id, or by the number that its id begins with.

    Raises:
        UserError: there is none.
    """
    for model in listed():
        if name in (model.id, model.short):
            return model
    raise unknown("model of medigan", name, [model.id for model in listed()])


def read_metadata(content: bytes, where: str) -> tuple[Model, ...]:
    """Read the models of a document in medigan's format; `where` names it in messages.

    Raises:
        UserError: it is not JSON, or an entry lacks what is needed to run the model.
    """
    try:
        document = json.loads(content)
        entries = TypeAdapter(dict[str, Metadata]).validate_python(document)
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise UserError(f"{where} is not JSON: give metadata in medigan's format.") from None
    except ValidationError as error:
        raise UserError(
            f"{where} is not metadata in medigan's format ({first_problem(error)}): "
            "compare it with docs/medigan.md."
        ) from None
    return tuple(Model(name, entries[name]) for name in sorted(entries))
