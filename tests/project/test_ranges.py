"""Every number of every section and model has a range; its ends are read, and nothing beyond."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from medgan.errors import UserError
from medgan.images.config import PreprocessingConfig
from medgan.project.loader import MedganConfigLoader
from medgan.project.parameters import Scale, at_scale, sections, typed
from medgan.ranges import Range
from tests.conftest import ROOT

SECTIONS = sections()
OPTIONAL = {
    "preprocessing": {"crop": {}, "split_seed": 0},
    "evaluation": {
        "label_noise": {"anomalous": 0.0, "normal": 0.0},
        "region": {"name": "lungs", "top": 0.0, "bottom": 0.0, "left": 0.0, "right": 0.0},
    },
}
"""Sections of settings that are off by default."""
WRONG = [float("nan"), float("inf"), float("-inf"), "many", True, False, [], {}, 10**30, -(10**30)]


def numbers(kind: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple, type, Any]]:
    """The path, type and range (or None) of every number below a type."""
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    ranges = [note for note in arguments[1:] if isinstance(note, Range)]
    if origin is Annotated and arguments[0] in (int, float):
        yield path, arguments[0], ranges[0] if ranges else None
    elif origin in (int, float):
        yield path, kind, None
    else:
        for below, inner in _inner(origin, arguments):
            yield from numbers(inner, (*path, *below))


def _inner(origin: Any, arguments: tuple[Any, ...]) -> Iterator[tuple[tuple, Any]]:
    """The places and types of what a type holds."""
    if is_dataclass(origin):
        filled = dict(zip(getattr(origin, "__parameters__", ()), arguments, strict=False))
        hints = get_type_hints(origin, include_extras=True)
        yield from (
            (((field.name,), filled.get(hints[field.name], hints[field.name])))
            for field in fields(origin)
        )
    elif origin in (Union, types.UnionType, Annotated):
        yield from (((), one) for one in arguments)
    elif origin in (tuple, list):
        yield (0,), arguments[0]
    elif isinstance(origin, type) and issubclass(origin, Mapping) and arguments:
        yield ("any",), arguments[1]


NUMBERS = [
    pytest.param(name, *found, id=".".join(map(str, (name, *found[0]))))
    for name, kind in SECTIONS.items()
    for found in numbers(kind)
]
BASE = at_scale(MedganConfigLoader(ROOT / "conf", None, {"scale": "smoke"})["parameters"])


def read(section: str, path: tuple[str | int, ...], value: object) -> None:
    """Read a section of conf/base with one number changed."""
    document = copy.deepcopy(BASE[section])
    if isinstance(document, dict):
        document |= copy.deepcopy(OPTIONAL.get(section, {}))
    whole: Any = {section: document, "scale": "smoke"}
    target, place = whole, section
    for part in path:
        if part == 0:
            target[place] = [None]
        elif target.get(place) is None or part == "any":
            target[place] = {}
        target, place = target[place], part
    target[place] = value
    typed(whole, {section: SECTIONS[section], "scale": Scale})


def test_there_are_numbers_everywhere() -> None:
    found = {tuple(param.values[0:2]) for param in NUMBERS}
    assert len(found) > 150
    for known in (
        ("seed", ()),
        ("dcgan", ("training", "steps", "any")),
        ("fanogan", ("model", "n_critic")),
        ("evaluation", ("prevalences", 0)),
        ("evaluation", ("label_noise", "normal")),
        ("preprocessing", ("split_seed",)),
        ("preprocessing", ("crop", "top")),
        ("synthesis", ("domain_features", "batch_size")),
    ):
        assert known in found


@pytest.mark.parametrize(("section", "path", "number", "limits"), NUMBERS)
def test_every_number_has_a_range_that_is_kept(
    section: str, path: tuple, number: type, limits: Range | None
) -> None:
    assert limits is not None, "state its range in its type: Annotated[int, Range(low, high)]"
    assert limits.low < limits.high < float("inf")
    ends = {number(limits.low): limits.low_open, number(limits.high): limits.high_open}
    for value, is_open in ends.items():
        if not is_open:
            read(section, path, value)
    tiny = 1 if number is int else 1e-9
    beyond = [limits.low - tiny, limits.high + max(tiny, limits.high * 1e-9), -4]
    wrong = [value for value, is_open in ends.items() if is_open] + beyond + WRONG
    for value in wrong:
        if isinstance(value, int | float) and not isinstance(value, bool) and value in limits:
            continue
        with pytest.raises(UserError) as refused:
            read(section, path, value)
        assert str(refused.value).startswith(f"conf: `{'.'.join([section, *map(str, path)])}")
        assert "\n" not in str(refused.value)
    if number is int:
        with pytest.raises(UserError):
            read(section, path, (limits.low + limits.high) / 2 + 0.25)


@pytest.mark.parametrize(
    ("section", "path", "value"),
    [
        *((name, ("training", "batch_size"), size) for name in ("dcgan", "bigan") for size in (0, 1, -4)),
        *(("acgan", ("training", "steps", "any"), steps) for steps in (0, -1)),
        *(("sngan", ("model", key), 0) for key in ("latent_dim", "width", "n_critic", "lr")),
        *(("dcgan", ("model", key), -1) for key in ("width", "lr", "warm_start", "search_steps")),
        ("dcgan", ("model", "warm_start"), 0),
        ("fanogan", ("training", "accumulate"), 0),
        ("fanogan", ("training", "ema_decay"), -0.1),
        ("fanogan", ("training", "ema_decay"), 1),
        ("synthesis", ("images_per_class",), 0),
        ("seed", (), -1),
        ("seed", (), 1.5),
        ("preprocessing", ("channels",), 2),
        ("preprocessing", ("size",), 10**9),
    ],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(section: str, path: tuple, value: float) -> None:
    with pytest.raises(UserError, match=rf"`{section}.*(is|give) "):
        read(section, path, value)


def test_choices_among_numbers_are_no_ranges() -> None:
    assert list(numbers(Literal[1, 3])) == []
    assert list(numbers(int)) == [((), int, None)]


def test_a_choice_that_python_code_makes_is_checked_too() -> None:
    with pytest.raises(
        UserError, match=r"preprocessing\.split is `halves`; choose from auto, by_p"
    ):
        PreprocessingConfig(split="halves")  # type: ignore[arg-type]
