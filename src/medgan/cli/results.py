"""The command `medgan results`."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import chosen, dataset_options, json_option, project_root_here

if TYPE_CHECKING:
    from medgan.evaluation.results import Results


@click.command(cls=UserCommand)
@dataset_options
@json_option("The whole document as JSON; docs/results-json.md describes its form.")
def results(env: str | None, params: str, as_json: bool) -> None:
    """Print the newest results of a data set."""
    if as_json:
        _log_to_standard_error()
    found = _newest_results(env, params)
    if as_json:
        from medgan.files.documents import to_json

        click.echo(json.dumps(to_json(found), indent=1, allow_nan=False))
        return
    from medgan.report.summary import render_text

    click.echo(render_text(found, terminal_width()))


def _log_to_standard_error() -> None:
    """Keep warnings out of a document on the standard output."""
    from rich.console import Console
    from rich.logging import RichHandler

    for handler in logging.getLogger().handlers:
        if isinstance(handler, RichHandler):
            handler.console = Console(stderr=True)


def terminal_width() -> int:
    """Columns of the terminal, at most 100."""
    from medgan.training.progress import columns

    return columns()


def _newest_results(env: str | None, params: str) -> Results:
    from medgan.datasets.documents import read_document

    environment = chosen(env, params)
    dataset = environment.dataset()
    found = read_document(project_root_here() / "data" / "08_reporting" / dataset / "results.json")
    if found is None:
        raise click.ClickException(
            f"There are no results of '{dataset}' yet: make them with `{environment.command()}`."
        )
    return found
