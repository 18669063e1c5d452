"""The command `medgan export`."""

from __future__ import annotations

from pathlib import Path

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import chosen, dataset_options, project_root_here


@click.command(cls=UserCommand)
@click.option(
    "--model",
    "name",
    required=True,
    help="A trained detector that encodes an image, such as bigan, or a classifier arm.",
)
@dataset_options
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The ONNX file to write; it is replaced.",
)
def export(name: str, env: str | None, params: str, output: Path) -> None:
    """Write a trained detector or classifier arm as an ONNX file; it is checked against PyTorch first.

    Needs medgan[onnx].
    """
    from medgan.inference.export import export_detector
    from medgan.inference.export_classifier import export_classifier
    from medgan.pipelines.classifier_training.config import ARMS

    write = export_classifier if name in ARMS else export_detector
    done = write(project_root_here(), chosen(env, params).dataset(), name, output)
    click.echo(
        f"Wrote {done.path}. Its outputs for {done.images} images differ from PyTorch's "
        f"by {done.difference:.1g} at most."
    )
