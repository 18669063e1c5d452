"""The commands `medgan medigan list` and `medgan medigan show`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import json_option
from medgan.cli.results import terminal_width

if TYPE_CHECKING:
    from medgan.report.tables import Table
    from medgan.sources.medigan.catalogue import Model


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
    from medgan.report.tables import print_text
    from medgan.sources.medigan.catalogue import search

    found = search(words)
    if not found:
        raise click.ClickException(f"No model of medigan fits `{words}`: use fewer or other words.")
    if as_json:
        click.echo(json.dumps(to_json(found)))
    else:
        click.echo(print_text(_listing(found), terminal_width()), nl=False)


@medigan.command(cls=UserCommand)
@click.argument("name", metavar="ID")
@json_option("All that medigan publishes, as JSON.")
def show(name: str, as_json: bool) -> None:
    """Show what is known of a model: its number, such as 00004, or its whole id."""
    from medgan.files.documents import to_json
    from medgan.report.tables import print_text
    from medgan.sources.medigan.catalogue import find

    if as_json:
        click.echo(json.dumps(to_json(find(name))))
    else:
        click.echo(print_text(_description(find(name)), terminal_width()), nl=False)


def _listing(models: tuple[Model, ...]) -> Iterator[Table | str]:
    from medgan.report.tables import Column, Table

    names = ("id", "type", "modality", "organ", "pixels", "FID, as published", "license")
    rows = [
        [
            model.short,
            model.metadata.selection.type,
            ", ".join(model.metadata.selection.modality[:1]),
            ", ".join(model.metadata.selection.organ[:1]),
            model.size,
            model.fid,
            model.metadata.selection.license or "unknown",
        ]
        for model in models
    ]
    yield Table([Column(name, text=True) for name in names], rows)
    yield (
        f"{len(models)} of medigan's models. FID: Fréchet distance of Inception features, with the "
        "number of images, as its authors have published it; not comparable between models. The size "
        "of a package is not published. `medgan medigan show ID` has more."
    )


def _description(model: Model) -> Iterator[Table | str]:
    from medgan.nested import leaves
    from medgan.report.tables import Column, Table

    run, about = model.metadata.execution, model.metadata.selection
    told = model.metadata.description
    rows = {
        "id": model.id,
        "title": told.title,
        "type": about.type,
        "what it does": ", ".join(about.function),
        "modality": ", ".join(about.modality),
        "organ": ", ".join(about.organ),
        "generates": ", ".join(about.generates),
        "pixels": model.size,
        "trained on": ", ".join(about.dataset),
        "license": about.license or "unknown",
        "publication": told.publication,
        "DOI": ", ".join(told.doi),
        "FID, as published": model.fid,
        **{
            f"published {name}": str(value)
            for name, value in leaves(about.performance)
            if name != "FID" and value is not None
        },
        "package": run.package_link,
        "package size": "not published",
        "needs": ", ".join(run.dependencies),
        "arguments": "\n".join(
            f"{name}: {value}" for name, value in run.generate_method.args.custom.items()
        ),
        "inputs": "\n".join(told.inputs),
        "comment": told.comment,
    }
    yield Table(
        [Column("medigan", text=True), Column("", text=True)],
        [[name, value] for name, value in rows.items() if value],
    )
    yield (
        f"kedro run --pipeline synthesis --params synthesis.source=medigan:{model.short},"
        "synthesis.source_class=CLASS,synthesis.run_foreign_code=true"
    )
