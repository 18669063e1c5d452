"""The commands `medgan medigan list` and `medgan medigan show`."""

from __future__ import annotations

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import json_option, print_result
from medgan.cli.results import terminal_width


@click.group()
def medigan() -> None:
    """Look at the pre-trained generators of medigan; docs/medigan.md says how to use them."""


@medigan.command("list", cls=UserCommand)
@click.option(
    "--search", "words", default="", help="Words that all have to fit, such as 'chest gan'."
)
@json_option("The models with all that medigan publishes, as JSON.")
def list_models(words: str, as_json: bool) -> None:
    """List the models with their published metrics; no network is needed."""
    from medgan.files.documents import to_json
    from medgan.report.pretrained import listing
    from medgan.report.tables import print_text
    from medgan.sources.medigan.catalogue import search

    found = search(words)
    if not found:
        raise click.ClickException(f"No model of medigan fits `{words}`: use fewer or other words.")
    print_result(
        as_json,
        lambda: to_json(found),
        lambda: print_text(listing(found), terminal_width()),
    )


@medigan.command(cls=UserCommand)
@click.argument("name", metavar="ID")
@json_option("All that medigan publishes, as JSON.")
def show(name: str, as_json: bool) -> None:
    """Show what is known of a model: its number, such as 00004, or its whole id."""
    from medgan.files.documents import to_json
    from medgan.report.pretrained import description
    from medgan.report.tables import print_text
    from medgan.sources.medigan.catalogue import find

    found = find(name)
    print_result(
        as_json,
        lambda: to_json(found),
        lambda: print_text(description(found), terminal_width()),
    )
