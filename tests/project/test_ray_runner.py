"""Models as tasks: what is one, and what the hooks of the run see of it."""

import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.framework.hooks.markers import hook_impl
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner

from medgan.errors import UserError
from medgan.pipeline_registry import register_pipelines
from medgan.project import ray_runner
from medgan.project.ray_runner import Group, RayRunner, groups_of


def double(value: int) -> int:
    return 2 * value


def counted(value: int) -> Iterator[int]:
    yield from range(value)


def refused(value: int) -> int:
    raise UserError("no")


def of(name: str, *nodes: Any) -> Pipeline:
    return Pipeline(nodes, namespace=f"p.{name}", prefix_datasets_with_namespace=False)


MODELS = (
    Pipeline([node(double, "images", "twice")])
    + of(
        "a",
        node(counted, "twice", "a.steps", name="train"),
        node(double, "a.steps", "a.out", name="x"),
    )
    + of("b", node(double, "twice", "b.out", name="train"))
    + Pipeline([node(lambda a, b: a + b, ["a.out", "b.out"], "report", name="report")])
)


class Watched:
    """What the hooks of a run are told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    @hook_impl
    def before_node_run(self, node: Any, inputs: Any, run_id: str) -> None:
        self.calls.append(("run", node.name))

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Any) -> None:
        self.calls.append((f"{dataset_name} = {data}", node.name))


class InProcess:
    """A cluster of threads of this process."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(self, *_: object) -> None: ...

    def start(self, nodes: Any, catalog: Any, run_id: Any) -> Iterator[Any]:
        """A task has a catalog of its own, as Ray sends it one."""
        return ray_runner._run_nodes(nodes, deepcopy(catalog), run_id, 1)


def told(runner: Any) -> list[tuple[str, str]]:
    manager, watched = _create_hook_manager(), Watched()
    manager.register(watched)
    catalog = DataCatalog({"images": MemoryDataset(2)})
    found = runner.run(MODELS, catalog, manager, "id")
    assert found["report"].load() == 14
    return watched.calls


def test_hooks_see_one_model_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_runner, "_Cluster", InProcess)
    calls = told(RayRunner(workers=2))
    assert sorted(calls) == sorted(told(SequentialRunner()))
    models = [name.split(".")[1] for _, name in calls if name.startswith("p.")]
    assert models == sorted(models)
    assert calls[-1] == ("report = 14", "report")


def test_an_error_of_a_task_is_that_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_runner, "_Cluster", InProcess)
    catalog = DataCatalog({"images": MemoryDataset(2)})
    with pytest.raises(UserError, match="no"):
        RayRunner().run(of("a", node(refused, "images", "out")), catalog)


def test_no_group_waits_for_a_later_one_and_a_model_is_one() -> None:
    whole = register_pipelines()["__default__"]
    groups = groups_of(whole)
    assert sum(len(group.nodes) for group in groups) == len(whole.nodes)
    assert all(max(group.after, default=-1) < place for place, group in enumerate(groups))
    training = [spaces(group) for group in groups if "gan_training.dcgan" in spaces(group)]
    assert training == [{"gan_training.dcgan"}]


def spaces(group: Group) -> set[str | None]:
    return {node.namespace for node in group.nodes}


def test_without_ray_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install medgan\[cluster\]"):
        RayRunner().run(Pipeline([]), DataCatalog())


@pytest.mark.long
def test_results_on_a_cluster_are_those_of_one_process(tmp_path: Path) -> None:
    """`make test-ray` installs Ray for this."""
    pytest.importorskip("ray", reason="Ray is not installed: make test-ray")
    from tests.end_to_end.project import call, make_project

    weights = []
    for params in ("scale=smoke", "scale=smoke,compute.engine=ray,compute.workers=2"):
        project = make_project(tmp_path / f"run{len(weights)}")
        run = ("kedro", "run", "--env", "tiny", "--pipelines", f"{BEFORE},gan_training")
        found = call(project, *run, "--tags", f"{BEFORE},dcgan,bigan", "--params", params)
        assert found.returncode == 0, found.stderr
        files = sorted((project / "data/06_models/tiny").glob("*/trained/*/trained/*.safetensors"))
        weights.append([path.read_bytes() for path in files])
    assert len(weights[0]) == 2
    assert weights[0] == weights[1]


BEFORE = "ingestion,preprocessing"
