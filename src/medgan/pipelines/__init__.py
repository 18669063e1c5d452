"""The six pipelines. Their nodes are pure functions; the catalog owns every file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any


def for_model(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A node function told which model or arm it is for, with the name that Kedro shows."""
    bound = partial(function, name)
    bound.__name__ = function.__name__  # type: ignore[attr-defined]
    return bound
