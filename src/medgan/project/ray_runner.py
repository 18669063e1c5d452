"""Run the models of a pipeline at once on a Ray cluster, `compute.engine: ray`.

The nodes of one model are one task. A task has no hooks: it sends what its nodes load and save, and
the hooks of this process see the events of one model after the other, in the order of a sequential
run. So there is one MLflow run, and no metric is logged twice. The other nodes run here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from kedro.io import MemoryDataset
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import AbstractRunner
from kedro.runner.task import Task

from medgan.errors import UserError

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from pluggy import PluginManager

Catalog: TypeAlias = "CatalogProtocol[Any, Any]"
NEEDED = "`compute.engine: ray` needs Ray: `pip install medgan[cluster]`."


SENT = {
    "before_node_run": ("is_async", "run_id"),
    "after_dataset_loaded": ("dataset_name", "data"),
    "after_dataset_saved": ("dataset_name", "data"),
}
"""Hooks that are called here for a task, and their arguments besides node and catalog."""
LOADED = ("images",)
"""Data sets whose loading a hook logs; other inputs may be large, and are not sent."""


class Event(NamedTuple):
    """A call of a hook in a task."""

    hook: str
    node: str
    arguments: dict[str, Any]


@dataclass
class Group:
    """Nodes that run one after the other, of one model or of none."""

    model: bool
    nodes: list[Node]
    after: set[int] = field(default_factory=set)
    """Places of the groups whose outputs these nodes take."""


def groups_of(pipeline: Pipeline) -> list[Group]:
    """Group the nodes of a pipeline, so that no group has to wait for a later one.

    The nodes of a namespace are one group, unless others stand between them.
    """
    groups, makers, open_groups = list[Group](), dict[Node, int](), dict[str, int]()
    for node in pipeline.nodes:
        space = node.namespace or ""
        after = {makers[one] for one in pipeline.node_dependencies[node]}
        place = open_groups.get(space)
        if place is None or max(after, default=0) > place:
            place = len(groups)
            groups.append(Group("." in space, []))
            if "." in space:
                open_groups[space] = place
        groups[place].nodes.append(node)
        groups[place].after |= after - {place}
        makers[node] = place
    return groups


class RayRunner(AbstractRunner):
    """Kedro's runner on a Ray cluster.

    Args:
        workers: models that run at once.
        address: of a running cluster; None starts one on this machine, which ends with the run.
        is_async: must be False.

    Raises:
        UserError: Ray is missing.
    """

    def __init__(
        self, workers: int = 1, address: str | None = None, is_async: bool = False
    ) -> None:
        super().__init__(is_async=is_async)
        self.workers, self.address = workers, address

    def _get_executor(self, max_workers: int) -> None:
        return None

    def _run(
        self,
        pipeline: Pipeline,
        catalog: Catalog,
        hook_manager: PluginManager | None = None,
        run_id: str | None = None,
    ) -> None:
        with _Cluster(self.workers, self.address) as cluster:
            groups, done = groups_of(pipeline), set[int]()
            started: dict[int, Iterator[Event]] = {}
            for place, group in enumerate(groups):
                ready = [
                    other
                    for other, later in enumerate(groups)
                    if later.model and other not in started.keys() | done and later.after <= done
                ]
                for other in ready[: self.workers - len(started)]:
                    started[other] = cluster.start(groups[other].nodes, catalog, run_id)
                if group.model:
                    _replay(started.pop(place), group.nodes, catalog, hook_manager)
                else:
                    for node in group.nodes:
                        Task(node, catalog, False, hook_manager, run_id).execute()
                done.add(place)


def _replay(
    events: Iterator[Event],
    nodes: Sequence[Node],
    catalog: Catalog,
    hook_manager: PluginManager | None,
) -> None:
    """Call the hooks of this process as those of the task were called."""
    known = {node.name: node for node in nodes}
    for event in events:
        name = event.arguments.get("dataset_name", "")
        if event.hook == "after_dataset_saved" and isinstance(catalog.get(name), MemoryDataset):
            catalog.save(name, event.arguments["data"])
        if hook_manager is not None:
            further = {} if name else {"inputs": {}, "catalog": catalog}
            call = getattr(hook_manager.hook, event.hook)
            call(node=known[event.node], **event.arguments, **further)


class _Cluster:
    """A Ray cluster, for the time of a run."""

    def __init__(self, workers: int, address: str | None) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise UserError(NEEDED) from error
        self._ray, self._workers, self._address = ray, workers, address

    def __enter__(self) -> _Cluster:
        if self._address is None:
            self._ray.init("local", num_cpus=self._workers, include_dashboard=False)
            return self
        try:
            self._ray.init(address=self._address)
        except ConnectionError as error:
            raise UserError(
                f"No Ray cluster answers at {self._address}: start one there with `ray start "
                "--head`, or leave `compute.address` out."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def start(self, nodes: Sequence[Node], catalog: Catalog, run_id: str | None) -> Iterator[Event]:
        """Start a task, and return its events as they come."""
        import torch

        remote = self._ray.remote(num_returns="streaming", max_retries=0)(_run_nodes)
        return self._events(remote.remote(nodes, catalog, run_id, torch.get_num_threads()))

    def _events(self, references: Iterator[Any]) -> Iterator[Event]:
        try:
            for reference in references:
                yield self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            raise UserError(
                f"A Ray worker has ended before its task ({type(error).__name__}): run the same "
                "command again, which resumes each training from its last checkpoint."
            ) from error


def _run_nodes(
    nodes: Sequence[Node], catalog: Catalog, run_id: str | None, threads: int
) -> Iterator[Event]:
    """Run nodes in a process of the cluster, with as many threads as elsewhere: their number
    decides about the last bits of the results.
    """
    import torch

    torch.set_num_threads(threads)
    events: Queue[Event | BaseException | None] = Queue()
    thread = Thread(target=_record, args=(nodes, catalog, run_id, events.put), daemon=True)
    thread.start()
    while (event := events.get()) is not None:
        if isinstance(event, BaseException):
            raise event
        yield event


def _record(
    nodes: Sequence[Node],
    catalog: Catalog,
    run_id: str | None,
    put: Callable[[Event | BaseException | None], None],
) -> None:
    try:
        for node in nodes:
            Task(node, catalog, False, _Recorder(put), run_id).execute()  # type: ignore[arg-type]
        put(None)
    except BaseException as error:
        put(error)


class _Recorder:
    """In place of Kedro's hook manager: sends the calls that hooks of a run listen to."""

    def __init__(self, put: Callable[[Event], None]) -> None:
        self.hook, self._put = self, put

    def __getattr__(self, hook: str) -> Callable[..., None]:
        def call(**arguments: Any) -> None:
            name = arguments.get("dataset_name")
            if hook in SENT and (hook != "after_dataset_loaded" or name in LOADED):
                sent = {key: arguments[key] for key in SENT[hook]}
                self._put(Event(hook, arguments["node"].name, sent))

        return call
