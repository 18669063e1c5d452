"""The commands: `medgan results`, `score`, `compare`, `export`, `reproduce`, `collect`, and what
the project adds to `kedro`.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from medgan.cli.experiments import collect, reproduce
from medgan.cli.options import _dataset, project_root_here
from medgan.cli.results import _width, results
from medgan.cli.run import _run_command
from medgan.cli.score import score


class ProjectCommands(click.Group):
    """The project's commands below `kedro`; `run` is built when it is asked for, since that imports
    Kedro's own.
    """

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
    "--model",
    "name",
    required=True,
    help="A trained detector that encodes an image, such as bigan.",
)
@click.option(
    "--env",
    "-e",
    default=None,
    envvar="KEDRO_ENV",
    help="The data set: an environment of conf/. Default: the embedded phantoms.",
)
@click.option(
    "--params",
    default="",
    help="What chose the data set, where its environment has several: flag=bloodmnist,size=28",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The ONNX file to write; it is replaced.",
)
def export(name: str, env: str | None, params: str, output: Path) -> None:
    """Write a trained detector as an ONNX file; it is checked against PyTorch first. Needs
    medgan[onnx].
    """
    from medgan.cli.errors import one_sentence

    with one_sentence():
        from medgan.inference.export import export_detector

        root = project_root_here()
        done = export_detector(root, _dataset(root, env, params), name, output)
        click.echo(
            f"Wrote {done.path}. Scores and maps of {done.images} images differ from PyTorch's by {done.difference:.1g} at most."
        )


@click.command()
@click.argument("runs", nargs=-1)
@click.option(
    "--env",
    "-e",
    default=None,
    envvar="KEDRO_ENV",
    help="The data set whose runs are meant. Default: the embedded phantoms.",
)
@click.option("--json", "as_json", is_flag=True, help="The comparison as JSON.")
def compare(runs: tuple[str, ...], env: str | None, as_json: bool) -> None:
    """Print two runs side by side, with the intervals of the differences.

    A run is an MLflow run - the first letters of its id, its start (2026-05-01 or 2026-05-01T12:30,
    UTC), its name, latest, previous - or the path of a results.json. Without any, the newest runs
    are listed.
    """
    from medgan.cli import compare as comparing
    from medgan.cli.errors import one_sentence
    from medgan.project.environment import require_environment

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
        click.echo(
            json.dumps(found, indent=1, allow_nan=False)
            if as_json
            else comparing.render(found, _width())
        )


for _command_of_project in (results, score, export, compare, reproduce, collect):
    main.add_command(_command_of_project)
    cli.add_command(_command_of_project)
