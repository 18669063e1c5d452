"""The tables of docs/results.md, each from the results of one dataset; a table without rows is left
out of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from medgan.audits.results import AgainstShortcut, Scopes
from medgan.audits.shortcuts import COARSE, FLAG
from medgan.evaluation.metrics import (
    ACCURACY,
    BALANCED_ACCURACY,
    RECALL,
    SPECIFICITY,
    quality_metric,
)
from medgan.experiments.comparisons import compared
from medgan.experiments.detector_tables import NOTHING, detectors, spread, validation
from medgan.experiments.document import Collected, Trained
from medgan.experiments.plan import Experiment
from medgan.metrics.quality import QualityMetric
from medgan.report import text
from medgan.report.tables import SIGNED, VALUE, Cell, Column, Table
from medgan.stats.bootstrap import Estimate
from medgan.words import readable


def seeds_range(numbers: Iterable[int]) -> str:
    """`1 to 3 seeds: exploratory`; empty for none."""
    counts = sorted(set(numbers))
    if len(counts) < 2:
        return text.seeds_text(counts[0]) if counts else ""
    exploratory = ", under ten exploratory" if counts[-1] >= text.EXPLORATORY_BELOW else ""
    return f"{counts[0]} to {text.seeds_text(counts[-1])}{exploratory}"


def n_seeds(found: Estimate | QualityMetric) -> int:
    """Number of trainings that a metric is the mean of."""
    return len(found.per_seed) or 1


def shortcuts(found: Collected) -> Table:
    """Each detector beside the best shortcuts."""
    columns = (
        "detector",
        "best shortcut",
        Column("difference", SIGNED),
        "best that cannot show the disease",
        Column("difference", SIGNED),
        "conclusion",
    )
    audited = {name: found.shortcuts.get(name) for name in text.best_first(compared(found))}
    rows = [
        [name, *_beside(scopes.any), *_beside(scopes.not_the_disease), reading(scopes)]
        for name, scopes in audited.items()
        if scopes is not None
    ]
    return Table(columns, rows)


def _beside(found: AgainstShortcut | None) -> list[Cell]:
    if found is None:
        return [NOTHING, NOTHING]
    name = readable(found.shortcut or NOTHING)
    return [f"{name}, {text.with_interval(found.auroc)}", found.difference]


def reading(scopes: Scopes) -> str:
    """Conclude from the comparison with shortcuts; it completes `it is`."""
    best, other = scopes.any, scopes.not_the_disease
    if not best.no_better:
        return "better than every shortcut"
    shown = f"not shown to be better than the {readable(best.shortcut or NOTHING)} alone"
    if best.shortcut in COARSE and other is not None and not other.no_better:
        return f"{shown}, which may show the disease; better than what cannot"
    return f"{shown}: it {FLAG}"


def contamination(found: Collected) -> Table:
    """AUROC for each anomalous share of the mix."""
    curves = {name: dict(points) for name, points in found.contamination.items()}
    rows = [
        [f"{100 * share:.0f} %", *(points.get(share) for points in curves.values())]
        for share in sorted({share for points in curves.values() for share in points})
    ]
    return Table(("anomalous in the mix", *curves), rows)


def contamination_seeds(found: Collected) -> str:
    """Seeds of the points of the curve."""
    curves = found.contamination.values()
    return seeds_range(n_seeds(area) for points in curves for _, area in points)


def localisation(found: Collected) -> Table:
    """Anomaly maps against masks, and the share of them inside the box of the organ."""
    keys = {"pixel_auroc": "pixel AUROC", "aupro_30": "PRO to 30 %", "dice": "Dice"}
    rows: list[list[Cell]] = []
    for name, told in found.localisation.items():
        inside = [told.region.anomalous, told.region.normal] if told.region else [NOTHING, NOTHING]
        rows.append([name, *(told.metric(key) for key in keys), *inside])
    boxes = [told.region for told in found.localisation.values() if told.region]
    box = f"inside `{boxes[0].region}` ({boxes[0].area:.0%} of the image)" if boxes else "inside"
    return Table(("detector", *keys.values(), f"{box}, anomalous", f"{box}, normal"), rows)


def categories(found: Collected) -> Table:
    """Each anomaly type against the normal images, where there are several."""
    rows = compared(found)
    types = list(dict.fromkeys(name for row in rows.values() for name in row.per_category))
    cells: list[list[Cell]] = []
    typed = {name: row for name, row in rows.items() if row.per_category}  # ensembles have none
    for name in text.best_first(typed) if len(types) > 1 else ():
        of = [rows[name].per_category[one] for one in types]
        told = [f"{text.with_interval(one.auroc)}; {text.number(one.sensitivity)}" for one in of]
        cells.append([name, *told])
    return Table(("detector", *types), cells)


def components(found: Collected) -> Table:
    """Each component of a score as a score of its own."""
    shown = compared(found)
    rows: list[list[Cell]] = [
        [name, component, row.auroc, row.validation_auroc]
        for name, parts in found.components.items()
        if name in shown and len(parts.rows) > 1
        for component, row in parts.rows.items()
    ]
    return Table(("detector", "component", "AUROC", Column("validation AUROC", VALUE)), rows)


def anomaly_types(found: Collected) -> Table:
    """How well anomaly types are told apart."""
    by = {(name, one): row for name, of in found.categories.items() for one, row in of.rows.items()}
    by |= {
        (f"arm {name}", "supervised"): arm.categories
        for name, arm in found.classifiers.items()
        if arm.categories is not None
    }
    rows: list[list[Cell]] = [
        [*names, row.auroc, row.metric("balanced_accuracy")] for names, row in by.items()
    ]
    return Table(("from", "by", "AUROC", "balanced accuracy"), rows)


def arms(found: Collected) -> Table:
    """The classifier arms, and their differences from `real` and `classical` of the same settings."""
    rows: list[list[Cell]] = []
    for name, arm in found.classifiers.items():
        own = sorted(found.experiment.settings_of(name))
        settings = ", ".join(f"{key} = {value}" for key, value in own)
        metrics = map(arm.metric, (ACCURACY, BALANCED_ACCURACY, RECALL, SPECIFICITY))
        gaps = [_gap(found, name, other) for other in ("real", "classical")]
        network = arm.network or NOTHING
        cells = [arm.auroc, spread(arm.auroc), *metrics, arm.brier]
        rows.append([name, network, settings or NOTHING, *cells, *gaps])
    classes = len(next(iter(found.classifiers.values())).classes) if rows else 0
    columns = (
        "arm",
        "network",
        "settings",
        "AUROC",
        "between seeds",
        f"accuracy, {classes} classes",
        "balanced accuracy",
        "sensitivity",
        "specificity",
        Column("Brier", VALUE),
        "AUROC minus that of real",
        "minus that of classical",
    )
    return Table(columns, rows)


def _gap(found: Collected, name: str, other: str) -> str:
    """Describe the difference of an arm from that one of the same settings."""
    for test in found.differences:
        if test.first == name and found.experiment.model_of(test.second) == other:
            size = "" if test.effect_size is None else f", d' {test.effect_size:+.2f}"
            return f"{text.signed_interval(test.difference)}{size}, {text.p_text(test.p_holm)}"
    return NOTHING


def quality(found: Collected) -> Table:
    """Image quality, generators side by side."""
    shared = text.shared_class(found.quality)
    rows = [row.of(shared) for row in found.quality.values()]
    keys = dict.fromkeys(key for row in rows for key in row)
    cells = [_quality(key, [row.get(key) for row in rows]) for key in keys]
    if cells:
        seeds = map(str, _quality_seeds(found))
        cells.append(["seeds", NOTHING, *seeds, NOTHING, NOTHING])
    generators = (Column(name, VALUE) for name in found.quality)
    return Table(("metric", "better", *generators, Column("real", VALUE), "n"), cells)


def _quality(key: str, values: Sequence[QualityMetric | None]) -> list[Cell]:
    metric, there = quality_metric(key), [one for one in values if one is not None]
    known = next((one for one in there if one.value is not None), QualityMetric(value=None))
    reason = next((one.reason for one in there if one.reason), "")
    count = reason if known.n is None else str(known.n)
    return [metric.name, text.direction(metric), *values, known.real_vs_real, count]


def _quality_seeds(found: Collected) -> list[int]:
    return [n_seeds(next(iter(row.overall.values()))) for row in found.quality.values()]


def quality_seeds(found: Collected) -> str:
    """Seeds of the generators."""
    return seeds_range(_quality_seeds(found))


def last_steps(found: Collected) -> str:
    """How often the rule that may choose among steps took the last one."""
    taken = [
        step == sum(row.budget["steps"].values())
        for row in found.trained.values()
        if row.budget is not None
        for step, choice in zip(row.published_step, row.choice, strict=True)
        if "AUCp" in (choice or "")
    ]
    if not taken:
        return ""
    rule = "The rule that chooses the weights (AUCp, one standard error) took the last step in"
    return f"{rule} {sum(taken)} of {len(taken)} trainings that it judged."


def published(found: Collected) -> Table:
    """Results that others have published."""
    rows = [list(vars(one).values()) for one in found.experiment.published]
    return Table(("method", "result", "protocol", "source"), rows)


def tried(found: Collected) -> Table:
    """Settings that were compared on validation."""
    rows: list[list[Cell]] = []
    for name, trial in found.tried.items():
        shared, told = found.experiment.parameters, trial.validation[0]
        own = [f"{key} = {value}" for key, value in trial.parameters.items() if key not in shared]
        if told is not None:
            rows.append([name, ", ".join(own) or NOTHING, told.auroc, told.perturbed_auroc])
    columns = ("trial", "setting", "validation AUROC", "validation AUROC, perturbed")
    return Table(columns, rows)


def trained(found: Collected) -> Table:
    """Budgets, times and commands."""
    rows = [
        [
            name,
            ", ".join(map(str, row.seeds)),
            _steps(row),
            _mean_seconds(row, [one.cpu for one in row.seconds if one.training_included]),
            _mean_seconds(row, [one.wall for one in row.seconds if one.training_included]),
            f"`{row.command.split(' SOURCE')[0]}`",
        ]
        for name, row in found.trained.items()
    ]
    return Table(("row", "seeds", "steps", "CPU s", "wall s", "command"), rows)


def _steps(row: Trained) -> str:
    steps = (row.budget or {}).get("steps", {})
    return ", ".join(f"{count} {stage}" for stage, count in steps.items()) or NOTHING


def _mean_seconds(row: Trained, seconds: Sequence[float]) -> str:
    """Mean over the seeds whose training is in the time."""
    if not seconds:
        return NOTHING
    shared = f", {row.seconds[0].runs} rows" if row.seconds[0].runs > 1 else ""
    return f"{sum(seconds) / len(seconds):.0f}{shared}"


def machines(found: Collected) -> str:
    """Hardware of all runs."""
    return "; ".join(
        f"{one.cores} cores, {one.torch_threads} torch threads, "
        f"{one.accelerator or 'no accelerator'}"
        for one in found.provenance.hardware
    )


def not_run(documents: Mapping[str, Collected], experiments: Mapping[str, Experiment]) -> Table:
    """Declared experiments without a record, with the command that runs them."""
    rows = [
        [
            f"[{name}](data-sets/{one.page_of(name)}.md)",
            one.about,
            f"not run: {one.not_run or 'no record yet'}",
            f"`make reproduce DATASET={name} SOURCE=PATH`",
            "; ".join(f"{of.method}: {of.result} ({of.protocol})" for of in one.published)
            or NOTHING,
        ]
        for name, one in experiments.items()
        if name not in documents
    ]
    return Table(("dataset", "what", "why", "the command that runs it", "published"), rows)


TABLES: Mapping[str, Callable[[Collected], Table]] = {
    make.__name__: make
    for make in (
        detectors,
        validation,
        shortcuts,
        contamination,
        localisation,
        categories,
        components,
        anomaly_types,
        arms,
        quality,
        published,
        tried,
        trained,
    )
}
"""Name in the template -> its table."""
