"""What happens around a run: inputs checked before it, one line per node, the results after it."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from medgan.datasets.documents import (
    HtmlDataset,
    ResultsSectionDataset,
    read_document,
    write_document,
)
from medgan.project.inputs import require_inputs
from medgan.tracking.provenance import provenance

logger = logging.getLogger("medgan")
REPORT = "report_html"
"""The page that a run ends with."""


class ProjectHooks:
    """Refusals before the first node, progress during the run, the answer after it."""

    def __init__(self) -> None:
        self._root = Path()
        self._started = 0.0
        self._node = 0
        self._nodes = 0

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keeps the project root."""
        self._root = context.project_path

    @hook_impl(tryfirst=True)
    def before_pipeline_run(
        self, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Refuses a run whose inputs are not there, before any other hook opens anything."""
        require_inputs(pipeline, catalog, dict(pipelines), run_params)
        self._started, self._node, self._nodes = time.monotonic(), 0, len(pipeline.nodes)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """One line per node."""
        self._node += 1
        logger.info("%3d/%d  %s", self._node, self._nodes, node.name)

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Writes where the results come from, and shows them, if this run made any."""
        path = results_path(pipeline, catalog)
        document = read_document(path) if path else None
        if path is None or document is None:
            return
        document["provenance"] = {
            **document["provenance"],
            "scale": catalog.load("params:scale"),
            **self._provenance(),
        }
        write_document(path, document)
        click.echo(closing_words(document, path, report_path(pipeline, catalog), self._root))

    def _provenance(self) -> dict[str, Any]:
        return {
            "wall_seconds": round(time.monotonic() - self._started, 1),
            **provenance(self._root),
        }


def results_path(pipeline: Pipeline, catalog: DataCatalog) -> Path | None:
    """The results.json that a pipeline writes, or None."""
    written = (catalog.get(name) for name in sorted(pipeline.all_outputs()))
    return next(
        (dataset.path for dataset in written if isinstance(dataset, ResultsSectionDataset)), None
    )


def report_path(pipeline: Pipeline, catalog: DataCatalog) -> Path | None:
    """The report that a pipeline writes, or None."""
    dataset = catalog.get(REPORT) if REPORT in pipeline.all_outputs() else None
    return dataset.path if isinstance(dataset, HtmlDataset) else None


def closing_words(
    document: Mapping[str, Any], results: Path, report: Path | None, root: Path
) -> str:
    """The results as one table, where they lie, and what to look at next."""
    from medgan.report.tables import render_text

    width = min(shutil.get_terminal_size((100, 24)).columns, 140)
    places = {"Report": report, "Results": results}
    lines = [
        f"{name:<9}{_below(path, root)}"
        for name, path in places.items()
        if path is not None and path.exists()
    ]
    return "\n".join(
        [
            "",
            render_text(document, width),
            "",
            *lines,
            "Look at  make viz (the data flow)   make mlflow (curves and runs)   make app",
            "",
        ]
    )


def _below(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
