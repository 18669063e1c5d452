"""The commands about generators: `medgan generate`, `export` and `medigan`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from medgan.cli.errors import UserCommand, starts_anew
from medgan.cli.options import (
    chosen,
    dataset_options,
    json_option,
    output_option,
    print_result,
    project_root_here,
)

FORMATS = click.Choice(["onnx", "medigan", "monai"])


def class_weights(
    context: click.Context, parameter: click.Parameter, given: str | None
) -> dict[str, float]:
    """Read `normal:300,viral:700`, or names alone, which weigh the same."""
    weights: dict[str, float] = {}
    for part in filter(None, (given or "").split(",")):
        name, _, weight = part.partition(":")
        if name.strip() in weights:
            raise click.BadParameter(f"{name.strip()} is given twice: give each class once.")
        try:
            weights[name.strip()] = float(weight or 1)
        except ValueError:
            raise click.BadParameter(
                f"`{part}` is no class with its weight: write CLASS:NUMBER, such as normal:300."
            ) from None
    return weights


@click.command(cls=UserCommand)
@click.argument("model")
@dataset_options
@output_option("A folder that gets the set as a folder, or a file NAME.zip or NAME.npz.")
@click.option("--count", default=1000, show_default=True, help="Images in the set.")
@click.option(
    "--classes",
    callback=class_weights,
    help="Classes with counts or shares, such as normal:300,viral:700. Default: all that the "
    "generator draws, equally.",
)
@click.option("--seed", default=0, show_default=True, help="The same seed draws the same images.")
@click.option(
    "--truncation",
    type=float,
    help="Draw components of latents beyond this absolute value again, such as 1.5.",
)
@click.option(
    "--batch-size",
    default=256,
    show_default=True,
    help="Images in memory at once; they do not depend on it.",
)
@click.option(
    "--unreleased",
    is_flag=True,
    help="Write the set although the generator is not released; the set says so.",
)
@json_option("The data card as JSON.")
def generate(
    model: str,
    env: str | None,
    params: str,
    output: Path,
    unreleased: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write a set of synthetic images of a trained generator, such as acgan, with its data card.

    Research only; not a medical device.
    """
    from medgan.files.documents import to_json
    from medgan.inference.generation import Request, judged_generator
    from medgan.inference.sets import generate_set
    from medgan.project.artifacts import Project

    with starts_anew():
        using = judged_generator(Project(project_root_here()), chosen(env, params), model)
        path, card = generate_set(using, Request(**options), output.expanduser(), unreleased)
    classes_text = ", ".join(f"{name} {number:,}" for name, number in card.counts.items())
    status = "Released." if card.released else f"NOT RELEASED: {card.refusal}."
    left_out = "" if card.n_flagged is None else f" Suspected copies left out: {card.n_flagged:,}."
    done = f"Wrote {options['count']:,} images ({classes_text}) to {path}. {status}{left_out}"
    print_result(as_json, lambda: {"path": str(path), **to_json(card)}, lambda _: done)


@click.command(cls=UserCommand)
@click.option(
    "--model",
    "name",
    required=True,
    help="A trained detector that encodes an image, such as bigan, or a classifier arm, for onnx; a "
    "trained generator, such as acgan, for medigan and monai.",
)
@click.option(
    "--format",
    "form",
    type=FORMATS,
    default="onnx",
    show_default=True,
    help="An ONNX file, a package that medigan loads, or a MONAI bundle.",
)
@dataset_options
@output_option("The ONNX file, which is replaced, or a new folder.")
def export(name: str, form: str, env: str | None, params: str, output: Path) -> None:
    """Write a trained model in a form that runs without medgan; it is checked against PyTorch
    first.

    onnx needs medgan[onnx].
    """
    from medgan.inference import formats

    click.echo(
        formats.FORMATS[form](project_root_here(), chosen(env, params).dataset(), name, output)
    )


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
    from medgan.report.pretrained import listing
    from medgan.report.tables import print_text
    from medgan.sources.medigan.catalogue import search

    found = search(words)
    if not found:
        raise click.ClickException(f"No model of medigan fits `{words}`: use fewer or other words.")
    print_result(as_json, lambda: found, lambda width: print_text(listing(found), width).rstrip())


@medigan.command(cls=UserCommand)
@click.argument("name", metavar="ID")
@json_option("All that medigan publishes, as JSON.")
def show(name: str, as_json: bool) -> None:
    """Show what is known of a model: its number, such as 00004, or its whole id."""
    from medgan.report.pretrained import description
    from medgan.report.tables import print_text
    from medgan.sources.medigan.catalogue import find

    found = find(name)
    print_result(
        as_json, lambda: found, lambda width: print_text(description(found), width).rstrip()
    )
