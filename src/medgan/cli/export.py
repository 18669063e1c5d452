"""The command `medgan export`."""

from __future__ import annotations

from pathlib import Path

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import chosen, dataset_options, project_root_here

NAMES = click.Choice(["onnx", "medigan", "monai"])


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
    type=NAMES,
    default="onnx",
    show_default=True,
    help="An ONNX file, a package that medigan loads, or a MONAI bundle.",
)
@dataset_options
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The ONNX file, which is replaced, or a new folder.",
)
def export(name: str, form: str, env: str | None, params: str, output: Path) -> None:
    """Write a trained model in a form that runs without medgan; it is checked against PyTorch
    first.

    onnx needs medgan[onnx].
    """
    from medgan.inference.formats import FORMATS

    click.echo(FORMATS[form](project_root_here(), chosen(env, params).dataset(), name, output))
