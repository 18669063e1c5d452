"""Around a run: check its inputs, log a line for each node, show the results."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import AbstractDataset, AbstractVersionedDataset, DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from medgan.project.inputs import require_inputs, require_versions
from medgan.project.versions import prune
from medgan.tracking.hooks import to_run

if TYPE_CHECKING:
    from medgan.datasets.documents import ResultsSectionDataset
    from medgan.evaluation.results import Results

logger = logging.getLogger("medgan")
REPORT = "report_html"
"""The page that a run ends with."""


class ProjectHooks:
    """Refuse a run before its first node, show its progress, and its results at the end."""

    def __init__(self) -> None:
        self._root = Path()
        self._started = 0.0
        self._node = 0
        self._pipeline = Pipeline([])

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the project root."""
        self._root = context.project_path

    @hook_impl(tryfirst=True)
    def before_pipeline_run(
        self, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Refuse a run with missing inputs, before any other hook opens anything."""
        require_versions(catalog, run_params.get("load_versions") or {})
        self._pipeline = to_run(run_params, pipeline, catalog)
        pipelines.set_requested(None)  # loads all of them, if an input is missing
        require_inputs(self._pipeline, catalog, pipelines, run_params)
        self._started, self._node = time.monotonic(), 0
        if not self._pipeline.nodes:
            click.echo("All outputs are there already: nothing to run.")

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Log one line for each node."""
        self._node += 1
        logger.info("%3d/%d  %s", self._node, len(self._pipeline.nodes), node.name)

    @hook_impl
    def after_pipeline_run(self, catalog: DataCatalog) -> None:
        """Write the provenance of the results, drop old versions, and show the results."""
        prune(self._pipeline, catalog, catalog.load("params:keep_versions"))
        results = results_of(self._pipeline, catalog)
        document = results.document() if results else None
        if results is None or document is None:
            return
        made = {"scale": catalog.load("params:scale"), **self._provenance()}
        document = replace(document, provenance={**document.provenance, **made})
        results.write(document)
        files = {"Report": newest(catalog.get(REPORT)), "Results": newest(results)}
        click.echo(closing_words(document, files, self._root))

    def _provenance(self) -> dict[str, Any]:
        from medgan.tracking.provenance import provenance

        seconds = round(time.monotonic() - self._started, 1)
        return {"wall_seconds": seconds, **provenance(self._root)}


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


def closing_words(results: Results, files: Mapping[str, Path | None], root: Path) -> str:
    """The results as one table, their files, and the commands to view them."""
    from medgan.report.summary import render_text

    width = min(shutil.get_terminal_size((100, 24)).columns, 140)
    lines = [
        f"{name:<9}{path.relative_to(root) if path.is_relative_to(root) else path}"
        for name, path in files.items()
        if path is not None and path.exists()
    ]
    return "\n".join(
        [
            "",
            render_text(results, width),
            "",
            *lines,
            "Look at  make viz (the data flow)   make mlflow (curves and runs)   make app",
            "",
        ]
    )
