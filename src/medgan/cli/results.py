"""The command `medgan results`."""

from __future__ import annotations

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import chosen, dataset_options, json_option, print_result, project_root_here


@click.command(cls=UserCommand)
@dataset_options
@json_option("The whole document as JSON; docs/results-json.md describes its form.")
def results(env: str | None, params: str, as_json: bool) -> None:
    """Print the newest results of a data set."""
    from medgan.datasets.documents import read_document
    from medgan.report.summary import render_text

    environment = chosen(env, params)
    dataset = environment.dataset()
    found = read_document(project_root_here() / "data" / "08_reporting" / dataset / "results.json")
    if found is None:
        raise click.ClickException(
            f"There are no results of '{dataset}' yet: make them with `{environment.command()}`."
        )
    print_result(as_json, found, lambda width: render_text(found, width))
