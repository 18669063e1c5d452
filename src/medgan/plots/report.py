"""The report: one HTML page with everything inside, readable on a phone, in the light and in the dark."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from medgan.plots.style import readable

TEMPLATE = "report.html.j2"


class ReportText(Protocol):
    """What the report says: `evaluation.story.Story`. Tables have columns, rows, title and note."""

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
        story: its sentences and tables; all text is escaped.
        figures: name to PNG file: forest, roc, pr, and for each model or arm confusion_, heatmaps_, histogram_, samples_, curves_<name>.

    Returns:
        HTML without any remote part.
    """
    groups = {kind: _of_kind(figures, kind) for kind in ("heatmaps", "histogram", "confusion", "samples", "curves")}
    single = {name: _data_uri(figures[name]) if name in figures else "" for name in ("forest", "roc", "pr")}
    return _template().render(story=story, single=single, groups=groups)


def _of_kind(figures: Mapping[str, bytes], kind: str) -> Sequence[Mapping[str, Any]]:
    """The figures named `<kind>_<name>`, with the name for a heading and the picture as a data URI."""
    prefix = f"{kind}_"
    names = [name for name in figures if name.startswith(prefix)]
    return [{"name": readable(name.removeprefix(prefix)), "uri": _data_uri(figures[name])} for name in names]


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(TEMPLATE)
