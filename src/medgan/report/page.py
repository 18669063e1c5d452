"""The results of a data set as the sentences and tables of its report."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from numpy.typing import NDArray
from PIL import Image

from medgan.evaluation.results import validate
from medgan.report.blocks import Absent, Material, Picture, Section
from medgan.report.sections import audits, cohort, detectors, embeddings, training, verdict
from medgan.report.sections import cohort as method
from medgan.report.text import ABSENT, best_first

SECTIONS: Sequence[Callable[[Material], Section]] = (
    detectors.detectors,
    detectors.tests,
    embeddings.maps,
    embeddings.localisation,
    audits.shortcuts,
    audits.subgroups,
    audits.robustness,
    cohort.cohort,
    cohort.labels,
    embeddings.components,
    embeddings.kinds,
    embeddings.projections,
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
        UserError: the document is not one of schema 1.
    """
    validate(document)
    order = best_first(document["detectors"])
    material = Material(
        document,
        splits,
        order,
        descriptions or {},
        cards or {},
        together or {},
        each or {},
        fold,
        figures,
    )
    return Story(
        dataset=document["dataset"],
        answer=verdict.answer(material),
        picture=FOREST,
        details=list(verdict.details(material)),
        warnings=verdict.warnings(material),
        sections=[_section(make, material) for make in SECTIONS],
    )


def _section(make: Callable[[Material], Section], material: Material) -> Section:
    if make in NEED_DETECTORS and not material.order:
        return Section(
            "detectors" if make is NEED_DETECTORS[0] else "tests",
            "Detectors compared",
            "Not run yet.",
            [Absent(ABSENT["detectors"])],
        )
    return make(material)


TEMPLATE = "report.html.j2"


class ReportText(Protocol):
    """What the report says: `evaluation.story.Story`. Its sections hold blocks of a `kind` that the
    template knows how to show.
    """

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        ...

    @property
    def answer(self) -> str:
        """The one sentence to take along."""
        ...


def render_report(story: ReportText, figures: Mapping[str, bytes]) -> str:
    """The page.

    Args:
        story: its sentences, tables and the names of its figures; all text is escaped.
        figures: name to PNG file; those that the story names are embedded as they are
            (`compact.compacted` makes them small).

    Returns:
        HTML without any remote part.
    """
    return _template().render(
        story=story, made=frozenset(figures), uri=lambda name: _data_uri(figures[name])
    )


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE)


WIDTH = 1400
"""Pixels; twice the width of a page on a screen with two pixels for one."""
COLORS = 256
FORM = 1
"""Raised with every change in how pictures are made small, so that older ones are not taken."""


def compacted(
    pictures: Iterable[bytes], earlier: Mapping[str, NDArray[Any]] | None = None
) -> dict[str, NDArray[np.uint8]]:
    """The bytes of each picture made small, by the name that `content_name` gives the picture.

    Args:
        pictures: PNG files.
        earlier: what an earlier call returned; a picture that is in it is not made small again.
    """
    known = earlier or {}
    named = {content_name(png): png for png in pictures}
    return {
        name: known[name] if name in known else np.frombuffer(compact(png), dtype=np.uint8)
        for name, png in named.items()
    }


def content_name(png: bytes) -> str:
    """The same for the same file, and for no other."""
    return f"{FORM}-{hashlib.sha256(png).hexdigest()}"


def compact(png: bytes, width: int = WIDTH) -> bytes:
    """The picture with at most `width` columns and 256 colors, or as it is where that would not
    make it smaller.

    Args:
        png: a PNG file.
        width: in pixels.

    Returns:
        A PNG file.
    """
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    if picture.width > width:
        picture = picture.resize(
            (width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS
        )
    stream = io.BytesIO()
    # Maximum coverage keeps the few colored pixels of a heat map: median cut gives most of the
    # colors to the greys around them.
    # Pillow's `optimize` would take five times as long to encode and save 4 % of the bytes.
    picture.quantize(COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        stream, "PNG"
    )
    return min(png, stream.getvalue(), key=len)
