"""All detectors in one table: a line for each, its figures, bounds and facts as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from medgan.evaluation.results import DETECTOR_FIGURES

FACTS = ("n_images", "n_patients", "interval_unit", "sees_mix", "labels_used")
BOUNDS = ("value", "low", "high")


def comparison_table(rows: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One line for each detector; what cannot be had is empty, and the row in results.json says why."""
    return pd.DataFrame([{"detector": name, **_flat(row)} for name, row in rows.items()])


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    figures = {key if bound == "value" else f"{key}_{bound}": figure.get(bound) for key, figure in _figures(row) for bound in BOUNDS}
    facts = {key: row[key] for key in FACTS}
    facts |= {"volume_score": row["volume_score"]["aggregate"]} if "volume_score" in row else {}
    return {**figures, **facts, "threshold": row["threshold"]["value"], "threshold_rule": row["threshold"]["rule"]}


def _figures(row: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from ((key, row[key]) for key in (*DETECTOR_FIGURES, "accuracy"))
    yield "patient_auroc", row["patient_level"]["auroc"]
    yield "sensitivity_at_95_specificity", row["at_95_specificity"]["sensitivity"]
    yield "false_alarms_per_100_normals_at_95_sensitivity", row["at_95_sensitivity"]["false_alarms_per_100_normals"]
    yield "validation_auroc", row["validation_auroc"]
    for rule, decision in row["decisions"].items():
        yield from ((f"{key} ({rule})", decision[key]) for key in ("sensitivity", "specificity"))
    for category, figures in row["per_category"].items():
        yield f"auroc ({category})", figures["auroc"]
