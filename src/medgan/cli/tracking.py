"""The commands `medgan tracking ...`: what MLflow did not take, and where its pages are."""

from __future__ import annotations

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import chosen, dataset_options, project_root_here


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
