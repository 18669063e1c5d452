"""The report as one HTML page without remote parts."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from medgan.report.blocks import Block, Fold, Picture, Pictures, Section, Terms
from medgan.report.data import ReportData
from medgan.report.sections import (
    arms,
    audits,
    cohort,
    detectors,
    embeddings,
    release,
    training,
    verdict,
)
from medgan.report.sections import data as sections_data
from medgan.report.tables import Table
from medgan.words import NOT_A_MEDICAL_DEVICE

if TYPE_CHECKING:
    from jinja2 import Environment

SECTIONS: Sequence[Callable[[ReportData], Section]] = (
    detectors.detectors,
    detectors.tests,
    embeddings.maps,
    embeddings.localisation,
    audits.shortcuts,
    audits.subgroups,
    audits.robustness,
    sections_data.data,
    cohort.cohort,
    cohort.labels,
    embeddings.components,
    embeddings.anomaly_types,
    embeddings.projections,
    arms.arms,
    training.quality,
    release.release,
    training.choices,
    cohort.protocol,
    cohort.claim,
    cohort.limits,
)
"""In the order of the page: the evidence of the headline first, the method last."""
FOREST = Picture(
    "forest",
    "AUROC of each detector with its 95 % interval",
    "Point: AUROC on the test images. Bar: 95 % interval. 0.5 is chance, 1 is perfect.",
)
TEMPLATE = "report.html.j2"
WIDTH = 1600
"""Most columns of a picture, twice those of the page; the sheets of images are narrower, since a
resized sheet, which no longer repeats its pixels, takes four times the room."""
GRAYS, COLORS = 64, 128
"""Of a picture; together they are few enough for a palette of WebP."""
NEUTRAL = 8
"""Largest difference between the channels of a gray pixel."""


def render_report(data: ReportData, figures: Mapping[str, bytes]) -> str:
    """Render the report as HTML without any remote part; all text is escaped. A section shows those
    figures (PNG files by name) that are there.
    """
    data = replace(data, figures=tuple(figures))
    return environment().get_template(TEMPLATE).render(
        dataset=data.results.dataset,
        headline=verdict.headline(data),
        details=list(verdict.details(data)),
        warnings=verdict.warnings(data),
        picture=FOREST if FOREST.name in figures else None,
        sections=sections(data),
        notice=NOT_A_MEDICAL_DEVICE,
        uri=lambda name: data_uri(compact(figures[name]), "webp"),
    )  # fmt: skip


def sections(data: ReportData) -> list[Section]:
    """All sections, without the figures that have not been made."""
    made = [make(data) for make in SECTIONS]
    return [replace(section, blocks=list(_shown(section.blocks, data.figures))) for section in made]


def _shown(blocks: Sequence[Block], figures: Collection[str]) -> Iterator[Block]:
    """Leave out missing figures, and blocks that are empty."""
    for block in blocks:
        if isinstance(block, Pictures):
            if items := [item for item in block.items if item.name in figures]:
                yield replace(block, items=items)
        elif isinstance(block, Fold):
            if inner := list(_shown(block.blocks, figures)):
                yield replace(block, blocks=inner)
        elif isinstance(block, Table):
            yield from [block] if block.rows or block.note else []
        elif not isinstance(block, Terms) or block.pairs:
            yield block


def data_uri(content: bytes, form: str) -> str:
    """Embed a picture."""
    return f"data:image/{form};base64,{base64.b64encode(content).decode('ascii')}"


@cache
def environment() -> Environment:
    """The templates of this package."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("medgan", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def compact(png: bytes, width: int = WIDTH) -> bytes:
    """Reduce a PNG file to at most `width` columns, GRAYS and COLORS, as a lossless WebP file."""
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    if picture.width > width:
        height = round(picture.height * width / picture.width)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    _reduced(picture).save(stream, "WEBP", lossless=True, quality=75, method=4)
    return stream.getvalue()


def _reduced(picture: Image.Image) -> Image.Image:
    """Give grays and colors a palette each: a common one would tint the grays of an image, or
    take the few colored pixels of a heat map away.
    """
    pixels = np.array(picture)
    gray = np.ptp(pixels, axis=2) <= NEUTRAL
    step = 255 / (GRAYS - 1)
    pixels[gray] = np.round(np.round(pixels[gray].mean(1, keepdims=True) / step) * step)
    if not gray.all():
        colored = Image.fromarray(pixels[~gray][np.newaxis])
        reduced = colored.quantize(COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        pixels[~gray] = np.asarray(reduced.convert("RGB"))[0]
    return Image.fromarray(pixels)
