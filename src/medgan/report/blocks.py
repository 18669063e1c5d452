"""The blocks of which the sections of a report consist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from medgan.report.tables import Table
from medgan.report.text import not_run


@dataclass(frozen=True)
class Picture:
    """A figure by its name, with a text for readers who cannot see it."""

    name: str
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Pictures:
    """Figures beside each other where there is room."""

    kind: ClassVar[str] = "pictures"
    items: Sequence[Picture]
    size: str = "wide"
    """`wide`: one below the other; `whole`: the same, no higher than a screen; `half` and `third`:
    of the width.
    """
    title: str = ""


@dataclass(frozen=True)
class Sentences:
    """A list."""

    kind: ClassVar[str] = "sentences"
    lines: Sequence[str]
    title: str = ""


@dataclass(frozen=True)
class Terms:
    """Names and what they mean."""

    kind: ClassVar[str] = "terms"
    pairs: Mapping[str, str]
    title: str = ""


@dataclass(frozen=True)
class Absent:
    """What stands where a part has not been run."""

    kind: ClassVar[str] = "absent"
    text: str


@dataclass(frozen=True)
class Fold:
    """Blocks that the reader opens by a click."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: Sequence[Block]


Block = Table | Pictures | Sentences | Terms | Absent | Fold


@dataclass(frozen=True)
class Section:
    """A section with its main result in one sentence."""

    key: str
    title: str
    takeaway: str
    blocks: Sequence[Block]
    opened: bool = False


def absent_section(
    key: str, title: str, what: str, pipeline: str = "anomaly_evaluation"
) -> Section:
    """A section that has not been run, with the command that runs it."""
    return Section(key, title, f"{what}: not run yet.", [Absent(not_run(what, pipeline))])
