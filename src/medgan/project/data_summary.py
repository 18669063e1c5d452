"""The summary of a data set at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

if TYPE_CHECKING:
    from medgan.images.summary import DataSummary

ENTRY = "data_summary"
MADE = frozenset({"ingestion_summary", "splits"})
"""Outputs after which a run ends with the summary."""


def data_summary(pipeline: Pipeline, catalog: DataCatalog) -> DataSummary | None:
    """Return the summary that a run ends with, saved where no node of it has done so.

    None for a run that made neither manifest nor split; the one on disk for a run without nodes.
    """
    made = pipeline.all_outputs()
    if ENTRY not in catalog or (pipeline.nodes and not made & MADE):
        return None
    if ENTRY in made or not made:
        found: DataSummary | None = catalog.load(ENTRY)
        return found
    summary = _completed(catalog)
    if summary is not None:
        catalog.save(ENTRY, summary)
    return summary


def _completed(catalog: DataCatalog) -> DataSummary | None:
    """Return the summary of the manifest, with the split where that was made from it."""
    from medgan.images.summary import belongs_to, with_split

    def stored(name: str) -> Any:
        return catalog.load(name) if catalog.exists(name) else None

    summary: DataSummary | None = stored("ingestion_summary")
    manifest, splits, audit = map(stored, ("manifest", "splits", "leakage_audit"))
    if summary is None or splits is None or audit is None:
        return summary
    if not belongs_to(splits, manifest, audit):
        return summary
    return with_split(summary, splits, audit)
