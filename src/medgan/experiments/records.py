"""Records: one small file for each finished (dataset, row, seed), in docs/results/runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from medgan.errors import UserError
from medgan.evaluation.details import CategoriesResult, ComponentsResult, LocalisationResult
from medgan.evaluation.results import (
    ClassifierResult,
    DetectorResult,
    SynthesisResult,
    ValidationMetrics,
)
from medgan.files.atomic import write_text
from medgan.files.documents import ALWAYS, from_json, to_json
from medgan.files.names import slug
from medgan.stats.bootstrap import Estimate
from medgan.stats.classification import Predictions

SCHEMA = 1
FOLDER = Path("docs/results/runs")
SIX_DIGITS = "{:.6g}"
AGAIN = "delete it, then `make reproduce` makes it again"
Parameters = Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class ImageScores:
    """The validation or test images of a row, as text: intervals of differences, ROC curves and
    ensembles need them.

    No image and no patient is named.
    """

    units: str
    """Hash of the pixels in order: equal for rows that were scored on the same images."""
    label: str
    """A digit for each image: 0 or 1."""
    called: str
    """A digit for each image: the decision at the frozen threshold."""
    score: str
    """Higher is more anomalous; six digits."""
    group: str | None
    """The first row of the patient of each, the same in every split, seed and data folder; None
    where patients are unknown.
    """

    def __post_init__(self) -> None:
        if len({len(self.label), len(self.called), len(self.scores), len(self.groups)}) > 1:
            raise UserError(
                "A record's test scores do not have one label, decision, score and group for each "
                f"image: {AGAIN}."
            )

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """0 or 1 (n,)."""
        return np.array(list(self.label), dtype=np.int64)

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """Anomaly scores (n,)."""
        return _numbers(self.score)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """Number of the patient (n,); of the image where patients are unknown."""
        if self.group is None:
            return np.arange(len(self.label))
        return np.array(self.group.split(), dtype=np.int64)

    @property
    def predictions(self) -> Predictions:
        """Scores and decisions, for metrics."""
        return Predictions(self.labels, self.scores, np.array(list(self.called), dtype=np.int64))

    @classmethod
    def of(cls, table: pd.DataFrame, splits: pd.DataFrame) -> ImageScores:
        """Convert a table of `evaluation.compare_runs.COLUMNS`.

        Args:
            table: the images of one part.
            splits: of the dataset; ids of images and patients differ from one data folder to
                another, the rows do not.
        """
        ordered, units = _in_order(table, "unit", splits)
        numbers = splits.groupby(splits["group_id"].astype(str))["row"].min()
        patients = ordered["group_id"].astype(str).map(numbers)
        known = bool(ordered["group_known"].all())
        return cls(
            units=units,
            label=_digits(ordered["label"]),
            called=_digits(ordered["called"]),
            score=_text(ordered["score"]),
            group=" ".join(map(str, patients)) if known else None,
        )

    def with_scores(self, scores: NDArray[np.float64], called: NDArray[np.int64]) -> ImageScores:
        """Return the same images with other scores and decisions (n,)."""
        return replace(self, score=_text(scores), called=_digits(called))

    def frame(self) -> pd.DataFrame:
        """Convert to what `stats.pooling.fold_average` takes."""
        columns = {"label": self.labels, "score": self.scores, "group_id": self.groups}
        return pd.DataFrame({**columns, "group_known": self.group is not None})


@dataclass(frozen=True)
class ShortcutScores:
    """The scores of the shortcuts on the test images, in the order of `ImageScores`, as text."""

    units: str
    scores: Mapping[str, str]
    """`<kind>/<shortcut>` to scores."""

    @classmethod
    def of(cls, table: pd.DataFrame, splits: pd.DataFrame) -> ShortcutScores:
        """Convert the table of shortcut scores."""
        ordered, units = _in_order(table[table["split"] == "test"], "image_id", splits)
        named = [name for name in ordered.columns if "/" in name]
        return cls(units, {name: _text(ordered[name]) for name in named})

    def arrays(self, units: str) -> dict[str, NDArray[np.float64]]:
        """Return shortcut to scores (n,); none where other test images were scored."""
        if self.units != units:
            return {}
        return {name: _numbers(text) for name, text in self.scores.items()}


def _in_order(table: pd.DataFrame, ids: str, splits: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Sort images or volumes by their rows in the splits, a volume by its first slice; return the
    hash of their pixels too.
    """
    facts = splits.sort_values("row").set_index("image_id")[["row", "pixel_hash"]]
    if "volume" in splits:
        slices = splits[splits["volume"].notna()].sort_values("row").drop_duplicates("volume")
        facts = pd.concat([facts, slices.set_index("volume")[["row", "pixel_hash"]]])
    found = facts.loc[table[ids]]
    order = np.argsort(found["row"].to_numpy())
    pixels = "\n".join(found["pixel_hash"].iloc[order].astype(str))
    return table.iloc[order], hashlib.sha256(pixels.encode()).hexdigest()[:16]


def _digits(values: Iterable[Any]) -> str:
    return "".join(str(int(value)) for value in values)


def _text(scores: Iterable[float]) -> str:
    return " ".join(SIX_DIGITS.format(value) for value in scores)


def _numbers(text: str) -> NDArray[np.float64]:
    return np.array(text.split(), dtype=np.float64)


@dataclass(frozen=True)
class ComponentMetrics:
    """A component of a score as a detector of its own."""

    auroc: Estimate
    validation_auroc: Estimate


@dataclass(frozen=True)
class Components:
    """The components of a detector's score; the part of a `ComponentsResult` that is recorded."""

    own: str
    weights: Mapping[str, float]
    rows: Mapping[str, ComponentMetrics]

    @classmethod
    def of(cls, found: ComponentsResult) -> Components:
        """Select the recorded part."""
        rows = {
            name: ComponentMetrics(row.auroc, row.validation_auroc or Estimate(None))
            for name, row in found.rows.items()
        }
        return cls(found.own, found.weights, rows)


@dataclass(frozen=True)
class Training:
    """How a model was trained; empty for rows without a training."""

    configuration: Mapping[str, Any] | None = None
    published_step: int | None = None
    planned_steps: int | None = None
    choice: str | None = None
    """What chose the weights."""
    labels_used: str | None = None
    score: Mapping[str, Any] | None = None
    """What chose the components of the score, where validation did."""
    figures: Mapping[str, float | None] | None = None
    """Validation metrics of the chosen weights."""
    training_images: int | None = None
    augmentations: tuple[Any, ...] | None = None
    budget: Mapping[str, Any] | None = None
    key: str | None = None


@dataclass(frozen=True)
class Seconds:
    """Time of a run."""

    wall: float
    cpu: float
    runs: int
    """Number of rows that share the time."""
    training_included: bool


@dataclass(frozen=True)
class Hardware:
    """A machine."""

    machine: str
    system: str
    cores: int | None
    torch_threads: int
    accelerator: str | None


@dataclass(frozen=True)
class Provenance:
    """When, where and with what a record was made."""

    time: str
    hardware: Hardware
    git: str | None
    lock_hash: str | None
    versions: Mapping[str, str | None]
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class Record:
    """The results of one (dataset, row, seed)."""

    schema: int = field(default=SCHEMA, metadata=ALWAYS)
    dataset: str
    """The environment of conf/."""
    name: str
    """Of the row."""
    model: str
    seed: int
    command: str = ""
    parameters: Parameters
    shortcuts: ShortcutScores | None = None
    evaluation: (
        Annotated[DetectorResult | ClassifierResult, Field(union_mode="left_to_right")] | None
    ) = None
    validation: ValidationMetrics | None = None
    """Of a setting that was compared on validation alone."""
    test_scores: ImageScores | None = None
    validation_scores: ImageScores | None = None
    components: Components | None = None
    categories: CategoriesResult | None = None
    localisation: LocalisationResult | None = None
    quality: SynthesisResult | None = None
    training: Training = field(default=Training(), metadata=ALWAYS)
    provenance: Provenance


Records = Mapping[str, tuple[Record, ...]]
"""Row -> the records of its seeds, in the order of the seeds."""


def path_of(root: Path, dataset: str, name: str, seed: int) -> Path:
    """Return the path of a record."""
    return root / FOLDER / dataset / f"{slug(name)}-{seed}.json"


def write_record(root: Path, record: Record) -> Path:
    """Write a record, whole or not at all; return its path."""
    path = path_of(root, record.dataset, record.name, record.seed)
    text = json.dumps(to_json(record), indent=1, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")
    return path


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        UserError: it is damaged, or of another schema.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"The record {path} cannot be read ({error}): {AGAIN}.") from None
    if document.get("schema") != SCHEMA:
        raise UserError(f"{path} is not a record of schema {SCHEMA}: {AGAIN}.")
    try:
        return from_json(Record, document, "It")
    except UserError as error:
        reason = str(error).removesuffix(": run 'kedro run' again.")
        raise UserError(f"{path} is damaged. {reason}: {AGAIN}.") from None


def read_records(root: Path, dataset: str) -> Records:
    """Read the records of a dataset."""
    found = [read_record(path) for path in sorted((root / FOLDER / dataset).glob("*.json"))]
    rows: dict[str, list[Record]] = {}
    for record in found:
        rows.setdefault(record.name, []).append(record)
    return {name: tuple(sorted(of, key=lambda one: one.seed)) for name, of in rows.items()}
