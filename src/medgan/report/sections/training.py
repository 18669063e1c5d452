"""Classifier arms, synthetic images, and the choice of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medgan.report.blocks import Absent, Block, Fold, Material, Picture, Pictures, Section, Table
from medgan.report.text import (
    ABSENT,
    MISSING,
    capital,
    direction,
    interval_name,
    missing_reasons,
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
ARM_FIGURES = ("accuracy", "auroc", "precision", "recall", "f1")
ON_QUALITY = (
    "A synthetic image has no original, so every paired figure names how its pairs were made: a random real image of the same class, or "
    "the nearest one by the same metric. LPIPS names its backbone; backbones do not compare. Figures of domain features rest on a "
    "classifier of the real training images and do not compare with published FID or KID. The Fréchet distance falls as the number of "
    "images grows; KID does not, and is near 0 for real images against real ones. Low precision and density: images do not look real. Low "
    "recall and coverage: they lack variety. A suspected copy is nearer to a training image than 99 % of real images that were held out "
    "are, by a tenth at least; blurred or noisy copies are not found, and no suspect is no proof of privacy."
)


def arms(material: Material) -> Section:
    """Classifiers on real images with and without additions."""
    title, rows = "Do synthetic images help a classifier?", material.document["classifiers"]
    if not rows:
        return Section("arms", title, "Not run yet.", [Absent(ABSENT["classifiers"])])
    names = {arm: arm.replace("_", " + ") for arm in rows}
    cells = [
        [names[arm], *(with_interval(row[key]) for key in ARM_FIGURES)] for arm, row in rows.items()
    ]
    first = next(iter(rows.values()))
    note = (
        f"{capital(size_of(first))}; {seeds_of(first)}; brackets hold the {interval_name(first)}. Accuracy is over all classes; "
        "precision, recall and F1 are of 'anomalous', any class but normal; AUROC is of 1 − p(normal)."
    )
    reasons = missing_reasons(row[key] for row in rows.values() for key in ARM_FIGURES)
    note += "".join(f" {MISSING} : {reason}." for reason in reasons)
    table = Table(
        ("Trained on", "Accuracy", "AUROC", "Precision", "Recall", "F1"),
        cells,
        note=note,
        stacked=True,
    )
    matrices = material.pictures(
        (
            Picture(f"confusion_{arm}", f"Confusion matrix of the arm {name}")
            for arm, name in names.items()
        ),
        "third",
    )
    takeaway = "One network, the same real images, steps and seed; only what is added differs. Overlapping intervals show no difference."
    return Section("arms", title, takeaway, [table, *matrices, *_calibration(rows)])


def _calibration(rows: Mapping[str, Any]) -> Iterator[Fold]:
    cells = [
        [
            arm.replace("_", " + "),
            with_interval(row["brier"]),
            number({"value": row["brier_of_the_share"]}),
            with_interval(row["expected_calibration_error"]),
        ]
        for arm, row in rows.items()
        if "brier" in row
    ]
    if not cells:
        return
    note = (
        "Brier score: mean squared error of 1 − p(normal), lower is better; beside it that of always saying the share of anomalous test "
        "images. The calibration error over ten bins is biased upward."
    )
    table = Table(
        ("Trained on", "Brier score", "Brier score of the share", "Expected calibration error"),
        cells,
        note=note,
    )
    bins = [
        [
            f"{arm.replace('_', ' + ')}: {point['predicted']:.2f}",
            with_interval(point["observed"]),
            f"{point['n_images']:,}",
        ]
        for arm, row in rows.items()
        for point in row.get("calibration_curve", ())
    ]
    yield Fold("Calibration", [table, Table(("Mean predicted", "Share observed", "Images"), bins)])


def quality(material: Material) -> Section:
    """Drawn images beside real ones."""
    figures = material.document["quality"]
    drawn = [name for name in material.figures if name.startswith("samples_")]
    items = [
        Picture(
            name,
            f"Synthetic images of {_bare(name)}",
            f"Synthetic images drawn by {_bare(name)}, not selected.",
        )
        for name in drawn
    ]
    pictures: list[Block] = list(material.pictures(items, "half"))
    if not figures:
        return Section(
            "images",
            "Synthetic images",
            "Not measured yet.",
            [*pictures, Absent(ABSENT["quality"])],
        )
    tables = list(_quality(figures))
    blocks: list[Block] = [
        *pictures,
        tables[0],
        *(Fold(f"{capital(table.title)}, by class", [table]) for table in tables[1:]),
    ]
    takeaway = "Each figure stands beside that of real images among themselves: a generator is as good as it comes near to it."
    return Section(
        "images", "Synthetic images", takeaway, [*blocks, Table((), (), note=ON_QUALITY)]
    )


def _bare(figure: str) -> str:
    return readable(figure.split("_", 1)[1])


def _quality(quality: Mapping[str, Any]) -> Iterator[Table]:
    """All generators on the class that they share, and each that draws several classes by
    itself.
    """
    shared = shared_class(quality)
    if len(quality) > 1:
        yield _quality_table(
            f"All generators, {readable(shared)} images",
            {model: classes[shared] for model, classes in quality.items()},
        )
    for model, classes in quality.items():
        if len(quality) == 1 or len(classes) > 2:  # `overall`, and more than one class
            yield _quality_table(readable(model), classes)


def _quality_table(title: str, columns: Mapping[str, Any]) -> Table:

    def row(key: str) -> list[str]:
        figures = [figures.get(key) or {} for figures in columns.values()]
        return [
            f"{pairing_name(key)}\n{direction(key)} is better{_counted(figures)}",
            *map(_beside_real, figures),
        ]

    cells = [row(key) for key in next(iter(columns.values()))]
    note = (
        "In parentheses: the same figure of real images against real images, under the same protocol. "
        + " ".join(
            f"– : {reason.rstrip('.')}."
            for reason in missing_reasons(
                figure for figures in columns.values() for figure in figures.values()
            )
        )
    )
    return Table(
        ("Figure", *(readable(name) for name in columns)), cells, title, note, stacked=True
    )


def _counted(figures: Sequence[Mapping[str, Any]]) -> str:
    """`, 100 images`; one number for each column where they differ, and nothing where nothing was
    measured.
    """
    counts = [str(figure.get("n", MISSING)) for figure in figures]
    distinct = list(dict.fromkeys(counts))
    return (
        ""
        if distinct == [MISSING]
        else f", {' / '.join(counts if len(distinct) > 1 else distinct)} images"
    )


def _beside_real(figure: Mapping[str, Any] | None) -> str:
    if not figure or figure.get("value") is None:
        return MISSING
    digits = 1 if abs(figure["value"]) >= 10 else 3
    return f"{number(figure, digits)} ({number({'value': figure.get('real_vs_real')}, digits)})"


def choices(material: Material) -> Section:
    """Which step of each training is published, and why."""
    cards = material.cards
    trained = [name for name, card in cards.items() if card["planned_steps"]] if cards else None
    curved = (name for name in material.figures if name.startswith("curves_"))
    names = [name for name in curved if trained is None or name.removeprefix("curves_") in trained]
    made: list[Pictures] = list(
        material.pictures(
            (Picture(name, f"Training curves of {_bare(name)}") for name in names), "half"
        )
    )
    curves = [Fold("Training curves", made)] if made else []
    takeaway = (
        "The weights were chosen on training and validation images; no test image had a part in it."
    )
    if not cards:
        return Section(
            "choices", "Training and model choice", takeaway, [Absent(TRAINING_ABSENT), *curves]
        )
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
    table = Table(
        ("Model", "Published step", "Why", *(LOOKS[name] for name in figures)),
        cells,
        note=note,
        stacked=True,
    )
    return Section("choices", "Training and model choice", takeaway, [table, *curves])


TRAINING_ABSENT = (
    "Model cards: not there yet; 'kedro run --pipeline gan_training' trains the models."
)
