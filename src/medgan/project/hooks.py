"""Around a run: check its inputs, show its progress and its results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import click
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import AbstractDataset, AbstractVersionedDataset, DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from medgan.datasets.base import StoredDataset
from medgan.progress import columns
from medgan.project.inputs import require_inputs, require_versions
from medgan.project.lock import RunLock
from medgan.project.origin import ENTRY as ORIGIN
from medgan.project.origin import Origin, origin_of, require_same_origin
from medgan.project.run_view import RunView
from medgan.tracking.hooks import to_run
from medgan.tracking.provenance import provenance

if TYPE_CHECKING:
    from medgan.datasets.documents import ResultsSectionDataset
    from medgan.evaluation.results import Results
    from medgan.images.summary import DataSummary

REPORT = "report_html"
"""The page that a run ends with."""
PATHS_OF_IMAGES = frozenset({"source", "image_facts", "earlier_image_facts"})
SUMMARY = "data_summary"
SUMMARIZED = frozenset({"ingestion_summary", "splits"})
"""Outputs after which a run ends with the summary."""
KEY_FILE = Path("conf/local/pseudonym.key")
"""Below the project. Git ignores it; without it all images get other ids, and are trained anew."""


class ProjectHooks:
    """Refuse a run before its first node, show its progress, and its results at the end."""

    def __init__(self) -> None:
        self._root = Path()
        self._started = 0.0
        self._view: RunView | None = None
        self._pipeline = Pipeline([])
        self._dataset = ""
        self._lock: RunLock | None = None
        self._catalog = DataCatalog()
        self._origin: Origin | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the project root, and the name of the data set."""
        self._root = context.project_path
        try:
            self._dataset = str(context.config_loader["globals"]["dataset"])
        except (MissingConfigException, KeyError):
            self._dataset = "project"

    @hook_impl
    def after_catalog_created(self, catalog: DataCatalog) -> None:
        """Tell the data sets that know paths of images where the key of their neutral ids is."""
        for name in PATHS_OF_IMAGES & set(catalog):
            catalog.get(name).key_file = self._root / KEY_FILE  # type: ignore[union-attr]

    @hook_impl(tryfirst=True)
    def before_pipeline_run(
        self, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Refuse a run with missing inputs, or beside another one, before any other hook opens
        anything.
        """
        require_versions(catalog, run_params.get("load_versions") or {})
        self._pipeline = to_run(run_params, pipeline, catalog)
        pipelines.set_requested(None)  # loads all of them, if an input is missing
        require_inputs(self._pipeline, catalog, pipelines, run_params)
        self._catalog, self._origin = catalog, origin_of(catalog, run_params)
        if self._origin is not None:
            require_same_origin(catalog, self._origin, "source" in self._pipeline.inputs())
        self._started = time.monotonic()
        if self._lock is not None and self._lock.own:
            self._lock.release()
        self._lock = RunLock(self._root / "data", self._dataset)
        self._lock.acquire()
        if not self._pipeline.nodes:
            click.echo("All outputs are there already: nothing to run.")
        self._view = RunView(self._pipeline)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Show the node."""
        if self._view is not None:
            self._view.begin(node)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Remember what made the manifest."""
        if dataset_name == "manifest" and self._origin is not None:
            self._catalog.save(ORIGIN, self._origin)

    @hook_impl
    def after_pipeline_run(self, catalog: DataCatalog) -> None:
        """Write the provenance of the results, drop old versions, and show the results."""
        if self._view is not None:
            self._view.finish()
        try:
            self._finish(catalog)
        finally:
            self._release()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Let another run begin."""
        if self._view is not None:
            self._view.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _finish(self, catalog: DataCatalog) -> None:
        prune(self._pipeline, catalog, catalog.load("params:keep_versions"))
        if summary := data_summary(self._pipeline, catalog):
            click.echo(words_on_data(summary))
        results = results_of(self._pipeline, catalog)
        document = results.document() if results else None
        if results is None or document is None:
            return
        seconds = round(time.monotonic() - self._started, 1)
        made = {"scale": catalog.load("params:scale"), "wall_seconds": seconds}
        made |= provenance(self._root)
        document = replace(document, provenance={**document.provenance, **made})
        results.write(document)
        files = {"Report": newest(catalog.get(REPORT)), "Results": newest(results)}
        click.echo(closing_words(document, files, self._root))


def results_of(pipeline: Pipeline, catalog: DataCatalog) -> ResultsSectionDataset | None:
    """The data set of results.json that a pipeline writes, or None."""
    from medgan.datasets.documents import ResultsSectionDataset

    written = (catalog.get(name) for name in sorted(pipeline.all_outputs()))
    return next((one for one in written if isinstance(one, ResultsSectionDataset)), None)


def newest(dataset: AbstractDataset[Any, Any] | None) -> Path | None:
    """The newest file of a data set on this machine, or None."""
    if not isinstance(dataset, AbstractVersionedDataset):
        return None
    dataset.release()
    return Path(dataset._get_load_path()) if dataset.exists() else None


def words_on_data(summary: DataSummary) -> str:
    """The summary of the data as a table."""
    from medgan.report.sections.data import render_summary

    return render_summary(summary, "What was used of the data, and what was not", columns())


def closing_words(results: Results, files: Mapping[str, Path | None], root: Path) -> str:
    """The results as one table, their files, and the commands to view them."""
    from medgan.report.summary import render_text

    lines = [
        f"{name:<9}{path.relative_to(root) if path.is_relative_to(root) else path}"
        for name, path in files.items()
        if path is not None and path.exists()
    ]
    return "\n".join(
        [
            "",
            render_text(results, columns()),
            "",
            *lines,
            "Look at  make viz (the data flow)   make mlflow (curves and runs)   make app",
            "",
        ]
    )


def prune(pipeline: Pipeline, catalog: DataCatalog, keep: int) -> None:
    """Drop all but the newest versions of each versioned output; 0 keeps them all."""
    for name in sorted(pipeline.all_outputs()):
        dataset = catalog.get(name)
        if keep and isinstance(dataset, StoredDataset) and dataset._version:
            for path in dataset._get_versions()[keep:]:
                dataset._fs.rm(str(PurePath(path).parent), recursive=True)


def data_summary(pipeline: Pipeline, catalog: DataCatalog) -> DataSummary | None:
    """Return the summary that a run ends with, saved where no node of it has done so.

    None for a run that made neither manifest nor split; the one on disk for a run without nodes.
    """
    made = pipeline.all_outputs()
    if SUMMARY not in catalog or (pipeline.nodes and not made & SUMMARIZED):
        return None
    if SUMMARY in made or not made:
        found: DataSummary | None = catalog.load(SUMMARY)
        return found
    summary = _completed(catalog)
    if summary is not None:
        catalog.save(SUMMARY, summary)
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
