"""Read and check `results.json`, schema 1."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from medgan.errors import UserError
from medgan.evaluation.metrics import CLASSIFIER, DETECTOR
from medgan.evaluation.results import SCHEMA, Results
from medgan.files.documents import from_json

SECTIONS = ("detectors", "classifiers", "quality")
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "detectors": tuple(metric.key for metric in DETECTOR if metric.required),
    "classifiers": tuple(metric.key for metric in CLASSIFIER if metric.required),
    "quality": (),
}


def read_results(document: Any) -> Results:
    """Read a document of schema 1.

    Raises:
        UserError: names the first thing that is missing, of the wrong type, or not finite.
    """
    schema = document.get("schema") if isinstance(document, Mapping) else None
    _require(schema == SCHEMA, f"Results have schema {schema!r}, this medgan reads {SCHEMA}")
    for key in ("dataset", "split", "provenance", *SECTIONS):
        _require(key in document, f"Results have no '{key}'")
    require_finite_numbers(document, "results")
    results = from_json(Results, document, "The results document")
    for section in SECTIONS:
        for name, row in document[section].items():
            missing = [key for key in REQUIRED[section] if key not in row]
            _require(not missing, f"Results: {section}.{name} has no {', '.join(missing)}")
            require_reasons(row, f"{section}.{name}")
    return results


def require_reasons(value: Any, where: str) -> None:
    """Check that every metric inside has a value, or says why it has none.

    Raises:
        UserError: names the place of the first one that does not.
    """
    if not isinstance(value, Mapping):
        return
    _require(
        "value" not in value or value["value"] is not None or bool(value.get("reason")),
        f"Results: {where} has neither a value nor a reason for its absence",
    )
    for key, inner in value.items():
        require_reasons(inner, f"{where}.{key}")


def require_finite_numbers(value: Any, where: str) -> None:
    """Check that no number inside is NaN or infinite.

    Raises:
        UserError: names the place of the first one.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            require_finite_numbers(inner, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            require_finite_numbers(inner, f"{where}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(
            f"{where} is {value}: a missing metric is {{'value': null, 'reason': ...}}; "
            "run 'kedro run' again."
        )


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise UserError(f"{complaint}: run 'kedro run' again.")
