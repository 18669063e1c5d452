"""The results of a data set as the sentences and tables of its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from medgan.evaluation.intervals import IMAGE_INTERVALS_ARE
from medgan.evaluation.results import validate
from medgan.evaluation.wording import (
    ABSENT,
    MISSING,
    best_first,
    direction,
    grouped_warnings,
    interval_name,
    missing_reasons,
    notes_of,
    number,
    pairing_name,
    readable,
    seeds_of,
    shared_class,
    size_of,
    with_interval,
)

LOOKS = {"aucp": "AUCp", "val_auroc": "Validation AUROC", "diversity": "Diversity"}
"""Figures of a look at a model in training."""
BASELINES = ("autoencoder", "nearest_neighbour", "mix_vs_normal")
"""What a GAN has to beat."""
LIMITS = (
    "Not a medical device: research only, never for a diagnosis or any decision about a patient.",
    "The figures hold for images like these test images. Other scanners, hospitals, ages or diseases need a test of their own.",
    "Intervals show the chance of which patients were sampled. The weights are held fixed: the spread between seeds is not in them.",
    "Overlapping intervals are no test of a difference between two detectors.",
    "Anomaly scores of different detectors have different scales; only their order within one detector means something.",
    "A heat map shows where a detector was surprised, which is not where a disease is.",
)


@dataclass(frozen=True)
class Table:
    """Strings, ready to be shown; the first column names the row, with a remark after a line break."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class Story:
    """All that a report says in words."""

    dataset: str
    names: Sequence[str]
    """The detectors, the best first."""
    answer: str
    details: Sequence[str]
    warnings: Sequence[str]
    detectors: Table
    categories: Table | None
    descriptions: Mapping[str, str]
    arms: Table | None
    quality: Sequence[Table]
    choices: Table | None
    data: Table
    protocol: Sequence[str]
    limits: Sequence[str] = LIMITS
    absent: Mapping[str, str] = field(default_factory=lambda: ABSENT)
    provenance: Mapping[str, str] = field(default_factory=dict)


def tell(
    document: Mapping[str, Any],
    splits: pd.DataFrame,
    descriptions: Mapping[str, str] | None = None,
    cards: Mapping[str, Mapping[str, Any]] | None = None,
) -> Story:
    """The story of a results document that holds detectors.

    Args:
        document: of schema 1.
        splits: category, split, images and, where they are known, patients.
        descriptions: a sentence about each detector.
        cards: the card of each published model, which says what chose its weights.

    Raises:
        Refusal: the document is not one of schema 1.
    """
    validate(document)
    rows = document["detectors"]
    order = best_first(rows)
    return Story(
        dataset=document["dataset"],
        names=[readable(name) for name in order],
        answer=_answer(rows, order),
        details=list(_details(rows, order)),
        warnings=[f"{', '.join(map(readable, names))}: {text}" if names else text for text, names in grouped_warnings(rows)],
        detectors=_detectors(rows, order),
        categories=_categories(rows, order),
        descriptions={readable(name): text for name, text in (descriptions or {}).items() if name in rows},
        arms=_arms(document["classifiers"]) if document["classifiers"] else None,
        quality=list(_quality(document["quality"])),
        choices=_choices(cards) if cards else None,
        data=_data(splits),
        protocol=list(_protocol(document, rows, order)),
        provenance={readable(str(key)): str(value) for key, value in document["provenance"].items()},
    )


def _answer(rows: Mapping[str, Any], order: Sequence[str]) -> str:
    """What a reader who stops here takes along."""
    if not order or rows[order[0]]["auroc"]["value"] is None:
        reason = rows[order[0]]["auroc"].get("reason", "") if order else "there is no detector"
        return f"No detector can be ranked: {reason}."
    best = rows[order[0]]
    low = best["auroc"].get("low")
    skill = "better than chance" if low is not None and low > 0.5 else "not shown to be better than chance"
    return (
        f"{_capital(readable(order[0]))} separates anomalous from normal test images best: "
        f"AUROC {with_interval(best['auroc'])}, {skill}, on {size_of(best)}."
    )


def _details(rows: Mapping[str, Any], order: Sequence[str]) -> Iterator[str]:
    if not order or rows[order[0]]["auroc"]["value"] is None:
        return
    best = rows[order[0]]
    yield (
        f"At its threshold, frozen on validation, it finds {_share(best['sensitivity'])} of the anomalous images "
        f"and calls {_share(best['specificity'])} of the normal ones normal."
    )
    yield from _gan_against_baseline(rows, order)
    if any(row["sees_mix"] for row in rows.values()) and not all(row["sees_mix"] for row in rows.values()):
        yield "Detectors that see the unlabelled mix learn from anomalous images, without their labels; compare them with each other first."


def _gan_against_baseline(rows: Mapping[str, Any], order: Sequence[str]) -> Iterator[str]:
    ranked = [name for name in order if rows[name]["auroc"]["value"] is not None]
    gans = [name for name in ranked if name not in BASELINES]
    baselines = [name for name in ranked if name in BASELINES and gans and rows[name]["sees_mix"] <= rows[gans[0]]["sees_mix"]]
    if not gans or not baselines:
        return
    gain = rows[gans[0]]["auroc"]["value"] - rows[baselines[0]]["auroc"]["value"]
    verdict = "above" if gain > 0 else "below"
    yield (
        f"The best GAN, {readable(gans[0])} ({with_interval(rows[gans[0]]['auroc'])}), is {abs(gain):.3f} {verdict} "
        f"the best baseline that sees no more than it does, {readable(baselines[0])} ({with_interval(rows[baselines[0]]['auroc'])})"
        f"{'.' if gain > 0 else ': here it has not earned its cost.'}"
    )


def _detectors(rows: Mapping[str, Any], order: Sequence[str]) -> Table:
    columns = ("Detector", "AUROC", "Average precision", "Sensitivity", "Specificity", "Precision", "F1", "Labels used")
    figures = ("auroc", "average_precision", "sensitivity", "specificity", "precision", "f1")
    cells = [[_noted(name, rows[name]), *(with_interval(rows[name][key]) for key in figures), rows[name]["labels_used"]] for name in order]
    unit = f"Brackets hold the {interval_name(rows[order[0]])}." if order else ""
    return Table(columns, cells, note=unit)


def _noted(name: str, row: Mapping[str, Any]) -> str:
    notes = notes_of(row) if row["sees_mix"] else ["sees normal images only", *notes_of(row)]
    return f"{readable(name)}\n{', '.join(notes)}"


def _categories(rows: Mapping[str, Any], order: Sequence[str]) -> Table | None:
    names = sorted({category for row in rows.values() for category in row.get("per_category", {})})
    if len(names) < 2:
        return None
    first = rows[order[0]]["per_category"]
    columns = ["Detector", *(f"{readable(name)}, n = {first[name]['n_images']}" for name in names)]
    cells = [[readable(name), *(with_interval(rows[name]["per_category"][category]["auroc"]) for category in names)] for name in order]
    return Table(columns, cells, "AUROC of each category against the normal test images")


def _arms(rows: Mapping[str, Any]) -> Table:
    figures = ("accuracy", "auroc", "precision", "recall", "f1")
    cells = [[name.replace("_", " + "), *(with_interval(row[key]) for key in figures)] for name, row in rows.items()]
    first = next(iter(rows.values()))
    note = (
        f"{_capital(size_of(first))}; {seeds_of(first)}; brackets hold the {interval_name(first)}. Accuracy is over all classes; "
        "precision, recall and F1 are of 'anomalous', any class but normal; AUROC is of 1 − p(normal)."
    )
    return Table(("Trained on", "Accuracy", "AUROC", "Precision", "Recall", "F1"), cells, note=note)


def _quality(quality: Mapping[str, Any]) -> Iterator[Table]:
    """All generators on the class that they share, and each that draws several classes by itself."""
    shared = shared_class(quality)
    if len(quality) > 1:
        yield _quality_table(f"All generators, {readable(shared)} images", {model: classes[shared] for model, classes in quality.items()})
    for model, classes in quality.items():
        if len(quality) == 1 or len(classes) > 2:  # `overall`, and more than one class
            yield _quality_table(readable(model), classes)


def _quality_table(title: str, columns: Mapping[str, Any]) -> Table:

    def row(key: str, figure: Mapping[str, Any]) -> list[str]:
        beside_real = (_beside_real(figures.get(key)) for figures in columns.values())
        return [pairing_name(key), *beside_real, str(figure.get("n", MISSING)), direction(key)]

    cells = [row(key, figure) for key, figure in next(iter(columns.values())).items()]
    note = "In parentheses: the same figure of real images against real images, under the same pairing. " + " ".join(
        f"– : {reason}." for reason in missing_reasons(figure for figures in columns.values() for figure in figures.values())
    )
    return Table(("Figure", *(readable(name) for name in columns), "Images", "Better"), cells, title, note)


def _beside_real(figure: Mapping[str, Any] | None) -> str:
    if not figure or figure.get("value") is None:
        return "–"
    digits = 1 if abs(figure["value"]) >= 10 else 3
    return f"{number(figure, digits)} ({number({'value': figure.get('real_vs_real')}, digits)})"


def _data(splits: pd.DataFrame) -> Table:
    measures = [name for name in ("images", "patients") if name in splits]
    parts = [part for part in ("train", "val", "test") if part in set(splits["split"])]
    categories = list(dict.fromkeys(splits.sort_values("category", key=lambda column: column != "normal", kind="stable")["category"]))

    def cell(category: str, part: str) -> str:
        counted = splits[(splits["category"] == category) & (splits["split"] == part)]
        return " / ".join(f"{int(counted[name].sum()):,}" for name in measures)

    cells = [[readable(category), *(cell(category, part) for part in parts)] for category in categories]
    note = "Images / patients." if "patients" in measures else "Images; patients are unknown."
    return Table(["Category", *({"train": "Training", "val": "Validation", "test": "Test"}[part] for part in parts)], cells, note=note)


def _protocol(document: Mapping[str, Any], rows: Mapping[str, Any], order: Sequence[str]) -> Iterator[str]:
    if not order:
        return
    first = rows[order[0]]
    rules = sorted({row["threshold"]["rule"] for row in rows.values()})
    yield (
        f"All figures are on the {document['split']} split: {size_of(first)}, {first['n_anomalous']:,} of the images anomalous. "
        "Its labels were read for these figures and for nothing else."
    )
    yield (
        f"Thresholds come from validation by the rule {' and '.join(rules)}, and stay frozen. "
        "'Labels used' says whether labels of validation images chose the threshold."
    )
    yield f"Intervals: 95 %, from {document['provenance'].get('bootstrap resamples', 'the configured number of')} resamples of whole " + (
        "patients, the same resamples for all detectors. A figure of exactly 0 or 1 has an exact bound instead."
        if first["interval_unit"] == "patient"
        else f"images. {IMAGE_INTERVALS_ARE}"
    )
    yield f"Detectors: {seeds_of(first)}. What chose the weights of each model stands in the table below; no test image had a part in it."


def _choices(cards: Mapping[str, Mapping[str, Any]]) -> Table:
    """Which step of each training is published, and why."""
    figures = [name for name in LOOKS if any(name in card["figures"] for card in cards.values())]
    cells = [
        [
            readable(name),
            f"{card['published_step']:,} of {card['planned_steps']:,}",
            card["choice"],
            *(number({"value": card["figures"].get(figure)}) for figure in figures),
        ]
        for name, card in cards.items()
    ]
    note = (
        "Figures of the published step, on validation images where they are of a detector. They chose the weights, so they flatter them. "
        "AUCp: AUC of held-out normals against a held-out unlabelled mix, which reads no anomaly label. "
        "Diversity: distance between two samples, as a multiple of that between two real images."
    )
    return Table(("Model", "Published step", "Why", *(LOOKS[name] for name in figures)), cells, note=note)


def _share(figure: Mapping[str, Any]) -> str:
    return "an unknown share" if figure.get("value") is None else f"{100 * figure['value']:.0f} %"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
