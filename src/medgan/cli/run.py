"""`kedro run`, which checks its options before Kedro opens anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import project_root_here
from medgan.errors import UserError, unknown

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline

REFUSED = {
    "ThreadRunner": "nodes would train at the same time on the same cores, and their MLflow runs "
    "would be closed before they end",
    "ParallelRunner": "its processes have hooks of their own, which do not know the MLflow run",
}
"""Runners that do not work, and why."""
REMEDY = "leave the option out: nodes run one after the other, and PyTorch uses all cores"


def run_command() -> click.Command:
    """Kedro's `run` with checked options and readable errors."""
    from kedro.framework.cli.project import run

    if run.callback is None:
        raise RuntimeError("Kedro's run command has no callback")
    params = [_without_empty_values(one) if one.name == "params" else one for one in run.params]
    return UserCommand("run", callback=_checked(run.callback), params=params, help=run.help)


def _without_empty_values(option: click.Parameter) -> click.Parameter:
    """`--params` that refuses `source=`, an unset shell variable, which Kedro reads as null."""
    option, parse = copy(option), option.callback

    def checked(ctx: click.Context, option: click.Parameter, value: Any) -> Any:
        pairs = value.split(",") if isinstance(value, str) else []
        empty = next((pair.strip() for pair in pairs if pair.strip().endswith("=")), None)
        if empty is not None:
            raise click.BadParameter(f"{empty} has no value: give {empty}VALUE or leave it out.")
        return parse(ctx, option, value) if parse else value

    option.callback = checked
    return option


def _checked(callback: Callable[..., Any]) -> Callable[..., Any]:
    def run(**options: Any) -> Any:
        _check_environment(options["env"], options["conf_source"])
        _check_runner(options["runner"], options["is_async"], options["runner_params"])
        names, pipeline = _chosen_pipelines(options["pipeline"], options["pipelines"])
        _check_selection(pipeline, options)
        return callback(**{**options, "pipeline": None, "pipelines": names})

    return run


def _check_environment(env: str | None, conf_source: str | None) -> None:
    from medgan.project.environment import require_environment

    conf = Path(conf_source) if conf_source else project_root_here() / "conf"
    if env is not None and conf.is_dir():
        require_environment(conf, env)


def _check_runner(runner: str | None, is_async: bool, settings: Mapping[str, Any]) -> None:
    import kedro.runner
    from kedro.utils import load_obj

    try:
        found = load_obj(runner or "SequentialRunner", "kedro.runner")
    except (ImportError, AttributeError):
        raise unknown("runner", str(runner), ["SequentialRunner", *REFUSED]) from None
    for name, reason in REFUSED.items():
        if issubclass(found, getattr(kedro.runner, name)):
            raise UserError(f"--runner {runner} does not work here, since {reason}: {REMEDY}.")
    if is_async or settings.get("is_async"):
        raise UserError(
            "--async does not work here, since outputs would be saved in any order while a training "
            f"runs, which resumes from them: {REMEDY}."
        )


def _chosen_pipelines(one: str | None, several: Iterable[str]) -> tuple[list[str], Pipeline]:
    """The names for `--pipelines`, the only option of the two that Kedro will keep, and their sum."""
    from kedro.framework.project import pipelines
    from kedro.pipeline import Pipeline

    if one and several:
        raise click.UsageError("Use --pipeline or --pipelines, not both.")
    names = [one] if one else list(several)
    pipelines.set_requested(names or None)
    for name in names:
        if name not in pipelines:
            pipelines.set_requested(None)
            raise unknown("pipeline", name, set(pipelines) - {"__default__"})
    return names, sum((pipelines[name] for name in names or ["__default__"]), start=Pipeline([]))


def _check_selection(pipeline: Pipeline, options: Mapping[str, Any]) -> None:
    """Raise `UserError` for names that the pipeline does not have, or that select nothing."""
    nodes = pipeline.nodes
    known = {
        "tag": {tag for node in nodes for tag in node.tags},
        "node": {node.name for node in nodes},
        "namespace": {space for node in nodes for space in _namespaces(node.namespace)},
        "dataset": pipeline.datasets(),
    }
    chosen = {
        "tag": options["tags"],
        "node": [*options["node_names"], *options["from_nodes"], *options["to_nodes"]],
        "namespace": options["namespaces"],
        "dataset": [*options["from_inputs"], *options["to_outputs"], *options["load_versions"]],
    }
    for kind, names in chosen.items():
        for name in names:
            if name not in known[kind]:
                raise unknown(kind, name, known[kind])
    try:
        pipeline.filter(
            tags=options["tags"],
            from_nodes=options["from_nodes"],
            to_nodes=options["to_nodes"],
            node_names=options["node_names"],
            from_inputs=options["from_inputs"],
            to_outputs=options["to_outputs"],
            node_namespaces=options["namespaces"],
        )
    except ValueError as error:
        raise UserError(
            "No node fits all of these options together: leave one of them out, or choose another "
            "pipeline."
        ) from error


def _namespaces(namespace: str | None) -> Iterator[str]:
    """`a.b` as `a` and `a.b`."""
    parts = namespace.split(".") if namespace else []
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))
