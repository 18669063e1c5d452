"""Results as a table for the terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from medgan.evaluation.results import DETECTOR_FIGURES, validate
from medgan.report.text import (
    ABSENT,
    best_first,
    grouped_warnings,
    interval_name,
    missing_reasons,
    notes_of,
    number,
    pairing_name,
    seeds_of,
    shared_class,
    size_of,
    with_interval,
)

NARROW = 100


def render_text(document: Mapping[str, Any], width: int = 100) -> str:
    """The document as text of at most `width` columns, without colors.

    Raises:
        UserError: the document is not one of schema 1.
    """
    from rich.console import Console

    validate(document)
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=False,
        color_system=None,
        legacy_windows=False,
    )
    for renderable in renderables(document, width):
        console.print(renderable)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def renderables(document: Mapping[str, Any], width: int = 100) -> Iterator[Any]:
    """What rich prints: a table or a sentence for each section, and what the reader must know about
    it.
    """
    makers = {"detectors": _detectors, "classifiers": _classifiers, "quality": _quality}
    for section, make in makers.items():
        rows = document[section]
        yield from make(document, rows, width) if rows else (ABSENT[section],)


def _detectors(document: Mapping[str, Any], rows: Mapping[str, Any], width: int) -> Iterator[Any]:
    first = next(iter(rows.values()))
    table = _table(f"Detectors on {document['dataset']}, {document['split']}: {size_of(first)}")
    _columns(
        table,
        "detector",
        "AUROC" if width < NARROW else f"AUROC [{interval_name(first).split(',')[0]}]",
        "sens.",
        "spec.",
        "notes",
    )
    for name in best_first(rows):
        row = rows[name]
        cells = (
            with_interval(row["auroc"]),
            number(row["sensitivity"]),
            number(row["specificity"]),
            ", ".join(notes_of(row)),
        )
        table.add_row(name, *cells)
    yield table
    rules = sorted({row["threshold"]["rule"] for row in rows.values()})
    yield f"[..] is the {interval_name(first)}; sensitivity and specificity at a threshold frozen on validation ({'; '.join(rules)})."
    yield from _warned(rows)


def _warned(rows: Mapping[str, Any]) -> Iterator[str]:
    for warning, names in grouped_warnings(rows):
        yield f"Warning: {', '.join(names)}{': ' if names else ''}{warning}"


def _classifiers(document: Mapping[str, Any], rows: Mapping[str, Any], width: int) -> Iterator[Any]:
    first = next(iter(rows.values()))
    table = _table(
        f"Classifier arms on {document['dataset']}, {document['split']}: {size_of(first)}, {seeds_of(first)}"
    )
    _columns(table, "arm", "accuracy", "AUROC", "precision", "recall", "F1")
    for name, row in rows.items():
        wide = with_interval if width >= NARROW else number
        table.add_row(
            name,
            wide(row["accuracy"]),
            with_interval(row["auroc"]),
            *(number(row[key]) for key in ("precision", "recall", "f1")),
        )
    yield table


def _quality(document: Mapping[str, Any], rows: Mapping[str, Any], width: int) -> Iterator[Any]:
    shared = shared_class(rows)
    figures = {model: classes.get(shared, {}) for model, classes in rows.items()}
    first = next(iter(figures.values()))
    table = _table(
        f"Image quality, {shared} images; 'real' is the same figure of real images against real images"
    )
    _columns(table, "figure", *figures, "real", "n")
    for key, figure in first.items():
        values = (number(model.get(key)) for model in figures.values())
        table.add_row(
            pairing_name(key),
            *values,
            number({"value": figure.get("real_vs_real")}),
            str(figure.get("n", "")),
        )
    yield table
    yield from missing_reasons(figure for model in figures.values() for figure in model.values())


def _table(title: str) -> Any:
    from rich import box
    from rich.table import Table

    return Table(
        title=title, title_justify="left", title_style="", box=box.SIMPLE_HEAD, pad_edge=False
    )


def _columns(table: Any, first: str, *others: str) -> None:
    table.add_column(first, no_wrap=True)
    for name in others:
        text = name == "notes"
        table.add_column(
            name, justify="left" if text else "right", overflow="fold", no_wrap=not text
        )


FACTS = ("n_images", "n_patients", "interval_unit", "sees_mix", "labels_used")
BOUNDS = ("value", "low", "high")


def comparison_table(rows: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One line for each detector; what cannot be had is empty, and the row in results.json says
    why.
    """
    return pd.DataFrame([{"detector": name, **_flat(row)} for name, row in rows.items()])


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    figures = {
        key if bound == "value" else f"{key}_{bound}": figure.get(bound)
        for key, figure in _figures(row)
        for bound in BOUNDS
    }
    facts = {key: row[key] for key in FACTS}
    facts |= {"volume_score": row["volume_score"]["aggregate"]} if "volume_score" in row else {}
    return {
        **figures,
        **facts,
        "threshold": row["threshold"]["value"],
        "threshold_rule": row["threshold"]["rule"],
    }


def _figures(row: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from ((key, row[key]) for key in (*DETECTOR_FIGURES, "accuracy"))
    yield "patient_auroc", row["patient_level"]["auroc"]
    yield "sensitivity_at_95_specificity", row["at_95_specificity"]["sensitivity"]
    yield (
        "false_alarms_per_100_normals_at_95_sensitivity",
        row["at_95_sensitivity"]["false_alarms_per_100_normals"],
    )
    yield "validation_auroc", row["validation_auroc"]
    for rule, decision in row["decisions"].items():
        yield from ((f"{key} ({rule})", decision[key]) for key in ("sensitivity", "specificity"))
    for category, figures in row["per_category"].items():
        yield f"auroc ({category})", figures["auroc"]
