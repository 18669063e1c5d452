"""`medgan results`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import click

from medgan.cli.options import _dataset, project_root_here


@click.command()
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
    "--json",
    "as_json",
    is_flag=True,
    help="The whole document as JSON; docs/results-json.md describes its form.",
)
def results(env: str | None, params: str, as_json: bool) -> None:
    """Print the newest results of a data set."""
    from medgan.cli.errors import one_sentence

    with one_sentence():
        document = _newest_results(project_root_here(), env, params)
        click.echo(json.dumps(document, indent=1, allow_nan=False) if as_json else _table(document))


def _newest_results(root: Path, env: str | None, params: str) -> dict[str, Any]:
    from medgan.datasets.documents import read_document
    from medgan.evaluation.results import validate

    path = root / "data" / "08_reporting" / _dataset(root, env, params) / "results.json"
    document = read_document(path)
    if document is None:
        chosen = (f" --env {env}" if env else "") + (f" --params {params}" if params else "")
        raise click.ClickException(
            f"There are no results of '{path.parent.name}' yet: make them with `kedro run{chosen}`."
        )
    validate(document)
    return document


def _table(document: dict[str, Any]) -> str:
    from medgan.report.tables import render_text

    return render_text(document, _width())


def _width() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, 140)
