"""Flatten nested settings and results to the names and plain values that a tracker stores."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

VALUE_LENGTH = 500
"""Characters of a text that a tracker stores."""
OVERALL = "overall"
"""Part of a result whose metrics are main metrics too."""
_FORBIDDEN = re.compile(r"[^\w\-. /:]")


def leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of everything in nested mappings and dataclasses."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if not isinstance(value, Mapping):
        yield prefix, value
        return
    for key, inner in value.items():
        yield from leaves(inner, f"{prefix}.{key}" if prefix else str(key))


def numbers(value: Any) -> dict[str, float]:
    """Return the finite numbers; MLflow would store an infinite one as 1.8e308."""
    return {
        _FORBIDDEN.sub("_", name): float(leaf)
        for name, leaf in leaves(value)
        if _is_number(leaf) and math.isfinite(leaf)
    }


def not_finite(value: Any) -> list[str]:
    """Return the names of the numbers that are infinite or NaN."""
    return [name for name, leaf in leaves(value) if _is_number(leaf) and not math.isfinite(leaf)]


def texts(value: Any) -> dict[str, str]:
    """Return every leaf as text of at most VALUE_LENGTH characters."""
    return {_FORBIDDEN.sub("_", name): str(leaf)[:VALUE_LENGTH] for name, leaf in leaves(value)}


def shallow(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the main metrics: plain values and mappings without nested mappings, such as
    `{"auroc": {"value": ...}}`, at the top and in the part OVERALL.
    """
    nested = {
        key
        for key, inner in value.items()
        if isinstance(inner, Mapping) and any(isinstance(part, Mapping) for part in inner.values())
    }
    overall = value.get(OVERALL)
    main = {key: inner for key, inner in value.items() if key not in nested}
    return main | ({OVERALL: shallow(overall)} if isinstance(overall, Mapping) else {})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
