"""The command `medgan classify`."""

from __future__ import annotations

from pathlib import Path

import click

from medgan.cli.errors import UserCommand, starts_anew
from medgan.cli.options import json_option, model_options, print_result, project_root_here
from medgan.cli.results import terminal_width


@click.command(cls=UserCommand)
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--arm",
    "-a",
    default="real",
    show_default=True,
    help="The classifier, such as gan_classical; its newest published version.",
)
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for classes.csv, classification.json and saliency/.",
)
@model_options
@click.option(
    "--saliency",
    is_flag=True,
    help="A Grad-CAM map of each image. Needs medgan[saliency].",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the results of an earlier classification in the output folder.",
)
@json_option("The classes as JSON.")
def classify(
    path: Path,
    arm: str,
    output: Path,
    env: str | None,
    params: str,
    as_json: bool,
    **options: bool,
) -> None:
    """Classify new images: a file, or a folder of images, DICOM or NIfTI files.

    Research only; not a medical device.
    """
    from medgan.inference.classify import classify_path
    from medgan.inference.summary import classes_document, classes_text
    from medgan.project.given import given_parameters

    with starts_anew():
        found = classify_path(
            path,
            arm,
            output,
            env=env,
            params=given_parameters(params),
            overwrite=options["overwrite"],
            with_saliency=options["saliency"],
            project=project_root_here(),
        )
    file = output / "classes.csv"
    print_result(
        as_json,
        lambda: classes_document(found, file),
        lambda: classes_text(found, file, terminal_width()),
    )
