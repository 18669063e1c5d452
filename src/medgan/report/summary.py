"""The results of a dataset as tables for the terminal and for comparison.csv."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from medgan.evaluation.metrics import (
    AUROC,
    CLASSIFIER,
    DETECTOR,
    HEADLINE,
    RELEASED,
    quality_metric,
)
from medgan.evaluation.results import DetectorResult, Results
from medgan.report import text
from medgan.report.tables import INTERVAL, VALUE, Cell, Column, Table, print_text
from medgan.stats.bootstrap import Estimate
from medgan.words import SMOKE, SMOKE_SCALE

NARROW = 100
FACTS = ("n_images", "n_patients", "interval_unit", "sees_mix", "labels_used")


def render_text(results: Results, width: int = 100) -> str:
    """Write results as text of at most `width` columns."""
    return print_text(summary(results, width), width)


def summary(results: Results, width: int = 100) -> Iterator[Table | str]:
    """Make a table of each section of the results, with the sentences that explain it."""
    wide = INTERVAL if width >= NARROW else VALUE
    if results.provenance.get("scale") == SMOKE_SCALE:
        yield f"*** {SMOKE} ***"
    sections: Mapping[str, Callable[[], Iterable[Table | str]]] = {
        "detectors": lambda: _detectors(results, width),
        "classifiers": lambda: [_classifiers(results, wide)],
        "quality": lambda: _quality(results),
    }
    for name, section in sections.items():
        yield from section() if getattr(results, name) else [text.absent(results, name)]
    yield from text.left_out_sentences(results)


def _detectors(results: Results, width: int) -> Iterator[Table | str]:
    rows = results.detectors
    first = next(iter(rows.values()))
    area = f"AUROC [{text.interval_name(first).split(',')[0]}]" if width >= NARROW else "AUROC"
    columns = [Column(area), *(Column(metric.short, VALUE) for metric in HEADLINE[1:])]
    yield Table(
        [Column("detector"), *columns, Column("notes", text=True)],
        [
            [name, *map(rows[name].metric, HEADLINE), ", ".join(text.notes_of(rows[name]))]
            for name in text.best_first(rows)
        ],
        f"Detectors on {results.dataset}, {results.split}: {text.size_of(first)}",
    )
    rules = "; ".join(sorted({row.threshold.rule for row in rows.values()}))
    what = f"[..] is the {text.interval_name(first)}"
    yield f"{what}; decisions at a threshold frozen on validation ({rules})."
    for warning, names in text.grouped_warnings(rows):
        yield f"Warning: {', '.join(names)}{': ' if names else ''}{warning}"


def _classifiers(results: Results, wide: Any) -> Table:
    rows = results.classifiers
    first = next(iter(rows.values()))
    shown = [metric for metric in CLASSIFIER if metric.required or metric.key == AUROC.key]
    forms = {AUROC.key: INTERVAL, "accuracy": wide}
    columns = [Column(metric.name, forms.get(metric.key, VALUE)) for metric in shown]
    return Table(
        [Column("arm"), *columns],
        [[name, *map(row.metric, shown)] for name, row in rows.items()],
        f"Classifier arms on {results.dataset}, {results.split}: {text.size_of(first)}, "
        f"{text.seeds_text(first.n_seeds)}",
    )


def _quality(results: Results) -> Iterator[Table | str]:
    shared = text.shared_class(results.quality)
    found = {model: classes.of(shared) for model, classes in results.quality.items()}
    first = next(iter(found.values()))
    yield Table(
        [Column("metric"), *(Column(name, VALUE) for name in (*found, "real", "n"))],
        [
            [
                quality_metric(key).name,
                *(metrics.get(key) for metrics in found.values()),
                one.real_vs_real,
                "" if one.n is None else f"{one.n}",
            ]
            for key, one in first.items()
        ],
        f"Image quality, {shared} images; 'real' is the metric of real images against real images",
    )
    yield from text.missing_reasons(each for metrics in found.values() for each in metrics.values())
    for model, made in results.quality.items():
        if verdict := made.overall.get(RELEASED.key):
            told = "may be released" if verdict.value else f"refused by {verdict.reason}"
            yield f"Images of {model}: {told}"


def comparison_table(rows: Mapping[str, DetectorResult]) -> pd.DataFrame:
    """Lay out one line for each detector with all its metrics; missing values are empty."""
    flat = {name: _flat(row) for name, row in rows.items()}
    columns = list(dict.fromkeys(column for row in flat.values() for column in row))
    cells = [[name, *(row.get(column) for column in columns)] for name, row in flat.items()]
    return Table(["detector", *columns], cells).frame()


def _flat(row: DetectorResult) -> dict[str, Cell]:
    facts = {key: getattr(row, key) for key in FACTS}
    if row.volume_score is not None:
        facts["volume_score"] = row.volume_score.aggregate
    threshold = {"threshold": row.threshold.value, "threshold_rule": row.threshold.rule}
    return {**dict(_metrics(row)), **facts, **threshold}


def _metrics(row: DetectorResult) -> Iterator[tuple[str, Estimate]]:
    yield from ((metric.key, row.metric(metric)) for metric in DETECTOR)
    specific, sensitive, patients = row.at_95_specificity, row.at_95_sensitivity, row.patient_level
    further = {
        "patient_auroc": patients and patients.auroc,
        "sensitivity_at_95_specificity": specific and specific.sensitivity,
        "false_alarms_per_100_normals_at_95_sensitivity": sensitive
        and sensitive.false_alarms_per_100_normals,
        "validation_auroc": row.validation_auroc,
        "perturbed_validation_auroc": row.validation and row.validation.perturbed_auroc,
    }
    yield from ((name, found or Estimate(None)) for name, found in further.items())
    for rule, decision in row.decisions.items():
        yield f"sensitivity ({rule})", decision.sensitivity
        yield f"specificity ({rule})", decision.specificity
    yield from ((f"auroc ({name})", found.auroc) for name, found in row.per_category.items())
