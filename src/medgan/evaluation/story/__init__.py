"""The results of a data set as the sentences and tables of its report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medgan.evaluation.results import validate
from medgan.evaluation.story import answer, audits, cohort, detectors, inside, method, training
from medgan.evaluation.story.parts import Absent, Material, Picture, Section
from medgan.evaluation.wording import ABSENT, best_first

SECTIONS: Sequence[Callable[[Material], Section]] = (
    detectors.detectors,
    detectors.tests,
    inside.maps,
    inside.localisation,
    audits.shortcuts,
    audits.subgroups,
    audits.robustness,
    cohort.cohort,
    cohort.labels,
    inside.components,
    inside.kinds,
    inside.projections,
    training.arms,
    training.quality,
    training.choices,
    method.protocol,
    cohort.claim,
    method.limits,
)
"""From the answer's evidence to the method, in the order of the page."""
NEED_DETECTORS = (detectors.detectors, detectors.tests)
FOREST = Picture(
    "forest",
    "AUROC of each detector with its 95 % interval",
    "Dot: AUROC on the test images. Bar: 95 % interval. 0.5 is chance, 1 is perfect.",
)


@dataclass(frozen=True)
class Story:
    """All that a report says in words."""

    dataset: str
    answer: str
    picture: Picture
    details: Sequence[str]
    warnings: Sequence[str]
    sections: Sequence[Section]


def tell(
    document: Mapping[str, Any],
    splits: pd.DataFrame,
    descriptions: Mapping[str, str] | None = None,
    cards: Mapping[str, Mapping[str, Any]] | None = None,
    together: Mapping[str, Mapping[str, Any]] | None = None,
    each: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
    figures: Collection[str] = (),
    fold: str = "",
) -> Story:
    """The story of a results document.

    Args:
        document: of schema 1.
        splits: category, split, images and, where they are known, patients.
        descriptions: a sentence about each detector.
        cards: the card of each published model, which says what chose its weights.
        together: documents about all detectors or the data, by kind; see `Material`.
        each: documents about one detector, by kind and detector.
        figures: names of the figures that have been made; others are not spoken of.
        fold: which fold of a cross-validation the test images are, where they are one.

    Raises:
        Refusal: the document is not one of schema 1.
    """
    validate(document)
    order = best_first(document["detectors"])
    material = Material(document, splits, order, descriptions or {}, cards or {}, together or {}, each or {}, fold, figures)
    return Story(
        dataset=document["dataset"],
        answer=answer.answer(material),
        picture=FOREST,
        details=list(answer.details(material)),
        warnings=answer.warnings(material),
        sections=[_section(make, material) for make in SECTIONS],
    )


def _section(make: Callable[[Material], Section], material: Material) -> Section:
    if make in NEED_DETECTORS and not material.order:
        return Section(
            "detectors" if make is NEED_DETECTORS[0] else "tests", "Detectors compared", "Not run yet.", [Absent(ABSENT["detectors"])]
        )
    return make(material)
