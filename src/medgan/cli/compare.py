"""The command `medgan compare`: two runs side by side, with the intervals of the differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import chosen, dataset_options, json_option, print_result
from medgan.cli.results import terminal_width

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
    from medgan.files.documents import to_json
    from medgan.project.run_comparison import archive_of, comparison

    environment = chosen(env, params)
    if not runs:
        newest = archive_of(environment).runs()[:LISTED]
        print_result(as_json, lambda: [_described(run) for run in newest], lambda: listing(newest))
        return
    found = comparison(runs[0], runs[1], environment)
    print_result(as_json, lambda: to_json(found), lambda: render(found, terminal_width()))


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
