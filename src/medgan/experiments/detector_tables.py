"""The tables of docs/results.md that compare the detectors."""

from __future__ import annotations

from medgan.evaluation.metrics import AUROC, DETECTOR, HEADLINE
from medgan.evaluation.results import FAILED, DetectorResult
from medgan.experiments.comparisons import compared, difference, shared_seeds
from medgan.experiments.document import Collected
from medgan.report.tables import Cell, Table
from medgan.report.text import best_first, number, p_text, signed_interval
from medgan.stats.bootstrap import Estimate

NOTHING = "–"


def detectors(found: Collected) -> Table:
    """One line for each detector, the best first."""
    rows = compared(found)
    areas = ("detector", AUROC.name, "between seeds", "validation / perturbed")
    decisions = (metric.name.lower() for metric in HEADLINE[1:])
    columns = (*areas, *decisions, "what chose", "against its baseline")
    return Table(columns, [_detector(found, name, rows[name]) for name in best_first(rows)])


def _detector(found: Collected, name: str, row: DetectorResult) -> list[Cell]:
    test, against = difference(found, name), FAILED if row.failed else NOTHING
    if test is not None:
        gap = signed_interval(test.difference)
        against = f"{gap} from {test.second}, {p_text(test.p_holm)}{shared_seeds(found, test)}"
    perturbed = row.validation.perturbed_auroc if row.validation else None
    told = found.trained.get(name)
    notes = [*([told.form] if told and told.form else []), *(["sees the mix"] * row.sees_mix)]
    return [
        f"{name} ({', '.join(notes)})" if notes else name,
        row.auroc,
        spread(row.auroc),
        f"{number(row.validation_auroc)} / {number(perturbed)}",
        *(row.metric(metric) for metric in HEADLINE[1:]),
        _what_chose(found, name, row),
        against,
    ]


def validation(found: Collected) -> Table:
    """Every metric on validation, and under it on test."""
    rows: list[list[Cell]] = []
    known = compared(found)
    for name, row in ((name, known[name]) for name in best_first(known)):
        if row.validation is not None:
            rows.append([name, "validation", *map(row.validation.metric, DETECTOR)])
            rows.append([name, "test", *map(row.metric, DETECTOR)])
    return Table(("detector", "images", *(metric.name for metric in DETECTOR)), rows)


def _what_chose(found: Collected, name: str, row: DetectorResult) -> str:
    """What chose weights, settings, score and threshold of a row on validation, where anything
    did; of an ensemble, those of its rows.
    """
    experiment, parts = found.experiment, list[str]()
    members = experiment.ensembles.get(name, (name,))
    trained = [found.trained[one] for one in members if one in found.trained]
    if any("AUCp" in (choice or "") for told in trained for choice in told.choice):
        parts.append("weights: unlabelled mix")
    tried = {trial.model for trial in experiment.tried.values()}
    if tried & {experiment.model_of(one) for one in members}:
        parts.append("settings: labels")
    scores = dict.fromkeys(name for told in trained for name in told.score)
    if scores:
        parts.append(f"score ({', '.join(scores)}): labels")
    decision = row.decisions.get(row.threshold.rule)
    if (decision.labels_used if decision else row.labels_used) == "threshold":
        parts.append("threshold: labels")
    return "; ".join(parts) or "nothing"


def spread(found: Estimate) -> str:
    """The range between trainings."""
    values = [value for value in found.per_seed if value is not None]
    return NOTHING if len(values) < 2 else f"{min(values):.3f} to {max(values):.3f} ({len(values)})"
