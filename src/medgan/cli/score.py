"""The commands `medgan score` and `medgan classify`, for new images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from medgan.cli.errors import UserCommand, starts_anew
from medgan.cli.options import (
    json_option,
    model_options,
    output_option,
    print_result,
    project_root_here,
)

MAPS = click.Choice(["none", "anomalous", "all"])
overwrite = click.option(
    "--overwrite",
    is_flag=True,
    help="Replace earlier results of this command in the output folder.",
)
new_images = click.argument("path", type=click.Path(path_type=Path))


@click.command(cls=UserCommand)
@new_images
@click.option(
    "--model",
    "-m",
    required=True,
    help="The detector, such as healthygan; its newest published version.",
)
@output_option("Folder for scores.csv, scoring.json and heat_maps/.")
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
@overwrite
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

    threshold = not options.pop("no_threshold")
    with starts_anew():
        given = given_parameters(params)
        chosen = Options(threshold=threshold, project=project_root_here(), **options)
        found = score_with_detector(path, model, output, env=env, params=given, options=chosen)
    file = output / "scores.csv"
    print_result(
        as_json, lambda: scores_document(found, file), lambda width: scores_text(found, file, width)
    )


@click.command(cls=UserCommand)
@new_images
@click.option(
    "--arm",
    "-a",
    default="real",
    show_default=True,
    help="The classifier, such as gan_classical; its newest published version.",
)
@output_option("Folder for classes.csv, classification.json and saliency/.")
@model_options
@click.option(
    "--saliency",
    "with_saliency",
    is_flag=True,
    help="A Grad-CAM map of each image. Needs medgan[saliency].",
)
@overwrite
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
        given, root = given_parameters(params), project_root_here()
        found = classify_path(path, arm, output, env=env, params=given, project=root, **options)
    file = output / "classes.csv"
    print_result(
        as_json,
        lambda: classes_document(found, file),
        lambda width: classes_text(found, file, width),
    )
