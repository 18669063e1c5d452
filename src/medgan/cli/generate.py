"""The command `medgan generate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medgan.cli.errors import UserCommand, starts_anew
from medgan.cli.options import (
    chosen,
    dataset_options,
    json_option,
    print_result,
    project_root_here,
)

if TYPE_CHECKING:
    from medgan.inference.data_card import DataCard


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
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help="A folder that gets the set as a folder, or a file NAME.zip or NAME.npz.",
)
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
    print_result(as_json, lambda: {"path": str(path), **to_json(card)}, lambda: _text(path, card))


def _text(path: Path, card: DataCard) -> str:
    classes = ", ".join(f"{name} {number:,}" for name, number in card.counts.items())
    status = "Released." if card.released else f"NOT RELEASED: {card.refusal}."
    left_out = "" if card.n_flagged is None else f" Suspected copies left out: {card.n_flagged:,}."
    images = f"{sum(card.counts.values()):,} images ({classes})"
    return f"Wrote {images} to {path}. {status}{left_out}"
