"""`kedro run`, which checks its options before Kedro opens anything."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import project_root_here
from medgan.errors import UserError, unknown

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline

    from medgan.project.environment import Environment
    from medgan.training.settings import ComputeConfig

T = TypeVar("T")
RAY = "medgan.project.ray_runner.RayRunner"
REFUSED = {
    "ThreadRunner": "nodes would train at the same time on the same cores, and their MLflow runs "
    "would be closed before they end",
    "ParallelRunner": "its processes have hooks of their own, which do not know the MLflow run",
}
"""Runners that do not work, and why."""
FILTERS = ("tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs")
"""Options that Kedro's `Pipeline.filter` takes by the same names."""
REMEDY = "leave the option out: nodes run one after the other, and PyTorch uses all cores"


def run_command() -> click.Command:
    """Kedro's `run` with checked options and readable errors."""
    from kedro.framework.cli.project import run

    if run.callback is None:
        raise RuntimeError("Kedro's run command has no callback")
    changed = {"params": _with_text, "config": _with_section}
    params = [changed.get(str(one.name), lambda same: same)(one) for one in run.params]
    params.append(click.Option(["--verbose"], is_flag=True, help="Print a line for each node."))
    return UserCommand("run", callback=_checked(run.callback), params=params, help=run.help)


def _with_text(option: click.Parameter) -> click.Parameter:
    """`--params` as `project.given` reads it: Kedro's own splits paths at commas, reads the folder
    2019 as a number, and `source=`, an unset shell variable, as null.
    """
    option = copy(option)

    def parse(_: click.Context, __: click.Parameter, value: Any) -> dict[str, Any]:
        from medgan.project.given import TEXT, given_parameters

        if isinstance(value, Mapping):  # of a file, by --config
            from medgan.sources.forms import as_text

            return {key: as_text(one) if key in TEXT else one for key, one in value.items()}
        return given_parameters(value)

    option.callback = parse
    return option


def _with_section(option: click.Parameter) -> click.Parameter:
    """`--config` that says what is wrong with the file, and takes lists as YAML writes them."""
    option, parse = copy(option), option.callback

    def checked(ctx: click.Context, option: click.Parameter, value: Any) -> Any:
        try:
            found = parse(ctx, option, value) if parse else value
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"--config {value} has no section `run` with options: give `run:`, and below it "
                "names and values such as `tags: quick`."
            ) from error
        defaults = dict(ctx.default_map or {})
        for name, one in defaults.items():
            if isinstance(one, list):
                defaults[name] = ",".join(map(str, one))
            elif name == "load_versions" and isinstance(one, Mapping):
                defaults[name] = ",".join(f"{key}:{version}" for key, version in one.items())
        ctx.default_map = defaults
        return found

    option.callback = checked
    return option


def _checked(callback: Callable[..., Any]) -> Callable[..., Any]:
    from medgan.project.environment import Environment, require_environment
    from medgan.training.settings import ComputeConfig

    def run(verbose: bool, **options: Any) -> Any:
        if verbose:
            logging.getLogger("medgan").setLevel(logging.DEBUG)
        given, env = options["conf_source"], options["env"]
        conf = Path(given) if given else project_root_here() / "conf"
        if env is not None and conf.is_dir():
            require_environment(conf, env)
        environment = Environment(conf, env, options["params"] or {})
        compute = _from_conf(environment.compute, ComputeConfig())
        if _helped(compute):
            return None
        if compute.engine == "ray" and options["runner"] is None:
            settings = {"workers": compute.workers, "address": compute.address}
            options |= {"runner": RAY, "runner_params": settings}
        _check_alone(environment)
        _check_runner(options["runner"], options["is_async"], options["runner_params"])
        source = _from_conf(environment.synthesis_source, None)
        names, pipeline = _chosen_pipelines(options, source)
        for option in ("node_names", "from_nodes", "to_nodes"):
            options[option] = _full_names(options[option], pipeline)
        _check_selection(pipeline, options)
        return callback(**{**options, "pipeline": None, "pipelines": names})

    return run


def _from_conf(read: Callable[[], T], default: T) -> T:
    """Read something of conf/; the default where conf/ is wrong, since the run says how."""
    from kedro.config import MissingConfigException

    try:
        return read()
    except (MissingConfigException, LookupError, OSError, ValueError):
        return default


def _helped(compute: ComputeConfig) -> bool:
    """Take part in the leader's trainings, if torchrun or SLURM has started this process for it."""
    from medgan.training.crew import help_leader, launched, meet

    share = launched(compute)
    if share is None or share.rank == 0:
        return False
    help_leader(meet(share))
    return True


def _check_alone(environment: Environment) -> None:
    """Refuse a second run on the same data at once; the run itself takes the lock."""
    from medgan.project.lock import RunLock

    try:
        root = project_root_here()
    except click.ClickException:  # a packaged project runs anywhere
        return
    dataset = _from_conf(environment.dataset, None)
    if dataset is not None:
        RunLock(root / "data", dataset).require_free()


def _check_runner(runner: str | None, is_async: bool, settings: Mapping[str, Any]) -> None:
    import kedro.runner
    from kedro.utils import load_obj

    try:
        found = load_obj(runner or "SequentialRunner", "kedro.runner")
        works = issubclass(found, kedro.runner.AbstractRunner) and not inspect.isabstract(found)
    except (ImportError, AttributeError, TypeError, ValueError):
        works = False
    if not works:
        raise unknown("runner", str(runner), ["SequentialRunner", *REFUSED])
    for name, reason in REFUSED.items():
        if issubclass(found, getattr(kedro.runner, name)):
            raise UserError(f"--runner {runner} does not work here, since {reason}: {REMEDY}.")
    try:
        inspect.signature(found).bind(**settings)
    except TypeError as error:
        raise UserError(
            f"--runner-params: {found.__name__} {error}: leave the option out."
        ) from error
    if is_async or settings.get("is_async"):
        raise UserError(
            "--async does not work here, since outputs would be saved in any order while a training "
            f"runs, which resumes from them: {REMEDY}."
        )


def _chosen_pipelines(options: Mapping[str, Any], source: str | None) -> tuple[list[str], Pipeline]:
    """The names for `--pipelines`, the only option of the two that Kedro will keep, and their sum.

    Where another option names a model that is not in the default run, the pipelines of all models.
    With a source of synthetic images, its pipelines in place of `synthesis` and
    `classifier_training`.
    """
    from kedro.framework.project import pipelines
    from kedro.pipeline import Pipeline

    from medgan.pipelines.arms import with_all_models

    one, several = options["pipeline"], options["pipelines"]
    if one and several:
        raise click.UsageError("Use --pipeline or --pipelines, not both.")
    names = [one] if one else list(several)
    if source is not None:
        names = _with_source(names, source)
    elif _names_further_model(options):
        names = [with_all_models(name) for name in names or ["__default__"]]
    pipelines.set_requested(names or None)
    for name in names:
        if name not in pipelines:
            pipelines.set_requested(None)
            raise unknown("pipeline", name, set(pipelines) - {"__default__"})
    return names, sum((pipelines[name] for name in names or ["__default__"]), start=Pipeline([]))


def _with_source(names: list[str], source: str) -> list[str]:
    """Replace `synthesis` and `classifier_training`, which need the generators trained here."""
    from medgan.pipelines.arms import ALL, SOURCE, SOURCE_ARMS, with_all_models

    if not names or {ALL, "__default__"} & set(names):
        raise UserError(
            f"synthesis.source={source} takes the place of the generators in two pipelines alone: "
            "give --pipeline synthesis, or --pipelines synthesis,classifier_training."
        )
    instead = {"synthesis": SOURCE, "classifier_training": SOURCE_ARMS}
    instead |= {with_all_models(name): other for name, other in instead.items()}
    return [instead.get(name, name) for name in names]


def _names_further_model(options: Mapping[str, Any]) -> bool:
    """Whether a selection names a model or arm that is not in the default run."""
    from medgan.pipelines.arms import on_request

    naming = (*FILTERS, "namespaces", "load_versions")
    named = {part for one in naming for name in options[one] for part in name.split(".")}
    return bool(named & on_request())


def _full_names(given: Iterable[str], pipeline: Pipeline) -> list[str]:
    """Names of nodes, also where they were given without the namespace, as kedro-viz shows them."""
    short: dict[str, list[str]] = {}
    for node in pipeline.nodes:
        short.setdefault(node.name.rpartition(".")[2], []).append(node.name)
    return [short[name][0] if len(short.get(name, ())) == 1 else name for name in given]


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
        chosen_by = {name: options[name] for name in FILTERS}
        pipeline.filter(**chosen_by, node_namespaces=options["namespaces"])
    except ValueError as error:
        raise UserError(
            "No node fits all of these options together: leave one of them out, or choose another "
            "pipeline."
        ) from error


def _namespaces(namespace: str | None) -> Iterator[str]:
    """`a.b` as `a` and `a.b`."""
    parts = namespace.split(".") if namespace else []
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))
