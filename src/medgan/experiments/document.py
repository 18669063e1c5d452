"""The results of a dataset over all seeds, docs/results/<dataset>.json: the types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medgan import models
from medgan.audits.results import Scopes
from medgan.evaluation.baselines import is_better, is_worse
from medgan.evaluation.details import CategoriesResult, LocalisationResult
from medgan.evaluation.results import DetectorResult, Results, ValidationMetrics
from medgan.experiments.plan import Experiment
from medgan.experiments.records import Components, Hardware, Parameters, Record, Seconds
from medgan.files.documents import ALWAYS
from medgan.stats.bootstrap import Estimate
from medgan.stats.pooling import FoldAverage


@dataclass(frozen=True, kw_only=True)
class PooledDetector(DetectorResult):
    """A detector over its seeds, or over the folds of a small cohort."""

    folds: FoldAverage | None = None


@dataclass(frozen=True)
class Comparison:
    """The difference in AUROC of two rows on the same test images, averaged over seeds."""

    first: str
    second: str
    family: str
    seeds: tuple[int, ...]
    """That both rows have."""
    p_value: float | None
    difference: Estimate
    p_holm: float | None
    """Corrected over all comparisons of the dataset."""
    verdict: str
    n_images: int | None = None
    effect_size: float | None = None
    """Of two arms: the difference in standard deviations of the scores of a class (d')."""

    @property
    def is_better(self) -> bool:
        """Whether the corrected test shows the first row to be better."""
        return is_better(self.difference, self.p_holm)

    @property
    def is_worse(self) -> bool:
        """Whether the corrected test shows the first row to be worse."""
        return is_worse(self.difference, self.p_holm)


@dataclass(frozen=True)
class Trained:
    """How the models of a row were trained."""

    seeds: tuple[int, ...]
    parameters: Parameters
    command: str
    budget: Mapping[str, Any] | None
    published_step: tuple[int | None, ...]
    choice: tuple[str | None, ...]
    """What chose the weights of each seed, in words."""
    seconds: tuple[Seconds, ...]
    score: tuple[str, ...] = ()
    """The components that validation has chosen for the score of each seed, where it may choose."""
    form: str = ""
    """The method that the model is with its settings, such as ALAD; empty where it has one form."""

    @classmethod
    def of(cls, records: Sequence[Record]) -> Trained:
        """Combine the records of a row."""
        first = records[0]
        own = first.model in models.names()
        form = models.form(first.model, first.training.configuration or {}) if own else ""
        return cls(
            score=tuple(str(one.training.score["name"]) for one in records if one.training.score),
            form="" if form == models.display_name(first.model) else form,
            seeds=tuple(record.seed for record in records),
            parameters=first.parameters,
            command=first.command,
            budget=first.training.budget,
            published_step=tuple(record.training.published_step for record in records),
            choice=tuple(record.training.choice for record in records),
            seconds=tuple(record.provenance.seconds for record in records),
        )


@dataclass(frozen=True, kw_only=True)
class Tried(Trained):
    """What validation says of a setting."""

    model: str
    validation: tuple[ValidationMetrics | None, ...]

    @classmethod
    def of(cls, records: Sequence[Record]) -> Tried:
        """Combine the records of a setting."""
        return cls(
            model=records[0].model,
            validation=tuple(record.validation for record in records),
            **vars(Trained.of(records)),
        )


@dataclass(frozen=True)
class Origin:
    """What all runs have in common, and the distinct values of what they do not."""

    records: int
    time: str | None
    hardware: tuple[Hardware, ...]
    git: tuple[str | None, ...]
    lock_hash: tuple[str | None, ...]
    versions: tuple[Mapping[str, str | None], ...]


@dataclass(frozen=True, kw_only=True)
class Collected(Results):
    """The results of a dataset over all seeds."""

    provenance: Origin  # type: ignore[assignment]  # of several runs
    detectors: Mapping[str, PooledDetector] = field(default_factory=dict, metadata=ALWAYS)
    experiment: Experiment
    missing: tuple[str, ...]
    """Declared rows and seeds without a record."""
    differences: tuple[Comparison, ...]
    contamination: Mapping[str, tuple[tuple[float, Estimate], ...]]
    """Model -> (anomalous share of its mix, AUROC), in ascending order."""
    components: Mapping[str, Components]
    categories: Mapping[str, CategoriesResult]
    localisation: Mapping[str, LocalisationResult] = field(default_factory=dict)
    """Of rows whose maps were compared with masks, or with the box of the organ."""
    shortcuts: Mapping[str, Scopes]
    trained: Mapping[str, Trained]
    tried: Mapping[str, Tried]
