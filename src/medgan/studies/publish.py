"""`make results`: docs/results.md, docs/results/<data set>.json, and their figures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from medgan.catalog.atomic import write_bytes, write_text
from medgan.catalog.results import write_document
from medgan.contracts import Refusal
from medgan.environments import Environment
from medgan.evaluation.roc_bands import GRID, roc_band
from medgan.evaluation.wording import best_first, readable, size_of
from medgan.plots.forests import ForestRow, columns_forest
from medgan.plots.studies import contamination_curve, roc_with_bands
from medgan.plots.style import PALETTE
from medgan.studies.collect import collect, stacked
from medgan.studies.page import page
from medgan.studies.plan import Study
from medgan.studies.records import read_records
from medgan.studies.tables import chosen_on_validation, compared, contamination_seeds, difference, n_seeds, seeds_text

DOTS_PER_INCH = 130
FOLDER = Path("docs/results")


def publish(root: Path, studies: Mapping[str, Study]) -> list[Path]:
    """Puts all records together.

    Returns:
        The files that were written.

    Raises:
        Refusal: there is no record, or a damaged one.
    """
    recorded = [dataset for dataset in studies if read_records(root, dataset)]
    if not recorded:
        raise Refusal("There are no records in docs/results/runs yet: `make reproduce DATASET=pneumoniamnist SOURCE=PATH` makes them.")
    documents = {dataset: collect(root, dataset, studies[dataset], _contamination(root, dataset)) for dataset in recorded}
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
        models = {name: row for name, row in rows.items() if name not in document["study"]["variants"]}
        yield "roc", _roc(root, dataset, models, {*_answered(document)}, note)
    if document["contamination"]:
        note = f"{size}; {contamination_seeds(document)}. Lines: 95 % interval."
        title = f"{readable(dataset)}: what the unlabelled mix has to hold"
        yield "contamination", contamination_curve(document["contamination"], title, note)


def _forest(dataset: str, rows: Mapping[str, Any], note: str) -> Figure:
    """Detectors that see normal images alone, then those that see the mix; a dot for the mean, a line for its interval."""
    lines = []
    for heading, sees in (("normal images alone", False), ("with unlabelled images", True)):
        chosen = {name: row for name, row in rows.items() if bool(row["sees_mix"]) == sees}
        if chosen:
            colour = PALETTE[1] if sees else PALETTE[0]
            lines += [ForestRow(heading), *(ForestRow(readable(name), [chosen[name]["auroc"]], colour) for name in best_first(chosen))]
    return columns_forest(lines, ["AUROC, test"], f"{readable(dataset)}: detectors", f"{note}. Lines: 95 % interval.", chance=[0.5])


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
    bands = {name: roc_band(test.label, scores, test.group) for name, (test, scores) in scored.items()}
    areas = {name: rows[name]["auroc"]["value"] for name in bands}
    return roc_with_bands(GRID, bands, areas, banded, f"{readable(dataset)}: ROC, test", f"{note}. Bands: 95 %, at each rate by itself.")


def _png(figure: Figure) -> bytes:
    """Without the time of its making: an unchanged figure is an unchanged file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()
