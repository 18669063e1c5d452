"""The command `medgan score`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from medgan.cli.errors import UserCommand, starts_anew
from medgan.cli.options import json_option, model_options, print_result, project_root_here
from medgan.cli.results import terminal_width

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
@model_options
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
    "--tiles",
    type=float,
    metavar="OVERLAP",
    help="Score images at their own resolution, in tiles that overlap by this share, such as 0.5; "
    "for a detector that was trained on tiles.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the results of an earlier scoring in the output folder.",
)
@json_option("The scores as JSON.")
def score(
    path: Path,
    model: str,
    output: Path,
    env: str | None,
    params: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Score new images: a file, or a folder of images, DICOM or NIfTI files.

    Research only; not a medical device.
    """
    from medgan.inference.batch import Options, score_with_detector
    from medgan.inference.summary import scores_document, scores_text
    from medgan.project.given import given_parameters

    with_threshold = not options["no_threshold"]
    with starts_anew():
        found = score_with_detector(
            path,
            model,
            output,
            env=env,
            params=given_parameters(params),
            options=Options(
                options["maps"],
                with_threshold,
                options["overwrite"],
                options["tiles"],
                project_root_here(),
            ),
        )
    file = output / "scores.csv"
    print_result(
        as_json,
        lambda: scores_document(found, file),
        lambda: scores_text(found, file, terminal_width()),
    )
