"""Results as a table for the terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

from medgan.evaluation.results import validate
from medgan.evaluation.wording import (
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
    """The document as text of at most `width` columns, without colours.

    Raises:
        Refusal: the document is not one of schema 1.
    """
    from rich.console import Console

    validate(document)
    console = Console(file=io.StringIO(), width=width, force_terminal=False, color_system=None, legacy_windows=False)
    for renderable in renderables(document, width):
        console.print(renderable)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def renderables(document: Mapping[str, Any], width: int = 100) -> Iterator[Any]:
    """What rich prints: a table or a sentence for each section, and what the reader must know about it."""
    makers = {"detectors": _detectors, "classifiers": _classifiers, "quality": _quality}
    for section, make in makers.items():
        rows = document[section]
        yield from make(document, rows, width) if rows else (ABSENT[section],)


def _detectors(document: Mapping[str, Any], rows: Mapping[str, Any], width: int) -> Iterator[Any]:
    first = next(iter(rows.values()))
    table = _table(f"Detectors on {document['dataset']}, {document['split']}: {size_of(first)}")
    _columns(table, "detector", "AUROC" if width < NARROW else f"AUROC [{interval_name(first).split(',')[0]}]", "sens.", "spec.", "notes")
    for name in best_first(rows):
        row = rows[name]
        cells = (with_interval(row["auroc"]), number(row["sensitivity"]), number(row["specificity"]), ", ".join(notes_of(row)))
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
    table = _table(f"Classifier arms on {document['dataset']}, {document['split']}: {size_of(first)}, {seeds_of(first)}")
    _columns(table, "arm", "accuracy", "AUROC", "precision", "recall", "F1")
    for name, row in rows.items():
        wide = with_interval if width >= NARROW else number
        table.add_row(
            name, wide(row["accuracy"]), with_interval(row["auroc"]), *(number(row[key]) for key in ("precision", "recall", "f1"))
        )
    yield table


def _quality(document: Mapping[str, Any], rows: Mapping[str, Any], width: int) -> Iterator[Any]:
    shared = shared_class(rows)
    figures = {model: classes.get(shared, {}) for model, classes in rows.items()}
    first = next(iter(figures.values()))
    table = _table(f"Image quality, {shared} images; 'real' is the same figure of real images against real images")
    _columns(table, "figure", *figures, "real", "n")
    for key, figure in first.items():
        values = (number(model.get(key)) for model in figures.values())
        table.add_row(pairing_name(key), *values, number({"value": figure.get("real_vs_real")}), str(figure.get("n", "")))
    yield table
    yield from missing_reasons(figure for model in figures.values() for figure in model.values())


def _table(title: str) -> Any:
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", title_style="", box=box.SIMPLE_HEAD, pad_edge=False)


def _columns(table: Any, first: str, *others: str) -> None:
    table.add_column(first, no_wrap=True)
    for name in others:
        text = name == "notes"
        table.add_column(name, justify="left" if text else "right", overflow="fold", no_wrap=not text)
