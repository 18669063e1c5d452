"""The card of a published model as a page for readers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medgan.evaluation.metrics import VALIDATION
from medgan.models import PublishedModel, display_name
from medgan.nested import leaves
from medgan.words import capital, readable

Rows = Sequence[Sequence[Any]]
ELSEWHERE = ("name", "title", "intended_use", "limits", "figures", "looks", "splits", "budget")
"""Entries of a card that the table of the training leaves out."""


def page_of(model: PublishedModel) -> str:
    """Write the card in Markdown; empty sections are left out."""
    card = model.card
    facts = {key: value for key, value in card.items() if key not in ELSEWHERE}
    configuration = {
        **model.configuration,
        "image": " x ".join(map(str, model.spec.shape)),
        "classes": model.spec.classes,
    }
    sections = {
        "## Validation of the published step": _validations([card.get("figures", {})]),
        "## Training": _pairs((readable(key), value) for key, value in facts.items()),
        "## Images of the splits": _splits(card.get("splits", {})),
        "## Validations during training": _validations(card.get("looks", [])),
        "## Limits": "\n".join(f"- {limit}" for limit in card.get("limits", ())),
        "## Budget": _pairs(_settings(card.get("budget", {}))),
        "## Configuration": _pairs(_settings(configuration)),
    }
    parts = [f"{head}\n\n{text}" for head, text in sections.items() if text]
    return "\n\n".join([f"# {_title(model)}", card.get("intended_use", ""), *parts]) + "\n"


def _title(model: PublishedModel) -> str:
    """The model as readers know it; a classifier by what it was trained on."""
    name = str(model.card.get("name", model.name))
    if name == model.name:
        return capital(display_name(name))
    return f"{capital(display_name(model.name))}: {model.card.get('title', readable(name))}"


def _settings(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((f"`{name}`", value) for name, value in leaves(values))


def _pairs(values: Iterator[tuple[str, Any]]) -> str:
    return _table(("Entry", "Value"), [[name, _shown(value)] for name, value in values])


def _validations(validations: Sequence[Mapping[str, Any]]) -> str:
    """One row a validation; nothing where none measured anything."""
    metrics = [key for key in VALIDATION if any(key in one for one in validations)]
    if not metrics:
        return ""
    steps = ["Step"] if any("step" in one for one in validations) else []
    rows = [
        [*(one["step"] for _ in steps), *(_metric(one.get(key)) for key in metrics)]
        for one in validations
    ]
    return _table([*steps, *(VALIDATION[key] for key in metrics)], rows)


def _metric(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float | int) else _shown(value)


def _splits(splits: Mapping[str, Mapping[str, int]]) -> str:
    classes = list(dict.fromkeys(name for counts in splits.values() for name in counts))
    rows = [[split, *(counts.get(name, 0) for name in classes)] for split, counts in splits.items()]
    return _table(("Split", *classes), rows)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_shown(inner)}" for name, inner in leaves(value))
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _table(headings: Sequence[str], rows: Rows) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) if rows else ""
