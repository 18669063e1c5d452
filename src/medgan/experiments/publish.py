"""`make results`: docs/results.md, docs/results/<data set>.json, and their figures."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment as TemplateEnvironment
from jinja2 import PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.datasets.documents import write_document
from medgan.errors import UserError
from medgan.evaluation.baselines import choose_baseline, is_better, is_worse
from medgan.experiments import tables
from medgan.experiments.collect import collect, stacked
from medgan.experiments.plan import Study
from medgan.experiments.records import read_records
from medgan.experiments.tables import (
    chosen_on_validation,
    compared,
    contamination_seeds,
    difference,
    n_seeds,
    seeds_text,
)
from medgan.files.atomic import write_bytes, write_text
from medgan.plots.forest import ForestRow, columns_forest
from medgan.plots.style import CHANCE, PALETTE, colors, house_style, panel
from medgan.project.environment import Environment
from medgan.report.text import (
    best_first,
    interval_name,
    p_text,
    readable,
    seeds_of,
    shared_class,
    signed_interval,
    size_of,
    with_interval,
)
from medgan.stats.classification import GRID, roc_band

Document = Mapping[str, Any]
QUESTIONS = {
    False: "Which detector, with normal images alone?",
    True: "And with unlabelled images besides?",
}
ADDED = {("gan", "real"): "alone", ("gan_classical", "classical"): "beside classical augmentation"}


def page(documents: Mapping[str, Document], studies: Mapping[str, Study]) -> str:
    """The whole page, in Markdown.

    Args:
        documents: data set -> what `collect` gives, of those that have records.
        studies: all that are declared, in their order.
    """
    # Markdown, not HTML: nothing is to be escaped, and every word comes from the project.
    environment = TemplateEnvironment(
        loader=PackageLoader("medgan", "experiments"),
        undefined=StrictUndefined,
        trim_blocks=True,
        autoescape=False,  # noqa: S701
    )
    parts = [_data_set(name, document) for name, document in documents.items()]
    text = environment.get_template("results.md.j2").render(
        data_sets=parts, not_run=tables.not_run(documents, studies)
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _data_set(name: str, document: Document) -> dict[str, Any]:
    """What the template asks for of one data set; an empty text leaves a section out."""
    detectors, arms, quality = (
        document[section] for section in ("detectors", "classifiers", "quality")
    )
    groups = document["study"]["groups"]
    first: Mapping[str, Any] = next(iter({**detectors, **arms}.values()), {})
    return {
        "name": name,
        "about": document["study"]["about"],
        "size": size_of(first, groups) if first else "",
        "interval": interval_name(first, groups),
        "n_anomalous": first.get("n_anomalous", ""),
        "rules": ", ".join(sorted({row["threshold"]["rule"] for row in detectors.values()})),
        "glance": "\n".join(
            f"- {line}" for line in [*_which_detector(document), *_synthetic_data(document)]
        ),
        "network": next(iter(arms.values()))["network"] if arms else "",
        "arms_seeds": seeds_of(next(iter(arms.values()))) if arms else "",
        "quality_of": readable(shared_class(quality)).capitalize() if quality else "",
        "quality_seeds": tables.quality_seeds(document),
        "contamination_seeds": tables.contamination_seeds(document),
        "records": document["provenance"]["records"],
        "machines": tables.machines(document),
        "revisions": ", ".join(str(one)[:12] for one in document["provenance"]["git"]),
        "missing": ", ".join(document["missing"]),
        **{table: make(document) for table, make in tables.TABLES.items()},
    }


def _which_detector(document: Document) -> Iterator[str]:
    rows = document["detectors"]
    for sees_mix, question in QUESTIONS.items():
        chosen = tables.chosen_on_validation(rows, sees_mix)
        if chosen is not None:
            test = tables.difference(document, chosen)
            against = f" {_compared(rows, test)}" if test else ""
            area = with_interval(rows[chosen]["auroc"])
            found = f"Among the GANs validation chooses `{chosen}`: AUROC {area}; {seeds_of(rows[chosen])}.{against}"
            # A GAN where it is shown to be better, else the baseline, which is simpler.
            advised = chosen if test is None or is_better(test) else test["second"]
            answer = f"`{advised}`." if advised == chosen else f"`{advised}`, no GAN."
            yield f"*{question}* **{answer}** {found}{_source(document, advised)}"
        elif baseline := choose_baseline(rows, sees_mix)["name"]:
            area = with_interval(rows[baseline]["auroc"])
            found = f"No GAN that sees as much was run. AUROC {area}; {seeds_of(rows[baseline])}."
            yield f"*{question}* **`{baseline}`, no GAN.** {found}{_source(document, baseline)}"


def _source(document: Document, advised: str) -> str:
    """What the audit of shortcuts says of a detector."""
    audited = document["shortcuts"].get(advised)
    if not audited:
        return ""
    alone = {
        readable(found["shortcut"]): with_interval(found["auroc"]) for found in audited.values()
    }
    figures = ", ".join(f"{name} {area}" for name, area in alone.items())
    return f" Disease or source? `{advised}` is {tables.reading(audited)} ({figures})."


def _compared(rows: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    baseline, gap = (
        with_interval(rows[test["second"]]["auroc"]),
        signed_interval(test["difference"]),
    )
    return f"The baseline `{test['second']}` has {baseline}; the difference is {gap}, {p_text(test['p_holm'])}: **{test['verdict']}**."


def _synthetic_data(document: Document) -> Iterator[str]:
    tests = {(test["first"], test["second"]): test for test in document["differences"]}
    told = [
        f"{how} they change AUROC by {signed_interval(tests[pair]['difference'])} (**{tests[pair]['verdict']}**)"
        for pair, how in ADDED.items()
        if pair in tests
    ]
    if told:
        row = document["classifiers"]["real"]
        area = with_interval(row["auroc"])
        found = [tests[pair] for pair in ADDED if pair in tests]
        helped = (
            "Yes"
            if any(map(is_better, found))
            else "No"
            if all(map(is_worse, found))
            else "Not shown"
        )
        yield f"*Do synthetic images help a classifier?* **{helped}.** Without any, AUROC is {area}; {'; '.join(told)}; {seeds_of(row)}."


def roc_with_bands(
    rates: NDArray[Any],
    bands: Mapping[str, tuple[NDArray[Any], ...]],
    areas: Mapping[str, float],
    banded: Collection[str],
    title: str,
    note: str = "",
) -> Figure:
    """ROC curves with their pointwise 95 % bands, the highest AUROC first in the legend.

    Args:
        rates: false-positive rates (n,).
        bands: name -> sensitivity at these rates, its lower and its upper bound, each (n,).
        areas: name -> AUROC, for the legend.
        banded: names whose band is drawn.
        title: above the curves.
        note: below them.
    """
    color = colors(list(bands))
    with house_style():
        figure, axis = panel(6.0, 5.8)
        axis.plot([0, 1], [0, 1], color=CHANCE, linestyle="--", linewidth=1)
        for name in sorted(bands, key=lambda name: -areas[name]):
            value, low, high = bands[name]
            if name in banded:
                axis.fill_between(rates, low, high, color=color[name], alpha=0.14, linewidth=0)
            axis.plot(
                rates,
                value,
                color=color[name],
                linewidth=2.2 if name in banded else 1.2,
                label=f"{readable(name)} ({areas[name]:.3f})",
            )
        axis.set(
            title=title,
            xlabel="False-positive rate (1 − specificity)",
            ylabel="Sensitivity",
            xlim=(-0.01, 1.01),
            ylim=(-0.01, 1.01),
        )
        axis.set_aspect("equal")
        axis.legend(loc="lower right", frameon=True, framealpha=0.85, edgecolor="none")
        figure.supxlabel(note, x=0.01, ha="left", fontsize=8)
    return figure


def contamination_curve(
    curves: Mapping[str, Sequence[tuple[float, Mapping[str, Any]]]], title: str, note: str = ""
) -> Figure:
    """AUROC with its interval against the anomalous share of the unlabelled mix.

    Args:
        curves: model -> (share, figure) in ascending order.
        title: above the curves.
        note: below them.
    """
    color = colors(list(curves))
    with house_style():
        figure, axis = panel(6.0, 3.8)
        axis.axhline(0.5, color=CHANCE, linestyle="--", linewidth=1)
        for place, (name, points) in enumerate(curves.items()):
            known = [
                (100 * share + 0.4 * place, found)
                for share, found in points
                if found.get("value") is not None
            ]
            shares, values = [share for share, _ in known], [found["value"] for _, found in known]
            errors = [
                [max(0.0, found["value"] - found["low"]) for _, found in known],
                [max(0.0, found["high"] - found["value"]) for _, found in known],
            ]
            axis.errorbar(
                shares,
                values,
                yerr=errors,
                color=color[name],
                marker="o",
                capsize=3,
                linewidth=1.8,
                label=readable(name),
            )
        axis.set(
            title=title, xlabel="Anomalous images in the unlabelled mix (%)", ylabel="AUROC, test"
        )
        axis.legend(loc="lower right")
        figure.supxlabel(note, x=0.01, ha="left", fontsize=8)
    return figure


DOTS_PER_INCH = 130
FOLDER = Path("docs/results")


def publish(root: Path, studies: Mapping[str, Study]) -> list[Path]:
    """Puts all records together.

    Returns:
        The files that were written.

    Raises:
        UserError: there is no record, or a damaged one.
    """
    recorded = [dataset for dataset in studies if read_records(root, dataset)]
    if not recorded:
        raise UserError(
            "There are no records in docs/results/runs yet: `make reproduce DATASET=pneumoniamnist SOURCE=PATH` makes them."
        )
    documents = {
        dataset: collect(root, dataset, studies[dataset], _contamination(root, dataset))
        for dataset in recorded
    }
    written = []
    for dataset, document in documents.items():
        written.append(root / FOLDER / f"{dataset}.json")
        write_document(written[-1], document)
        for name, figure in _figures(root, dataset, document):
            written.append(root / FOLDER / f"{dataset}-{name}.png")
            write_bytes(written[-1], _png(figure))
    written.append(root / "docs" / "results.md")
    write_text(written[-1], page(documents, studies))
    return written


def _contamination(root: Path, dataset: str) -> float:
    return float(Environment(root / "conf", dataset).parameters()["preprocessing"].contamination)


def _figures(root: Path, dataset: str, document: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    rows = compared(document)
    if rows:
        size = size_of(next(iter(rows.values())), document["study"]["groups"])
        note = f"{size}; {seeds_text(n_seeds(row['auroc']) for row in rows.values())}"
        yield "auroc", _forest(dataset, rows, note)
        models = {
            name: row for name, row in rows.items() if name not in document["study"]["variants"]
        }
        yield "roc", _roc(root, dataset, models, {*_answered(document)}, note)
    if document["contamination"]:
        note = f"{size}; {contamination_seeds(document)}. Lines: 95 % interval."
        title = f"{readable(dataset)}: what the unlabelled mix has to hold"
        yield "contamination", contamination_curve(document["contamination"], title, note)


def _forest(dataset: str, rows: Mapping[str, Any], note: str) -> Figure:
    """Detectors that see normal images alone, then those that see the mix; a dot for the mean, a
    line for its interval.
    """
    lines = []
    for heading, sees in (("normal images alone", False), ("with unlabelled images", True)):
        chosen = {name: row for name, row in rows.items() if bool(row["sees_mix"]) == sees}
        if chosen:
            color = PALETTE[1] if sees else PALETTE[0]
            lines += [
                ForestRow(heading),
                *(
                    ForestRow(readable(name), [chosen[name]["auroc"]], color)
                    for name in best_first(chosen)
                ),
            ]
    return columns_forest(
        lines,
        ["AUROC, test"],
        f"{readable(dataset)}: detectors",
        f"{note}. Lines: 95 % interval.",
        chance=[0.5],
    )


def _answered(document: Mapping[str, Any]) -> Iterator[str]:
    """The detectors of the answer, and their baselines."""
    for sees_mix in (False, True):
        chosen = chosen_on_validation(document["detectors"], sees_mix)
        test = difference(document, chosen) if chosen else None
        yield from filter(None, (chosen, test and test["second"]))


def _roc(root: Path, dataset: str, rows: Mapping[str, Any], banded: set[str], note: str) -> Figure:
    """Bands for the detectors of the answer alone: those of all would cover each other."""
    records = read_records(root, dataset)
    scored = {name: found for name in rows if (found := stacked(records.get(name, []))) is not None}
    bands = {
        name: roc_band(test.label, scores, test.group) for name, (test, scores) in scored.items()
    }
    areas = {name: rows[name]["auroc"]["value"] for name in bands}
    return roc_with_bands(
        GRID,
        bands,
        areas,
        banded,
        f"{readable(dataset)}: ROC, test",
        f"{note}. Bands: 95 %, at each rate by itself.",
    )


def _png(figure: Figure) -> bytes:
    """Without the time of its making: an unchanged figure is an unchanged file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()
