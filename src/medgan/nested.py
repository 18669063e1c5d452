"""Nested results and settings as the flat names and plain values that a tracker stores."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

_FORBIDDEN = re.compile(r"[^\w\-. /:]")
VALUE_LENGTH = 500
OVERALL = "overall"


def leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of everything in nested mappings and dataclasses."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if not isinstance(value, Mapping):
        yield prefix, value
        return
    for key, inner in value.items():
        yield from leaves(inner, f"{prefix}.{key}" if prefix else str(key))


def numbers(value: Any) -> dict[str, float]:
    """The finite numbers in a nested result; an infinite one never reaches the tracker, which would
    store 1.8e308 (fault F47).
    """
    return {
        _FORBIDDEN.sub("_", name): float(number)
        for name, number in leaves(value)
        if _finite(number)
    }


def shallow(value: Mapping[str, Any]) -> dict[str, Any]:
    """The figures at the top of a nested result: its numbers, and the numbers of mappings that hold
    nothing deeper (`auroc.value`).

    Those of its part `overall` are main figures too.
    """
    flat = {key: inner for key, inner in value.items() if not isinstance(inner, Mapping)}
    parts = {key: inner for key, inner in value.items() if isinstance(inner, Mapping)}
    figures = {
        key: inner
        for key, inner in parts.items()
        if not any(isinstance(part, Mapping) for part in inner.values())
    }
    return flat | figures | ({OVERALL: shallow(parts[OVERALL])} if OVERALL in parts else {})


def not_finite(value: Any) -> list[str]:
    """Names of the numbers in a nested result that are infinite or not a number."""
    return [
        name
        for name, number in leaves(value)
        if isinstance(number, float) and not math.isfinite(number)
    ]


def texts(value: Any) -> dict[str, str]:
    """Every leaf as text, cut to what a tracker takes."""
    return {_FORBIDDEN.sub("_", name): str(leaf)[:VALUE_LENGTH] for name, leaf in leaves(value)}


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
