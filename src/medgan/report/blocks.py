"""What a report is built of: sections of blocks, and the material that they are written from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd

from medgan.report.text import not_run


@dataclass(frozen=True)
class Table:
    """Strings, ready to be shown; the first column names the row, with a remark after a line
    break.
    """

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    note: str = ""
    stacked: bool = False
    """Whether each row becomes a list on a narrow screen, where the table would else scroll."""
    ranked: bool = False
    """Whether the first row is the best one."""


@dataclass(frozen=True)
class Picture:
    """A figure by its name, and what it says to who cannot see it."""

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
    """Blocks behind a line that opens them."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: Sequence[Block]


Block = Table | Pictures | Sentences | Terms | Absent | Fold


@dataclass(frozen=True)
class Section:
    """One question, the sentence to take from its answer, and the evidence."""

    key: str
    title: str
    takeaway: str
    blocks: Sequence[Block]
    opened: bool = False


@dataclass(frozen=True)
class Material:
    """All that a report is written from."""

    document: Mapping[str, Any]
    """Results of schema 1."""
    splits: pd.DataFrame
    """category, split, images and, where they are known, patients."""
    order: Sequence[str]
    """The detectors, the best first."""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    """A sentence about each detector."""
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The card of each published model."""
    together: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Documents of all detectors or of the data, by kind: detector_tests, shortcuts, cohort,
    reference_standard, leakage_audit, cut_profile, tested_elsewhere, claim."""
    each: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Documents of one detector, by kind and detector: components, localisation, robustness,
    subgroups, random_errors, worst_slices, external, categories, projection_facts."""
    fold: str = ""
    """`0 of 25` where the test images are one fold of a cross-validation."""
    figures: Collection[str] = ()
    """Names of the figures that have been made."""

    @property
    def rows(self) -> Mapping[str, Any]:
        """The row of each detector."""
        rows: Mapping[str, Any] = self.document["detectors"]
        return rows

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The row of the detector with the highest AUROC, where there is one."""
        row: Mapping[str, Any] | None = self.rows[self.order[0]] if self.order else None
        return row if row is not None and row["auroc"]["value"] is not None else None

    def of(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """The documents of a kind, those of the best detector first."""
        found = self.each.get(kind, {})
        names = [name for name in self.order if name in found]
        return {
            name: found[name] for name in [*names, *(name for name in found if name not in names)]
        }

    def pictures(
        self, items: Iterable[Picture], size: str = "wide", title: str = ""
    ) -> Iterator[Pictures]:
        """Those of the pictures that have been made, or nothing."""
        made = [item for item in items if item.name in self.figures]
        if made:
            yield Pictures(made, size, title)


def absent_section(
    key: str, title: str, what: str, pipeline: str = "anomaly_evaluation"
) -> Section:
    """A section that has not been run, with the command that makes it."""
    return Section(key, title, f"{what}: not run yet.", [Absent(not_run(what, pipeline))])
