"""The report of all that has been run on a data set, and the checklist for its reviewers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import torch
from numpy.typing import NDArray

from medgan import __version__, models
from medgan.evaluation.protocol import EvaluationConfig
from medgan.evaluation.results import new_document, rows_of
from medgan.images.splits import data_hash
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.report.claim import checklist
from medgan.report.page import compacted, content_name, render_report, tell

Arrays = Mapping[str, NDArray[Any]]
TOGETHER = (
    "detector_tests",
    "shortcuts",
    "cohort",
    "reference_standard",
    "leakage_audit",
    "cut_profile",
    "tested_elsewhere",
    "claim",
)
"""Kinds of documents about all detectors, or about the data."""
EACH = (
    "components",
    "localisation",
    "robustness",
    "subgroups",
    "random_errors",
    "worst_slices",
    "external",
    "categories",
    "projection_facts",
)
"""Kinds of documents about one detector; an input is named <kind>_<detector>."""


def fill_checklist(
    detectors: Mapping[str, Any],
    images: ImageStore,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
    **others: Any,
) -> dict[str, Any]:
    """CLAIM 2024, answered from documents: `others` are those of `report`, and the published
    models.
    """
    documents = _documents(others)
    about = {
        "dataset": config.dataset,
        "versions": {"medgan": __version__, "torch": torch.__version__},
        "seed": seed,
        "n_resamples": config.n_resamples,
        "image_size": f"{images.info.width} x {images.info.height}",
        "intensity": images.info.intensity,
        "fold": fold_of(splits),
        "slices": slices_of(splits),
    }
    together = {kind: documents[kind] for kind in TOGETHER if kind in documents}
    each = {kind: _each(kind, documents) for kind in EACH}
    return checklist(rows_of(detectors), together, each, _cards(others), about)


def report(
    detectors: Mapping[str, Any],
    classifiers: Mapping[str, Any] | None,
    quality: Mapping[str, Any] | None,
    images: ImageStore,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
    cached_pictures: Arrays | None,
    **others: bytes | PublishedModel | Mapping[str, Any] | None,
) -> tuple[str, Arrays]:
    """The report of all that has been run on this data set: one HTML page without any remote part,
    and its pictures made small.

    `cached_pictures` are those of an earlier run. `others` are the pictures (figure_<kind> and
    figure_<kind>_<model>), the documents (<kind> and <kind>_<detector>) and the published models
    (published_<model>), whose cards it reads; what has not been made is None.
    """
    figures = {
        name.removeprefix("figure_"): other
        for name, other in others.items()
        if isinstance(other, bytes)
    }
    documents = _documents(others)
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    provenance = {
        "made": made,
        "medgan": __version__,
        "torch": torch.__version__,
        "seed": seed,
        "data_hash": data_hash(images, splits),
        "image size": f"{images.info.width} x {images.info.height}",
        "intensity": images.info.intensity,
        "bootstrap resamples": config.n_resamples,
    }
    document = new_document(config.dataset, "test", provenance)
    sections = {"detectors": detectors, "classifiers": classifiers, "quality": quality}
    document |= {name: rows_of(section) for name, section in sections.items()}
    story = tell(
        document,
        split_table(splits),
        descriptions={name: _first_line(name) for name in models.detectors()},
        cards=_cards(others),
        together={kind: documents[kind] for kind in TOGETHER if kind in documents},
        each={kind: _each(kind, documents) for kind in EACH},
        figures=tuple(figures),
        fold=fold_of(splits),
    )
    small = compacted(figures.values(), cached_pictures)
    return render_report(
        story, {name: small[content_name(png)].tobytes() for name, png in figures.items()}
    ), small


def _documents(others: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: other for name, other in others.items() if isinstance(other, Mapping)}


def _each(kind: str, documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {
        name.removeprefix(f"{kind}_"): found
        for name, found in documents.items()
        if name.startswith(f"{kind}_")
    }


def _cards(others: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {
        other.name: other.card for other in others.values() if isinstance(other, PublishedModel)
    }


def _first_line(name: str) -> str:
    return (models.load(name).__doc__ or "").strip().splitlines()[0]


def fold_of(splits: pd.DataFrame) -> str:
    """`0 of 25` where the test part is one fold of a cross-validation, else nothing."""
    folds = splits.reindex(columns=["fold"])["fold"].dropna().astype(str)
    return folds.iloc[0] if len(folds) else ""


def slices_of(splits: pd.DataFrame) -> str:
    """`1,200 slices of 30 volumes` where images are slices, else nothing."""
    volumes = splits.reindex(columns=["volume"])["volume"].dropna()
    return f"{len(volumes):,} slices of {volumes.nunique():,} volumes" if len(volumes) else ""


def split_table(splits: pd.DataFrame) -> pd.DataFrame:
    """Images and patients of each category in each split; patients are left out where they are
    unknown.
    """
    known = bool(splits["group_known"].all())
    counted = (
        splits.groupby(["category", "split"])
        .agg(images=("image_id", "size"), patients=("group_id", "nunique"))
        .reset_index()
    )
    return counted if known else counted.drop(columns="patients")
