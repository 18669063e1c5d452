"""The commands `medgan results` and `medgan doctor`: what the runs of a data set have left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import chosen, dataset_options, json_option, print_result, project_root_here

if TYPE_CHECKING:
    from medgan.cli.checkup import Finding


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
    print_result(as_json, lambda: found, lambda width: render_text(found, width))


@click.command(cls=UserCommand)
@dataset_options
@json_option("The findings as JSON.")
@click.pass_context
def doctor(ctx: click.Context, env: str | None, params: str, as_json: bool) -> None:
    """Look for what is wrong with a data set and its models, and name what to mend first.

    Reads what `kedro run` left, and changes nothing. The exit code is 1 where something is wrong.
    """
    from medgan.cli import checkup
    from medgan.project.artifacts import Project

    environment = chosen(env, params)
    dataset = environment.dataset()
    findings = checkup.checkup(checkup.Examined(Project(project_root_here()), dataset))
    print_result(
        as_json,
        lambda: checkup.as_document(dataset, findings),
        lambda width: _text(dataset, environment.command(), findings, width),
    )
    if checkup.first_wrong(findings):
        ctx.exit(1)


def _text(dataset: str, command: str, findings: list[Finding], width: int) -> str:
    from medgan.cli.checkup import NOT_RUN, first_wrong
    from medgan.report.tables import Column, Table, print_text

    rows = [[one.check, one.state, "\n".join(one.sentences)] for one in findings]
    headings = [Column(name, text=True) for name in ("check", "state", "what was found")]
    parts: list[Table | str] = [Table(headings, rows, f"The data set {dataset}")]
    missing = [one.check for one in findings if one.state == NOT_RUN]
    if missing:
        parts.append(f"Not run yet: {', '.join(missing)}. `{command}` runs what they look at.")
    if first := first_wrong(findings):
        parts.append(f"Mend first: {first.check}. {first.sentences[0]} See {first.page}.")
    elif not missing:
        parts.append("Nothing is wrong.")
    return print_text(parts, width)
