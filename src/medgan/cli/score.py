"""The command `medgan score`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from medgan.cli.errors import Interrupted, UserCommand
from medgan.cli.options import dataset_options, project_root_here

MAPS = click.Choice(["none", "anomalous", "all"])


@click.command(cls=UserCommand)
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--model",
    "-m",
    required=True,
    help="The detector, such as healthygan; its newest published version.",
)
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for scores.csv, scoring.json and heat_maps/.",
)
@dataset_options
@click.option(
    "--maps",
    type=MAPS,
    help="Which images get a heat map. Default: anomalous; none with --no-threshold.",
)
@click.option(
    "--no-threshold",
    is_flag=True,
    help="Scores without decisions, where the detector was not evaluated.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the results of an earlier scoring in the output folder.",
)
def score(
    path: Path,
    model: str,
    output: Path,
    env: str | None,
    params: str,
    **options: Any,
) -> None:
    """Score new images: a file, or a folder of images, DICOM or NIfTI files.

    Research only; not a medical device.
    """
    from medgan.inference import Options, score_path
    from medgan.inference.table import counts
    from medgan.project.environment import given_parameters

    with_threshold = not options["no_threshold"]
    try:
        table = score_path(
            path,
            model,
            output,
            env=env,
            params=given_parameters(params),
            options=Options(
                options["maps"], with_threshold, options["overwrite"], project_root_here()
            ),
        )
    except Interrupted as stop:
        raise Interrupted(
            stop.number, "nothing was written, and the same command starts anew"
        ) from None
    found = counts(table)
    judged = f", {found['anomalous']} called anomalous" if with_threshold else ""
    volumes = f" of {found['volumes']} volumes" if found["volumes"] else ""
    click.echo(
        f"{found['images'] - found['refused']} images{volumes} scored{judged}, "
        f"{found['refused']} refused: {output / 'scores.csv'}"
    )
