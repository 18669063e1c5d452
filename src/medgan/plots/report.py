"""The report: one HTML page with everything inside, readable on a phone, in the light and in the dark."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

TEMPLATE = "report.html.j2"


class ReportText(Protocol):
    """What the report says: `evaluation.story.Story`. Its sections hold blocks of a `kind` that the template knows how to show."""

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
        figures: name to PNG file; those that the story names are embedded as they are (`compact.compacted` makes them small).

    Returns:
        HTML without any remote part.
    """
    return _template().render(story=story, made=frozenset(figures), uri=lambda name: _data_uri(figures[name]))


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(TEMPLATE)
