"""The results of a data set: schema 1, the project's machine-readable face.

    {"schema": 1, "dataset", "split": "test", "provenance": {...},
     "detectors": {name: row}, "classifiers": {arm: row}, "quality": {model: {class or "overall":
     {figure: {...}}}}}

A figure is {"value", "low", "high"}, or {"value": null, "reason"} where it cannot be had. Nothing
in it is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from medgan.errors import UserError

SCHEMA = 1
SECTIONS = ("detectors", "classifiers", "quality")
DETECTOR_FIGURES = ("auroc", "average_precision", "sensitivity", "specificity", "precision", "f1")
CLASSIFIER_FIGURES = ("accuracy", "precision", "recall", "f1", "auroc")
NO_FIGURE = "has neither a value nor a reason for its absence"
ROW_KEYS = ("n_images", "n_patients", "interval_unit", "n_seeds", "seeds")
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "detectors": (*DETECTOR_FIGURES, *ROW_KEYS, "threshold", "sees_mix", "labels_used"),
    "classifiers": (*CLASSIFIER_FIGURES, *ROW_KEYS),
    "quality": (),
}
FIGURES: Mapping[str, tuple[str, ...]] = {
    "detectors": DETECTOR_FIGURES,
    "classifiers": CLASSIFIER_FIGURES,
    "quality": (),
}


def new_document(
    dataset: str, split: str = "test", provenance: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A document without results."""
    return {
        "schema": SCHEMA,
        "dataset": dataset,
        "split": split,
        "provenance": dict(provenance or {}),
        **{name: {} for name in SECTIONS},
    }


def rows_of(section: Mapping[str, Any] | None) -> dict[str, Any]:
    """The rows of a section as the catalog stores it ({"data": hash, "rows": {...}}), of bare rows,
    or of nothing.
    """
    return dict((section or {}).get("rows", section or {}))


def validate(document: Mapping[str, Any]) -> None:
    """Nothing where the document is one of schema 1.

    Raises:
        UserError: the first thing that is missing, of the wrong kind, or not finite.
    """
    if document.get("schema") != SCHEMA:
        raise UserError(
            f"Results have schema {document.get('schema')!r}, this medgan reads {SCHEMA}: run 'kedro run' again."
        )
    for key in ("dataset", "split", "provenance", *SECTIONS):
        _require(key in document, f"Results have no '{key}'")
    for section in SECTIONS:
        _require(
            isinstance(document[section], Mapping), f"Results: '{section}' is not a mapping of rows"
        )
        for name, row in document[section].items():
            _validate_row(section, name, row)
    require_finite_numbers(document, "results")


def _validate_row(section: str, name: str, row: Any) -> None:
    _require(isinstance(row, Mapping), f"Results: {section}.{name} is not a row")
    missing = [key for key in REQUIRED[section] if key not in row]
    _require(not missing, f"Results: {section}.{name} has no {', '.join(missing)}")
    for key in FIGURES[section]:
        _require(
            isinstance(row[key], Mapping) and "value" in row[key],
            f"Results: {section}.{name}.{key} {NO_FIGURE}",
        )
    require_reasons(row, f"{section}.{name}")


def require_reasons(value: Any, where: str) -> None:
    """Nothing where every figure inside has a value, or says why it has none.

    Raises:
        UserError: names the place of the first one that does not.
    """
    if not isinstance(value, Mapping):
        return
    _require(
        "value" not in value or value["value"] is not None or bool(value.get("reason")),
        f"Results: {where} {NO_FIGURE}",
    )
    for key, inner in value.items():
        require_reasons(inner, f"{where}.{key}")


def require_finite_numbers(value: Any, where: str) -> None:
    """Nothing where no number inside is NaN or infinite.

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
            f"{where} is {value}: a figure that cannot be had is {{'value': null, 'reason': ...}}; run 'kedro run' again."
        )


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise UserError(f"{complaint}: run 'kedro run' again.")
