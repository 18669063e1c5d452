"""docs/results.md: what the records say, for a reader who does not know the code. The words are in results.md.j2."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from medgan.evaluation.baseline_tests import choose_baseline, is_better, is_worse
from medgan.evaluation.wording import (
    interval_name,
    p_text,
    readable,
    seeds_of,
    shared_class,
    signed_interval,
    size_of,
    with_interval,
)
from medgan.studies import tables
from medgan.studies.plan import Study

Document = Mapping[str, Any]
QUESTIONS = {False: "Which detector, with normal images alone?", True: "And with unlabelled images besides?"}
ADDED = {("gan", "real"): "alone", ("gan_classical", "classical"): "beside classical augmentation"}


def page(documents: Mapping[str, Document], studies: Mapping[str, Study]) -> str:
    """The whole page, in Markdown.

    Args:
        documents: data set -> what `collect` gives, of those that have records.
        studies: all that are declared, in their order.
    """
    # Markdown, not HTML: nothing is to be escaped, and every word comes from the project.
    environment = Environment(loader=PackageLoader("medgan", "studies"), undefined=StrictUndefined, trim_blocks=True, autoescape=False)  # noqa: S701
    parts = [_data_set(name, document) for name, document in documents.items()]
    text = environment.get_template("results.md.j2").render(data_sets=parts, not_run=tables.not_run(documents, studies))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _data_set(name: str, document: Document) -> dict[str, Any]:
    """What the template asks for of one data set; an empty text leaves a section out."""
    detectors, arms, quality = (document[section] for section in ("detectors", "classifiers", "quality"))
    groups = document["study"]["groups"]
    first: Mapping[str, Any] = next(iter({**detectors, **arms}.values()), {})
    return {
        "name": name,
        "about": document["study"]["about"],
        "size": size_of(first, groups) if first else "",
        "interval": interval_name(first, groups),
        "n_anomalous": first.get("n_anomalous", ""),
        "rules": ", ".join(sorted({row["threshold"]["rule"] for row in detectors.values()})),
        "glance": "\n".join(f"- {line}" for line in [*_which_detector(document), *_synthetic_data(document)]),
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
    alone = {readable(found["shortcut"]): with_interval(found["auroc"]) for found in audited.values()}
    figures = ", ".join(f"{name} {area}" for name, area in alone.items())
    return f" Disease or source? `{advised}` is {tables.reading(audited)} ({figures})."


def _compared(rows: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    baseline, gap = with_interval(rows[test["second"]]["auroc"]), signed_interval(test["difference"])
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
        helped = "Yes" if any(map(is_better, found)) else "No" if all(map(is_worse, found)) else "Not shown"
        yield f"*Do synthetic images help a classifier?* **{helped}.** Without any, AUROC is {area}; {'; '.join(told)}; {seeds_of(row)}."
