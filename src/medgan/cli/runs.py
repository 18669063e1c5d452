"""The commands about runs: `medgan compare`, and `medgan tracking` for what MLflow has of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import chosen, dataset_options, json_option, print_result, project_root_here

if TYPE_CHECKING:
    from medgan.evaluation.compare_runs import RunComparison
    from medgan.tracking.reading import TrackedRun

LISTED = 10


@click.command(cls=UserCommand)
@click.argument("runs", nargs=-1)
@dataset_options
@json_option("The comparison as JSON.")
def compare(runs: tuple[str, ...], env: str | None, params: str, as_json: bool) -> None:
    """Print two runs side by side, with the intervals of the differences.

    A run is an MLflow run - the first letters of its id, its start (2026-05-01 or 2026-05-01T12:30,
    UTC), its name, latest, previous - or the path of a results.json. Without any, the newest runs
    are listed.
    """
    if runs and len(runs) != 2:
        raise click.UsageError("Give two runs, or none for a list of them.")
    from medgan.project.run_comparison import archive_of, comparison

    environment = chosen(env, params)
    if not runs:
        newest = archive_of(environment).runs()[:LISTED]
        print_result(
            as_json, lambda: [_described(run) for run in newest], lambda _: listing(newest)
        )
        return
    found = comparison(runs[0], runs[1], environment)
    print_result(as_json, lambda: found, lambda width: render(found, width))


def _described(run: TrackedRun) -> dict[str, str]:
    started = run.started.isoformat(timespec="seconds")
    return {"id": run.run_id, "started": started, "status": run.status, "name": run.name}


def listing(runs: Sequence[TrackedRun]) -> str:
    """The newest runs, as a table of what `medgan compare` takes."""
    lines = [
        f"{run.run_id[:8]}  {run.started:%Y-%m-%d %H:%M} UTC  {run.status:<8}  {run.name}"
        for run in runs
    ]
    how = "medgan compare A B   takes ids, starts, names, latest, previous, or results.json files."
    return "\n".join(["Runs, newest first:", *lines, "", how])


def render(comparison: RunComparison, width: int = 100) -> str:
    """Render the comparison as text of at most `width` columns."""
    from medgan.report.runs import compared
    from medgan.report.tables import print_text

    runs = f"A  {comparison.a}\nB  {comparison.b}\n"
    return print_text([runs, *compared(comparison)], width)


@click.group()
def tracking() -> None:
    """Send the records that MLflow has not taken; open its pages."""


@tracking.command(cls=UserCommand)
@dataset_options
@click.option(
    "--all", "every_store", is_flag=True, help="Also send what was recorded for another store."
)
def replay(env: str | None, params: str, every_store: bool) -> None:
    """Send the records of earlier runs that MLflow did not take, and close runs that were killed.

    The next `kedro run` does so too.
    """
    from medgan.tracking.client import replayed

    store = chosen(env, params).tracking()
    click.echo(replayed(project_root_here(), store["uri"], every_store))


@tracking.command("open", cls=UserCommand)
@dataset_options
def open_store(env: str | None, params: str) -> None:
    """Make or migrate the MLflow store, and print the address of the runs in `make mlflow`."""
    from medgan.tracking.store import answering, open_client, runs_page

    store = chosen(env, params).tracking()
    with answering(store["uri"]):
        client, note = open_client(store["uri"], project_root_here())
        address = runs_page(client, str(store["experiment"]))
    click.echo("\n".join(filter(None, [note, address])))
