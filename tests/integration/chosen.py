"""Models whose trainings `make test` runs; `make test-long` runs them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from medgan import models


def trained_in_suite(names: Sequence[str], also_long: Sequence[str] = ()) -> list[Any]:
    """Mark models on request, and those that take minutes, as long."""
    quick = set(models.by_default()) - set(also_long)
    return [name if name in quick else pytest.param(name, marks=pytest.mark.long) for name in names]
