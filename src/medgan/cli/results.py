"""The command `medgan results`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import (
    chosen,
    dataset_options,
    json_option,
    print_result,
    project_root_here,
)

if TYPE_CHECKING:
    from medgan.evaluation.results import Results


@click.command(cls=UserCommand)
@dataset_options
@json_option("The whole document as JSON; docs/results-json.md describes its form.")
def results(env: str | None, params: str, as_json: bool) -> None:
    """Print the newest results of a data set."""
    from medgan.files.documents import to_json

    found = _newest_results(env, params)
    print_result(as_json, lambda: to_json(found), lambda: _text(found))


def _text(found: Results) -> str:
    from medgan.report.summary import render_text

    return render_text(found, terminal_width())


def terminal_width() -> int:
    """Columns of the terminal, at most 100."""
    from medgan.progress import columns

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
