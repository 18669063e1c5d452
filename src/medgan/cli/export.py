"""The command `medgan export`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import chosen, dataset_options, project_root_here


@click.command(cls=UserCommand)
@click.option(
    "--model",
    "name",
    required=True,
    help="A trained detector that encodes an image, such as bigan.",
)
@dataset_options
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The ONNX file to write; it is replaced.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def export(name: str, env: str | None, params: str, output: Path, as_json: bool) -> None:
    """Write a trained detector as an ONNX file; it is checked against PyTorch first.

    Needs medgan[onnx].
    """
    from medgan.inference.export import export_detector

    done = export_detector(project_root_here(), chosen(env, params).dataset(), name, output)
    if as_json:
        click.echo(json.dumps({**asdict(done), "path": str(done.path)}))
        return
    click.echo(
        f"Wrote {done.path}. Scores and maps of {done.images} images differ from PyTorch's "
        f"by {done.difference:.1g} at most."
    )
