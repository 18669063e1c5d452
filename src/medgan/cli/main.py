"""The groups of commands: `medgan ...`, and what the project adds to `kedro ...`."""

from __future__ import annotations

import click

from medgan.cli.experiments import collect, reproduce
from medgan.cli.generate import export, generate, medigan
from medgan.cli.init import init
from medgan.cli.results import doctor, results
from medgan.cli.run import run_command
from medgan.cli.runs import compare, tracking
from medgan.cli.score import classify, score


class ProjectCommands(click.Group):
    """The project's commands below `kedro`. Building `run` imports Kedro, so it is built late."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        return ["run", *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name."""
        return run_command() if cmd_name == "run" else super().get_command(ctx, cmd_name)


@click.group(cls=ProjectCommands, name="medgan")
def cli() -> None:
    """Detect anomalies in medical images, generate images, and evaluate both."""


@click.group()
@click.version_option(package_name="medgan", message="medgan %(version)s")
def main() -> None:
    """Detect anomalies in medical images, generate images, and evaluate both."""


_DAILY = (init, results, score, classify, generate, export, compare, doctor)
for _command in (*_DAILY, medigan, reproduce, collect, tracking):
    main.add_command(_command)
    cli.add_command(_command)
