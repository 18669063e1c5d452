"""The documents that a report is written from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import pandas as pd

from medgan.audits import results as audits
from medgan.audits.arms import ArmsAudit
from medgan.audits.data_results import CohortResult, ReferenceStandard
from medgan.audits.privacy import PrivacyResult
from medgan.audits.release import ReleaseVerdict
from medgan.evaluation import details
from medgan.evaluation.results import DetectorResult, Results
from medgan.images.cropping import CutProfile
from medgan.images.leakage import LeakageAudit
from medgan.images.summary import DataSummary
from medgan.models import display_name
from medgan.report.text import best_first
from medgan.words import SMOKE_SCALE

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ModelDocuments:
    """The documents of one detector beside its row of the results; None where not made."""

    components: details.ComponentsResult | None = None
    localisation: details.LocalisationResult | None = None
    robustness: audits.RobustnessResult | None = None
    subgroups: audits.SubgroupsResult | None = None
    random_errors: audits.RandomErrors | None = None
    worst_slices: audits.WorstSlices | None = None
    external: details.ExternalResult | None = None
    categories: details.CategoriesResult | None = None
    projections: details.ProjectionsResult | None = None


@dataclass(frozen=True)
class Card:
    """What the card of a published model says of its training; read by `from_json`."""

    planned_steps: int
    published_step: int
    choice: str
    figures: Mapping[str, float | str | None] = field(default_factory=dict)
    """Validation metrics of the published step."""
    scale: str = ""
    """Of the training: smoke, cpu or gpu."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Settings of a run that the checklist names."""

    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    n_resamples: int = 0
    image_size: str = ""
    intensity: str = ""
    slices: str = ""
    """`1,200 slices of 30 volumes` where images are slices."""


@dataclass(frozen=True)
class ChecklistItem:
    """An item of a checklist with its answer."""

    item: int
    section: str
    topic: str
    status: str
    answer: str


@dataclass(frozen=True)
class Checklist:
    """A filled checklist: the document claim.json."""

    checklist: str
    source: str
    counts: Mapping[str, int]
    items: Sequence[ChecklistItem]


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything that a report is written from; parts that have not been run are None or empty."""

    results: Results
    splits: pd.DataFrame
    """category, split, images and, where they are known, patients (`split_table`)."""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    """A sentence about each detector."""
    cards: Mapping[str, Card] = field(default_factory=dict)
    """By the name of the published model."""
    models: Mapping[str, ModelDocuments] = field(default_factory=dict)
    """By the name of the detector, or of other features (`domain_features`)."""
    verdicts: Mapping[str, ReleaseVerdict] = field(default_factory=dict)
    """By the name of the generator."""
    privacy: Mapping[str, PrivacyResult] = field(default_factory=dict)
    tests: details.DetectorTests | None = None
    shortcuts: audits.ShortcutsResult | None = None
    cohort: CohortResult | None = None
    reference: ReferenceStandard | None = None
    leakage: LeakageAudit | None = None
    summary: DataSummary | None = None
    cut: CutProfile | None = None
    elsewhere: details.ExternalTests | None = None
    arms: ArmsAudit | None = None
    claim: Checklist | None = None
    fold: str = ""
    """`0 of 25` where the test images are one fold of a cross-validation."""
    facts: RunFacts = field(default_factory=RunFacts)
    figures: Collection[str] = ()
    """Names of the figures that have been made."""

    @cached_property
    def order(self) -> list[str]:
        """The detectors, the highest AUROC first."""
        return best_first(self.results.detectors)

    def ranked(self) -> Iterator[tuple[str, DetectorResult]]:
        """Display name and row of each detector, the best first."""
        for name in self.order:
            yield display_name(name), self.results.detectors[name]

    @property
    def smoke(self) -> bool:
        """Whether a detector was trained at scale=smoke, so that no metric means anything."""
        cards = (self.cards[name] for name in self.order if name in self.cards)
        return any(card.scale == SMOKE_SCALE for card in cards)

    @property
    def best(self) -> DetectorResult | None:
        """The row of the detector with the highest AUROC, where there is one."""
        row = self.results.detectors[self.order[0]] if self.order else None
        return row if row is not None and row.auroc.value is not None else None

    def each(self, part: Callable[[ModelDocuments], T | None]) -> dict[str, T]:
        """One document of each detector that has it, that of the best detector first."""
        names = [*self.order, *(name for name in self.models if name not in self.order)]
        found = ((name, part(self.models[name])) for name in names if name in self.models)
        return {name: document for name, document in found if document is not None}


def split_table(splits: pd.DataFrame) -> pd.DataFrame:
    """Count images and patients of each category in each split; without patients where they are
    unknown.
    """
    counted = (
        splits.groupby(["category", "split"])
        .agg(images=("image_id", "size"), patients=("group_id", "nunique"))
        .reset_index()
    )
    return counted if splits["group_known"].all() else counted.drop(columns="patients")


def fold_of(splits: pd.DataFrame) -> str:
    """`0 of 25` where the test part is one fold of a cross-validation, else nothing."""
    folds = splits.reindex(columns=["fold"])["fold"].dropna().astype(str)
    return folds.iloc[0] if len(folds) else ""


def slices_of(splits: pd.DataFrame) -> str:
    """`1,200 slices of 30 volumes` where images are slices, else nothing."""
    volumes = splits.reindex(columns=["volume"])["volume"].dropna()
    return f"{len(volumes):,} slices of {volumes.nunique():,} volumes" if len(volumes) else ""
