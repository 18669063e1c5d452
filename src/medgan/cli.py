"""The commands: `medgan results`, `score`, `compare`, `export`, `reproduce`, `collect`, and what the project adds to `kedro`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from medgan.score_command import score
from medgan.study_commands import collect, reproduce


class ProjectCommands(click.Group):
    """The project's commands below `kedro`; `run` is built when it is asked for, since that imports Kedro's own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        return ["run", *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name."""
        return _run_command() if cmd_name == "run" else super().get_command(ctx, cmd_name)


@click.group(cls=ProjectCommands, name="medgan")
def cli() -> None:
    """Find abnormal medical images, draw new ones, measure both."""


@click.group()
@click.version_option(package_name="medgan", message="medgan %(version)s")
def main() -> None:
    """Find abnormal medical images, draw new ones, measure both."""


@click.command()
@click.option(
    "--env", "-e", default=None, envvar="KEDRO_ENV", help="The data set: an environment of conf/. Default: the embedded phantoms."
)
@click.option("--params", default="", help="What chose the data set, where its environment has several: flag=bloodmnist,size=28")
@click.option("--json", "as_json", is_flag=True, help="The whole document as JSON; docs/results-json.md describes its form.")
def results(env: str | None, params: str, as_json: bool) -> None:
    """Print the newest results of a data set."""
    from medgan.endings import one_sentence

    with one_sentence():
        document = _newest_results(project_root_here(), env, params)
        click.echo(json.dumps(document, indent=1, allow_nan=False) if as_json else _table(document))


@click.command()
@click.option("--model", "name", required=True, help="A trained detector that encodes an image, such as bigan.")
@click.option(
    "--env", "-e", default=None, envvar="KEDRO_ENV", help="The data set: an environment of conf/. Default: the embedded phantoms."
)
@click.option("--params", default="", help="What chose the data set, where its environment has several: flag=bloodmnist,size=28")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The ONNX file to write; it is replaced.")
def export(name: str, env: str | None, params: str, output: Path) -> None:
    """Write a trained detector as an ONNX file; it is checked against PyTorch first. Needs medgan[onnx]."""
    from medgan.endings import one_sentence

    with one_sentence():
        from medgan.export import export_detector

        root = project_root_here()
        done = export_detector(root, _dataset(root, env, params), name, output)
        click.echo(f"Wrote {done.path}. Scores and maps of {done.images} images differ from PyTorch's by {done.difference:.1g} at most.")


@click.command()
@click.argument("runs", nargs=-1)
@click.option("--env", "-e", default=None, envvar="KEDRO_ENV", help="The data set whose runs are meant. Default: the embedded phantoms.")
@click.option("--json", "as_json", is_flag=True, help="The comparison as JSON.")
def compare(runs: tuple[str, ...], env: str | None, as_json: bool) -> None:
    """Print two runs side by side, with the intervals of the differences.

    A run is an MLflow run - the first letters of its id, its start (2026-05-01 or 2026-05-01T12:30, UTC), its name, latest, previous - or
    the path of a results.json. Without any, the newest runs are listed.
    """
    from medgan import comparing
    from medgan.endings import one_sentence
    from medgan.environments import require_environment

    with one_sentence():
        if runs and len(runs) != 2:
            raise click.UsageError("Give two runs, or none for a list of them.")
        root = project_root_here()
        if env is not None:
            require_environment(root / "conf", env)
        if not runs:
            click.echo(comparing.listing(root, env))
            return
        found = comparing.compare(runs[0], runs[1], root, env)
        click.echo(json.dumps(found, indent=1, allow_nan=False) if as_json else comparing.render(found, _width()))


for _command_of_project in (results, score, export, compare, reproduce, collect):
    main.add_command(_command_of_project)
    cli.add_command(_command_of_project)


def _run_command() -> click.Command:
    """Kedro's `run`, with endings that a user can read."""
    from kedro.framework.cli.project import run

    if run.callback is None:
        raise RuntimeError("Kedro's run command has no callback")
    return click.Command("run", callback=_readable(run.callback), params=run.params, help=run.help)


def _readable(callback: Callable[..., Any]) -> Callable[..., Any]:
    def run(**options: Any) -> Any:
        from medgan.endings import one_sentence

        with one_sentence():
            _known_environment(options)
            return callback(**_named_pipelines(options))

    return run


def _known_environment(options: dict[str, Any]) -> None:
    """Refuses an environment without a folder in the project's conf/."""
    from medgan.environments import require_environment

    env = options["env"]
    if env is not None and options["conf_source"] is None:
        require_environment(project_root_here() / "conf", env)


def _named_pipelines(options: dict[str, Any]) -> dict[str, Any]:
    """`--pipeline` as `--pipelines`, the only one that Kedro will keep; a name that nobody registered is refused."""
    from kedro.framework.project import pipelines

    from medgan.endings import unknown

    one, several = options["pipeline"], options["pipelines"]
    if one and several:
        raise click.UsageError("Use --pipeline or --pipelines, not both.")
    names = [one] if one else list(several)
    wrong = next((name for name in names if name not in pipelines), None)
    if wrong is not None:
        raise unknown("pipeline", wrong, [name for name in pipelines if name != "__default__"])
    return {**options, "pipeline": None, "pipelines": names}


def project_root_here() -> Path:
    """The project that the working directory is in."""
    from kedro.utils import find_kedro_project

    root = find_kedro_project(Path.cwd())
    if root is None:
        raise click.ClickException("This folder is not inside a medgan project: go to the folder that holds pyproject.toml and conf/.")
    return Path(root)


def _newest_results(root: Path, env: str | None, params: str) -> dict[str, Any]:
    from medgan.catalog.results import read_document
    from medgan.evaluation.results import validate

    path = root / "data" / "08_reporting" / _dataset(root, env, params) / "results.json"
    document = read_document(path)
    if document is None:
        chosen = (f" --env {env}" if env else "") + (f" --params {params}" if params else "")
        raise click.ClickException(f"There are no results of '{path.parent.name}' yet: make them with `kedro run{chosen}`.")
    validate(document)
    return document


def _dataset(root: Path, env: str | None, params: str) -> str:
    """The name of an environment's data set, as its globals.yml gives it."""
    from medgan.environments import Environment, given_parameters, require_environment

    if env is not None:
        require_environment(root / "conf", env)
    return Environment(root / "conf", env, given_parameters(params)).data_set()


def _table(document: dict[str, Any]) -> str:
    from medgan.evaluation.summary import render_text

    return render_text(document, _width())


def _width() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, 140)
