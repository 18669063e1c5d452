"""The tables of docs/results.md, each from the document of one data set; an empty text where there
is nothing to show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from medgan import models
from medgan.audits.shortcuts import COARSE, FLAG
from medgan.evaluation.baselines import BASELINES
from medgan.experiments.plan import MIX, Study
from medgan.report.text import (
    EXPLORATORY_BELOW,
    best_first,
    direction,
    number,
    p_text,
    pairing_name,
    readable,
    seeds_of,
    shared_class,
    signed_interval,
    with_interval,
)

Document = Mapping[str, Any]
NOTHING = "–"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, empty where there is no row; bars in cells are escaped."""
    lines = [headings, ["---"] * len(headings), *rows]
    return (
        "\n".join(
            "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |"
            for line in lines
        )
        if rows
        else ""
    )


def difference(document: Document, name: str) -> Mapping[str, Any] | None:
    """The comparison of a row with its baseline, or None where it is one."""
    return next((test for test in document["differences"] if test["first"] == name), None)


def compared(document: Document) -> dict[str, Any]:
    """The rows of detectors that were trained on the same images: those with another mix stand in
    the contamination curve alone.
    """
    variants = document["study"]["variants"]
    return {
        name: row
        for name, row in document["detectors"].items()
        if MIX not in variants.get(name, {}).get("parameters", {})
    }


def n_seeds(figure: Mapping[str, Any]) -> int:
    """Of how many trainings a figure is the mean."""
    return len(figure.get("per_seed", [0]))


def seeds_text(numbers: Iterable[int]) -> str:
    """`1 to 3 seeds: exploratory`; empty for none."""
    counts = sorted(set(numbers))
    if len(counts) < 2:
        return seeds_of({"n_seeds": counts[0]}) if counts else ""
    return f"{counts[0]} to {seeds_of({'n_seeds': counts[-1]})}" + (
        ", under ten exploratory" if counts[-1] >= EXPLORATORY_BELOW else ""
    )


def chosen_on_validation(rows: Mapping[str, Any], sees_mix: bool) -> str | None:
    """The GAN detector with the highest validation AUROC; variants, whose names no module has, do
    not stand for election.
    """
    running = set(models.detectors()) - {name for names in BASELINES.values() for name in names}
    figures = {
        name: row["validation_auroc"]["value"]
        for name, row in rows.items()
        if name in running and bool(row["sees_mix"]) == sees_mix
    }
    known = {name: value for name, value in figures.items() if value is not None}
    return max(known, key=lambda name: known[name]) if known else None


def detectors(document: Document) -> str:
    """One line for each detector, the best first."""
    rows = compared(document)
    headings = (
        "detector",
        "AUROC",
        "between seeds",
        "validation",
        "sensitivity",
        "specificity",
        "average precision",
        "labels",
        "against its baseline",
    )
    return table(headings, [_detector(document, name, rows[name]) for name in best_first(rows)])


def _detector(document: Document, name: str, row: Mapping[str, Any]) -> list[str]:
    test = difference(document, name)
    against = (
        f"{signed_interval(test['difference'])} from {test['second']}, {p_text(test['p_holm'])}"
        if test
        else NOTHING
    )
    figures = [
        with_interval(row[key]) for key in ("sensitivity", "specificity", "average_precision")
    ]
    title = f"{name} (sees the mix)" if row["sees_mix"] else name
    return [
        title,
        with_interval(row["auroc"]),
        _spread(row["auroc"]),
        number(row["validation_auroc"]),
        *figures,
        str(row["labels_used"]),
        against,
    ]


def _spread(figure: Mapping[str, Any]) -> str:
    """The range between trainings."""
    values = figure.get("per_seed", [])
    return NOTHING if len(values) < 2 else f"{min(values):.3f} to {max(values):.3f} ({len(values)})"


def aims(document: Document) -> str:
    """What was hoped for, what came, and why it did not."""
    lines = [_beats_nearest_neighbour(document["detectors"])] if document["study"]["aims"] else []
    for name, aim in document["study"]["aims"].items():
        value = document["detectors"].get(name, {}).get("auroc", {}).get("value")
        if value is not None:
            reached = "reached" if value >= aim["auroc"] else "missed"
            lines.append(
                f"- `{name}`: an AUROC of {aim['auroc']}. It is {value:.3f}: {reached}. {aim['diagnosis']}".rstrip()
            )
    return "\n".join(filter(None, lines))


def _beats_nearest_neighbour(rows: Mapping[str, Any]) -> str:
    """The aim of every study that has any: the GAN that validation chooses is above the plainest
    baseline with its whole interval.
    """
    chosen = chosen_on_validation(rows, sees_mix=False)
    bar = rows.get("nearest_neighbour", {}).get("auroc", {}).get("value")
    if chosen is None or bar is None:
        return ""
    area = rows[chosen]["auroc"]
    reached = "reached" if (area.get("low") or 0.0) > bar else "missed"
    return (
        f"- The GAN that validation chooses, above `nearest_neighbour` ({bar:.3f}) with its whole interval. "
        f"`{chosen}` has {with_interval(area)}: {reached}."
    )


def shortcuts(document: Document) -> str:
    """Each detector beside what is no disease."""
    audited = {
        name: document["shortcuts"][name]
        for name in best_first(compared(document))
        if name in document["shortcuts"]
    }
    cells = [
        [name, *_beside(scopes["any"]), *_beside(scopes.get("not_the_disease")), reading(scopes)]
        for name, scopes in audited.items()
    ]
    return table(
        (
            "detector",
            "best shortcut",
            "difference",
            "best that cannot show the disease",
            "difference",
            "so it is",
        ),
        cells,
    )


def _beside(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return [NOTHING, NOTHING]
    return [
        f"{readable(found['shortcut'])}, {with_interval(found['auroc'])}",
        signed_interval(found["difference"]),
    ]


def reading(scopes: Mapping[str, Any]) -> str:
    """What the audit of shortcuts says of a detector; it completes `it is`."""
    best, other = scopes["any"], scopes.get("not_the_disease")
    if not best["no_better"]:
        return "better than every shortcut"
    shown = f"not shown to be better than the {readable(best['shortcut'])} alone"
    if best["shortcut"] in COARSE and other is not None and not other["no_better"]:
        return f"{shown}, which may show the disease; better than what cannot"
    return f"{shown}: it {FLAG}"


def contamination(document: Document) -> str:
    """AUROC for each share of anomalous images in the mix."""
    curves = {name: dict(points) for name, points in document["contamination"].items()}
    shares = sorted({share for points in curves.values() for share in points})
    rows = [
        [f"{100 * share:.0f} %", *(with_interval(points.get(share)) for points in curves.values())]
        for share in shares
    ]
    return table(("anomalous in the mix", *curves), rows)


def contamination_seeds(document: Document) -> str:
    """Of the points of the curve."""
    return seeds_text(
        n_seeds(figure) for points in document["contamination"].values() for _, figure in points
    )


def categories(document: Document) -> str:
    """Each kind of anomaly against the normal images."""
    rows = compared(document)
    kinds = list(
        dict.fromkeys(kind for row in rows.values() for kind in row.get("per_category", {}))
    )
    if len(kinds) < 2:
        return ""
    found = {name: rows[name]["per_category"] for name in best_first(rows)}
    cells = [
        [
            name,
            *(
                f"{with_interval(of[kind]['auroc'])}; {number(of[kind]['sensitivity'])}"
                for kind in kinds
            ),
        ]
        for name, of in found.items()
    ]
    return table(("detector", *kinds), cells)


def parts(document: Document) -> str:
    """What scores are made of."""
    rows = [
        [name, part, with_interval(found["auroc"]), number(found["validation_auroc"])]
        for name, components in document["components"].items()
        if name in compared(document) and len(components["rows"]) > 1
        for part, found in components["rows"].items()
    ]
    return table(("detector", "part", "AUROC", "validation AUROC"), rows)


def kinds(document: Document) -> str:
    """Kinds of anomalies told apart."""
    named = {
        (name, source): row
        for name, found in document["categories"].items()
        for source, row in found["rows"].items()
    }
    named |= {
        (f"arm {name}", "supervised"): row["categories"]
        for name, row in document["classifiers"].items()
        if "categories" in row
    }
    rows = [
        [name, source, with_interval(row["auroc"]), with_interval(row["balanced_accuracy"])]
        for (name, source), row in named.items()
    ]
    return table(("from", "by", "AUROC", "balanced accuracy"), rows)


def arms(document: Document) -> str:
    """The classifier arms."""
    tests = {test["first"]: test for test in document["differences"] if test["second"] == "real"}
    rows = []
    for name, row in document["classifiers"].items():
        gap = (
            f"{signed_interval(tests[name]['difference'])}, {p_text(tests[name]['p_holm'])}"
            if name in tests
            else NOTHING
        )
        figures = [with_interval(row[key]) for key in ("accuracy", "recall", "specificity")]
        rows.append(
            [
                name,
                with_interval(row["auroc"]),
                _spread(row["auroc"]),
                *figures,
                number(row["brier"]),
                gap,
            ]
        )
    classes = len(next(iter(document["classifiers"].values()))["classes"]) if rows else 0
    accuracy = f"accuracy, {classes} classes"
    return table(
        (
            "arm",
            "AUROC",
            "between seeds",
            accuracy,
            "sensitivity",
            "specificity",
            "Brier",
            "AUROC minus that of real",
        ),
        rows,
    )


def quality(document: Document) -> str:
    """Figures of image quality, generators side by side."""
    rows = document["quality"]
    if not rows:
        return ""
    shared = shared_class(rows)
    keys = list(dict.fromkeys(key for row in rows.values() for key in row[shared]))
    found = [_quality(key, [row[shared].get(key, {}) for row in rows.values()]) for key in keys]
    seeds = ["seeds", NOTHING, *(str(_seeds(row)) for row in rows.values()), NOTHING, NOTHING]
    return table(("figure", "better", *rows, "real", "n"), [*found, seeds])


def _seeds(row: Mapping[str, Any]) -> int:
    return n_seeds(next(iter(next(iter(row.values())).values())))


def _quality(key: str, figures: Sequence[Mapping[str, Any]]) -> list[str]:
    known = next((figure for figure in figures if figure.get("value") is not None), {})
    reason = next((figure["reason"] for figure in figures if figure.get("reason")), "")
    real = number({"value": known.get("real_vs_real")})
    return [
        pairing_name(key),
        direction(key),
        *map(number, figures),
        real,
        str(known.get("n", reason)),
    ]


def quality_seeds(document: Document) -> str:
    """Of the generators."""
    return seeds_text(map(_seeds, document["quality"].values()))


def published(document: Document) -> str:
    """What others have reported."""
    rows = [
        [one[key] for key in ("method", "figure", "protocol", "source")]
        for one in document["study"]["published"]
    ]
    return table(("method", "figure", "protocol", "source"), rows)


def tried(document: Document) -> str:
    """Settings compared on validation."""
    rows = []
    for name, found in document["tried"].items():
        figures = [
            number({"value": found["validation"][0].get(key)}) for key in ("val_auroc", "aucp")
        ]
        own = {
            key: value
            for key, value in found["parameters"].items()
            if key not in document["study"]["parameters"]
        }
        settings = ", ".join(f"{key} = {value}" for key, value in own.items())
        rows.append([name, settings, *figures, str(found["published_step"][0])])
    return table(("trial", "setting", "validation AUROC", "AUCp", "published step"), rows)


def trained(document: Document) -> str:
    """Budgets, times and commands."""
    rows = [
        [
            name,
            ", ".join(map(str, found["seeds"])),
            _steps(found),
            _seconds(found, "cpu"),
            _seconds(found, "wall"),
            f"`{found['command'].split(' SOURCE')[0]}`",
        ]
        for name, found in document["trained"].items()
    ]
    return table(("row", "seeds", "steps", "CPU s", "wall s", "command"), rows)


def _steps(found: Mapping[str, Any]) -> str:
    steps = (found["budget"] or {}).get("steps", {})
    return ", ".join(f"{count} {stage}" for stage, count in steps.items()) or NOTHING


def _seconds(found: Mapping[str, Any], kind: str) -> str:
    """Mean over the seeds whose training is in the time."""
    whole = [one for one in found["seconds"] if one["training_included"]]
    shared = f", {whole[0]['runs']} rows" if whole and whole[0]["runs"] > 1 else ""
    return f"{sum(one[kind] for one in whole) / len(whole):.0f}{shared}" if whole else NOTHING


def machines(document: Document) -> str:
    """Hardware of all runs."""
    found = document["provenance"]["hardware"]
    return "; ".join(
        f"{one['cores']} cores, {one['torch_threads']} torch threads, {one['accelerator'] or 'no accelerator'}"
        for one in found
    )


def not_run(documents: Mapping[str, Document], studies: Mapping[str, Study]) -> str:
    """Declared studies without a record, with the command that runs them."""
    rows = []
    for name, study in studies.items():
        if name not in documents:
            beside = (
                "; ".join(f"{one.method}: {one.figure} ({one.protocol})" for one in study.published)
                or NOTHING
            )
            why = f"not run: {study.not_run or 'no record yet'}"
            rows.append(
                [
                    f"[{name}](data-sets/{name}.md)",
                    study.about,
                    why,
                    f"`make reproduce DATASET={name} SOURCE=PATH`",
                    beside,
                ]
            )
    return table(("data set", "what", "why", "the command that runs it", "published"), rows)


TABLES: Mapping[str, Callable[[Document], str]] = {
    make.__name__: make
    for make in (
        detectors,
        aims,
        shortcuts,
        contamination,
        categories,
        parts,
        kinds,
        arms,
        quality,
        published,
        tried,
        trained,
    )
}
"""What the template calls them -> what makes them."""
