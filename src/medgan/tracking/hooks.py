"""MLflow beside a Kedro run: one parent run, one child run for every namespace, curves as they are
saved.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import AbstractDataset, DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import SequentialRunner

from medgan.nested import numbers, shallow
from medgan.tracking.client import Tracker, interrupted
from medgan.tracking.provenance import git_revision, lock_hash
from medgan.tracking.system import SystemMetrics
from medgan.tracking.writing import DATA, SKILL

if TYPE_CHECKING:
    from medgan.images.store import ImageStore
    from medgan.models import PublishedModel

logger = logging.getLogger(__name__)
EVALUATION = "evaluation"
TRAINED = ".trained"
"""End of the names of published models in the catalog."""
MODEL_FILES = "published"
"""Artifact folder of a registered model."""
SHOWN = ("scale", "seed")
"""Parameters that are tags too."""
PATHS = frozenset({"source", "masks"})
"""Parameters that are not logged: names of files and folders may be those of patients."""
MOST_METRICS = 100
"""Numbers of one document that MLflow shows as metrics: more hide those that runs are compared
by.
"""


class MlflowHooks:
    """Logs what the `metadata: {mlflow: parts | metrics | figure | table | text}` of a
    catalog entry asks for.

    conf/*/tracking.yml says where: `enabled`, `uri`, `experiment`. A tracker that does not answer
    never stops a run. The MLflow run begins when the first output is saved, so that a run that was
    refused leaves none; nor does a run that saves nothing for MLflow.
    """

    def __init__(self) -> None:
        self._root = Path()
        self._config: Mapping[str, Any] = {}
        self._parameters: Mapping[str, Any] = {}
        self._catalog: DataCatalog | None = None
        self._run_params: Mapping[str, Any] = {}
        self._tracker: Tracker | None = None
        self._parent = ""
        self._children: dict[str, str] = {}
        self._left: Counter[str] = Counter()
        self._namespace: str | None = None
        self._data: ImageStore | None = None
        self._system: SystemMetrics | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Reads tracking.yml."""
        self._root = context.project_path
        try:
            self._config = context.config_loader["tracking"]
        except MissingConfigException:
            self._config = {}

    @hook_impl
    def after_catalog_created(self, catalog: DataCatalog, parameters: Mapping[str, Any]) -> None:
        """Keeps the catalog, which knows what to log, and the parameters."""
        self._catalog = catalog
        given = parameters.get("parameters", {})
        self._parameters = {name: given[name] for name in given if name not in PATHS}

    @hook_impl(trylast=True)
    def before_pipeline_run(self, run_params: Mapping[str, Any], pipeline: Pipeline) -> None:
        """Starts the process that sends, where an output is to be saved that MLflow gets: MLflow takes
        seconds to import.
        """
        self._run_params, self._tracker, self._data = run_params, None, None
        self._left = Counter(space for node in pipeline.nodes if (space := _space(node)))
        self._namespace, self._parent, self._children = None, "", {}
        if not self._config.get("enabled", False) or self._catalog is None:
            return
        outputs = to_run(run_params, pipeline, self._catalog).all_outputs()
        if any(_logged(self._catalog.get(name)) for name in outputs):
            uri = os.environ.get("MLFLOW_TRACKING_URI") or str(self._config["uri"])
            self._tracker = Tracker.open(uri, str(self._config["experiment"]), self._root)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Closes the children whose last node is done: a generator node is done when the next node
        starts.
        """
        self._close_namespace("FINISHED", only_if_done=True)
        self._namespace = _space(node)
        if self._namespace:
            self._left[self._namespace] -= 1

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Logs the images as the input of the run, as soon as they are opened."""
        if dataset_name == "images" and isinstance(getattr(data, "key", None), str):
            self._data = data
            if self._tracker is not None and self._parent:
                self._tracker.tag(self._parent, "data_hash", data.key)
                self._log_data(self._tracker, self._parent)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Logs what was saved, to the child run of the node's namespace."""
        tracker = self._tracker
        if tracker is None or self._catalog is None:
            return
        try:
            if not self._parent:
                self._start(tracker)
            dataset = self._catalog.get(dataset_name)
            kind = _logged(dataset)
            if kind is None or dataset is None:
                return
            run = self._run_of(node, tracker)
            for part, value, path in _parts(kind, data, dataset):
                _LOGGERS[part](tracker, run, value, path)
            published = getattr(data, "model", None)
            if self._config.get("register", False) and dataset_name.endswith(TRAINED) and published:
                self._register(tracker, run, published, dataset)
        except Exception as error:
            if interrupted(error):
                raise
            logger.warning(
                "%s could not be recorded for MLflow (%s): the run goes on.",
                dataset_name,
                type(error).__name__,
            )

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Closes all runs as FINISHED."""
        self._close("FINISHED")

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Closes what was running as KILLED where a signal stopped it, else as FAILED."""
        self._close("KILLED" if interrupted(error) else "FAILED")

    def _start(self, tracker: Tracker) -> None:
        self._parent = tracker.start(self._title(), self._tags())
        shared = {name: value for name, value in self._parameters.items() if name not in self._left}
        tracker.parameters(self._parent, shared)
        self._log_data(tracker, self._parent)
        if self._config.get("system_metrics", False):
            run = self._parent
            self._system = SystemMetrics(lambda sample: tracker.curves(run, [sample]))
            self._system.start()

    def _log_data(self, tracker: Tracker, run: str) -> None:
        if self._data is not None:
            about = {"environment": self._run_params.get("env") or "base"}
            count = {"num_rows": self._data.info.count}
            name = str(self._config["experiment"])
            tracker.dataset(run, name, self._data.key, json.dumps(about), json.dumps(count))

    def _register(self, tracker: Tracker, run: str, model: PublishedModel, dataset: Any) -> None:
        for path in sorted(Path(dataset.newest()).iterdir()):
            tracker.file(run, path, MODEL_FILES)
        tags = {"model": model.name, "key": model.key, DATA: str(model.card.get("images", ""))}
        skill = model.card.get("figures", {}).get(SKILL)
        tags |= {} if skill is None else {SKILL: str(skill)}
        tracker.model(run, f"{self._config['experiment']}.{model.name}", MODEL_FILES, tags)

    def _run_of(self, node: Node, tracker: Tracker) -> str:
        """The child run of a node's namespace, started when it first has something to log; the
        parent for a node without one.
        """
        space = _space(node)
        if space is None:
            return self._parent
        if space not in self._children:
            tags = {**self._about(), "namespace": space, "model": space, "kind": "model"}
            self._children[space] = tracker.start(space, tags, parent=self._parent)
            tracker.parameters(self._children[space], self._parameters.get(space, {}))
            self._log_data(tracker, self._children[space])
        return self._children[space]

    def _close_namespace(self, status: str, only_if_done: bool) -> None:
        space = self._namespace
        if self._tracker is None or space is None or (only_if_done and self._left[space] > 0):
            return
        run = self._children.pop(space, None)
        if run is not None:
            self._tracker.finish(run, status)

    def _close(self, status: str) -> None:
        if self._tracker is None:
            return
        if self._system is not None:
            self._system.stop()
        self._close_namespace(status, only_if_done=False)
        for run in self._children.values():
            self._tracker.finish(run, "FINISHED" if status == "FINISHED" else "KILLED")
        if self._parent:
            self._tracker.finish(self._parent, status)
        self._tracker.close(interrupted=status == "KILLED")
        self._children, self._tracker, self._system = {}, None, None

    def _about(self) -> dict[str, str]:
        """What runs are filtered by in the MLflow UI."""
        known = {"dataset": self._config["experiment"]}
        known |= {name: self._parameters[name] for name in SHOWN if name in self._parameters}
        return {name: str(value) for name, value in known.items()}

    def _title(self) -> str:
        """`phantoms · cpu · seed 0`, and the pipelines where not all of them run."""
        about = self._about()
        seed = f"seed {about['seed']}" if "seed" in about else ""
        pipelines = "+".join(sorted(self._run_params.get("pipeline_names") or []))
        parts = (about["dataset"], about.get("scale"), seed, pipelines)
        return " · ".join(part for part in parts if part)

    def _tags(self) -> dict[str, str]:
        tags = {
            **self._about(),
            "kind": "run",
            "env": self._run_params.get("env") or "base",
            "kedro.run_id": self._run_params.get("run_id"),
            "git": git_revision(self._root),
            "lock_hash": lock_hash(self._root),
            "data_hash": self._data.key if self._data else None,
        }
        return {name: str(value) for name, value in tags.items() if value}


def to_run(run_params: Mapping[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> Pipeline:
    """The nodes that Kedro's runner will not skip."""
    if not run_params.get("only_missing_outputs"):
        return pipeline
    return SequentialRunner()._filter_pipeline_for_missing_outputs(pipeline, catalog)


def _logged(dataset: AbstractDataset[Any, Any] | None) -> str | None:
    """How MLflow gets what a data set saves; None where it does not."""
    kind: str | None = (getattr(dataset, "metadata", None) or {}).get("mlflow")
    return kind


def _space(node: Node) -> str | None:
    """The model or arm of a node: the innermost namespace below that of its pipeline."""
    _, _, model = (node.namespace or "").partition(".")
    return model or None


def _parts(
    kind: str, data: Any, dataset: AbstractDataset[Any, Any]
) -> Iterable[tuple[str, Any, Path]]:
    """What is to be logged of a data set: how, its value, and its file."""
    from medgan.files.documents import to_json  # numpy takes a moment, and Kedro's start waits

    if kind == "parts":
        parts: Iterable[tuple[str, Any, Path]] = dataset.mlflow_parts(data)  # type: ignore[attr-defined]
        return parts
    document = to_json(data) if is_dataclass(data) else data
    return [(kind, document, Path(dataset._get_load_path()))]  # type: ignore[attr-defined]


def _log_metrics(tracker: Tracker, run: str, data: Any, path: Path) -> None:
    """All numbers of a document; of a long one its main figures, and the document as a file.

    Names begin with that of the document, since one run logs several; but for the evaluation, whose
    figures runs are compared by.
    """
    found = data.get("rows", data)
    short = len(numbers(found)) <= MOST_METRICS
    figures = found if short else shallow(data)
    tracker.metrics(run, figures if path.stem == EVALUATION else {path.stem: figures})
    if not short:
        tracker.file(run, path, "documents")


_LOGGERS: dict[str, Callable[[Tracker, str, Any, Path], None]] = {
    "curves": lambda tracker, run, data, _: tracker.curves(run, data),
    "metrics": _log_metrics,
    "snapshot": lambda tracker, run, data, path: tracker.image(run, path, "samples", data.step),
    "figure": lambda tracker, run, _, path: tracker.file(run, path, "figures"),
    "table": lambda tracker, run, _, path: tracker.file(run, path, "reports"),
    "text": lambda tracker, run, _, path: tracker.file(run, path, "reports"),
}
