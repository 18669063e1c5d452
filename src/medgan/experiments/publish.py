"""Write docs/results.md, docs/results/<dataset>.json, and their figures from the records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from jinja2 import Environment as TemplateEnvironment
from jinja2 import PackageLoader, StrictUndefined

from medgan.datasets.documents import write_document
from medgan.errors import UserError
from medgan.evaluation.reading import read_results
from medgan.experiments import comparisons, tables
from medgan.experiments.collect import collect
from medgan.experiments.differences import best_baseline
from medgan.experiments.document import Collected, Comparison
from medgan.experiments.figures import figures, png
from medgan.experiments.plan import Experiment
from medgan.experiments.records import read_records
from medgan.files.atomic import write_bytes, write_text
from medgan.files.documents import to_json
from medgan.report import text
from medgan.words import capital, readable

FOLDER = Path("docs/results")
INPUT_CHOSEN = "Labels have chosen the input of all rows. "
ADDED = {("gan", "real"): "alone", ("gan_classical", "classical"): "beside classical augmentation"}


def publish(root: Path, experiments: Mapping[str, Experiment]) -> list[Path]:
    """Combine all records.

    Returns:
        The files that were written.

    Raises:
        UserError: there is no record, or a damaged one.
    """
    records = {dataset: read_records(root, dataset) for dataset in experiments}
    recorded = [dataset for dataset, found in records.items() if found]
    if not recorded:
        raise UserError(
            "There are no records in docs/results/runs yet: `make reproduce DATASET=pneumoniamnist "
            "SOURCE=PATH` makes them."
        )
    documents = {dataset: _collected(root, dataset, experiments[dataset]) for dataset in recorded}
    written = []
    for dataset, found in documents.items():
        document = to_json(found)
        read_results(document)
        written.append(root / FOLDER / f"{dataset}.json")
        write_document(written[-1], document)
        for name, figure in figures(found, records[dataset]):
            written.append(root / FOLDER / f"{dataset}-{name}.png")
            write_bytes(written[-1], png(figure))
    written.append(root / "docs" / "results.md")
    write_text(written[-1], page(documents, experiments))
    return written


def _collected(root: Path, dataset: str, experiment: Experiment) -> Collected:
    parameters = experiment.environment_in(root / "conf", dataset).parameters()
    return collect(root, dataset, experiment, parameters["preprocessing"].contamination)


def page(documents: Mapping[str, Collected], experiments: Mapping[str, Experiment]) -> str:
    """Render the whole page in Markdown, of datasets that have records, and of all experiments that
    are declared, in their order.
    """
    # Markdown, not HTML: nothing is to be escaped, and every word comes from the project.
    environment = TemplateEnvironment(
        loader=PackageLoader("medgan", "experiments"),
        undefined=StrictUndefined,
        trim_blocks=True,
        autoescape=False,  # noqa: S701
    )
    rendered = environment.get_template("results.md.j2").render(
        datasets=[_dataset(name, found) for name, found in documents.items()],
        not_run=tables.not_run(documents, experiments).markdown(),
    )
    return re.sub(r"\n{3,}", "\n\n", rendered).strip() + "\n"


def _dataset(name: str, found: Collected) -> dict[str, str]:
    """Return the texts of one dataset; an empty text leaves a section out."""
    experiment, arm = found.experiment, next(iter(found.classifiers.values()), None)
    answers = [*_which_detector(found), *_synthetic_data(found)]
    shared = capital(readable(text.shared_class(found.quality)))
    return {
        "name": name,
        "about": experiment.about,
        **_tested(found),
        "rules": ", ".join(sorted({row.threshold.rule for row in found.detectors.values()})),
        "glance": "\n".join(f"- {answer}" for answer in answers),
        "network": (arm.network or "") if arm else "",
        "arms_seeds": text.seeds_text(arm.n_seeds) if arm else "",
        "quality_of": shared if found.quality else "",
        "quality_seeds": tables.quality_seeds(found),
        "contamination_seeds": tables.contamination_seeds(found),
        "records": str(found.provenance.records),
        "machines": tables.machines(found),
        "revisions": ", ".join(str(one)[:12] for one in found.provenance.git),
        "missing": ", ".join(found.missing),
        "input_chosen": INPUT_CHOSEN if any(one.input for one in experiment.tried.values()) else "",
        "last_steps": tables.last_steps(found),
        "aims": comparisons.aims(found),
        "gain": "yes" if comparisons.gains(found) else "",
        **{name: make(found).markdown() for name, make in tables.TABLES.items()},
    }


def _tested(found: Collected) -> dict[str, str]:
    """Describe the test images."""
    groups = found.experiment.groups
    first = next(iter(found.detectors.values()), None)
    row = first or next(iter(found.classifiers.values()), None)
    return {
        "size": text.size_of(row, groups) if row else "",
        "interval": text.interval_name(row, groups) if row else "",
        "n_anomalous": str(first.n_anomalous) if first else "",
    }


def _which_detector(found: Collected) -> Iterator[str]:
    rows = found.detectors
    for sees_mix, question in comparisons.QUESTIONS.items():
        chosen = comparisons.chosen_on_validation(found, sees_mix)
        baseline = best_baseline(rows, sees_mix, found.experiment)
        if chosen is not None:
            test = comparisons.difference(found, chosen)
            # A GAN where it is shown to be better, else the baseline, which is simpler.
            advised = chosen if test is None or test.is_better else test.second
            row = rows[chosen]
            named = f"`{advised}`." if advised == chosen else f"`{advised}`, no GAN."
            answer = _answer(named, row.n_seeds)
            area = f"AUROC {text.with_interval(row.auroc)}; {text.seeds_text(row.n_seeds)}"
            said = f"Among the GANs validation chooses `{chosen}`: {area}."
            against = _against(found, test) if test else ""
            yield f"*{question}:* {answer} {said}{against}{_source(found, advised)}"
        elif baseline is not None:
            row = rows[baseline]
            area = f"AUROC {text.with_interval(row.auroc)}; {text.seeds_text(row.n_seeds)}."
            said = f"No GAN that sees as much was run. {area}{_source(found, baseline)}"
            yield f"*{question}:* {_answer(f'`{baseline}`, no GAN.', row.n_seeds)} {said}"


def _answer(answer: str, seeds: int) -> str:
    """An answer in bold; under ten trainings it is no verdict."""
    if seeds >= text.EXPLORATORY_BELOW:
        return f"**{answer}**"
    trainings = "one training of each is" if seeds == 1 else f"{seeds} trainings of each are"
    return f"{answer.rstrip('.')}, so far: {trainings} no verdict."


def _against(found: Collected, test: Comparison) -> str:
    """Compare a detector with its baseline, in words."""
    area = text.with_interval(found.detectors[test.second].auroc)
    baseline = f"The baseline `{test.second}` has {area}"
    gap = f"{text.signed_interval(test.difference)}, {text.p_text(test.p_holm)}"
    seeds = comparisons.shared_seeds(found, test)
    return f" {baseline}; the difference{seeds} is {gap}: {_verdict(test)}."


def _verdict(test: Comparison) -> str:
    """The verdict, in bold where it rests on ten trainings."""
    return f"**{test.verdict}**" if len(test.seeds) >= text.EXPLORATORY_BELOW else test.verdict


def _source(found: Collected, advised: str) -> str:
    """Conclude from the shortcut baselines."""
    scopes = found.shortcuts.get(advised)
    if scopes is None:
        return ""
    alone = [one for one in (scopes.any, scopes.not_the_disease) if one is not None]
    told = [f"{readable(one.shortcut or '')} {text.with_interval(one.auroc)}" for one in alone]
    areas = ", ".join(dict.fromkeys(told))
    return f" Shortcut baselines: `{advised}` is {tables.reading(scopes)} ({areas})."


def _synthetic_data(found: Collected) -> Iterator[str]:
    tests = {(test.first, test.second): test for test in found.differences}
    there = {pair: tests[pair] for pair in ADDED if pair in tests}
    if not there:
        return
    told = [
        f"{ADDED[pair]} they change AUROC by {text.signed_interval(test.difference)} ({_verdict(test)})"
        for pair, test in there.items()
    ]
    answer = "No benefit shown."
    if any(test.is_better for test in there.values()):
        answer = "They help."
    elif all(test.is_worse for test in there.values()):
        answer = "They do not help."
    row = found.classifiers["real"]
    yield (
        f"*Synthetic images for a classifier:* {_answer(answer, row.n_seeds)} Without any, AUROC is "
        f"{text.with_interval(row.auroc)}; {'; '.join(told)}; {text.seeds_text(row.n_seeds)}."
        f"{_where_real_images_are_few(found)}"
    )


def _where_real_images_are_few(found: Collected) -> str:
    """Say what synthetic images alone add at each share of the real ones."""
    told = [
        f"{text.signed_interval(test.difference)} at {share:.0%} ({_verdict(test)})"
        for share, test in comparisons.gains(found).get("GAN − real", [])
        if share < 1
    ]
    lead = " Alone, by the share of the real images that is left"
    return f"{lead}: {'; '.join(told)}." if told else ""
