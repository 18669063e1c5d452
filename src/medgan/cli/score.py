"""The command `medgan score`."""

from __future__ import annotations

from pathlib import Path

import click

MAPS = click.Choice(["none", "anomalous", "all"])


@click.command()
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
@click.option(
    "--env",
    "-e",
    default=None,
    envvar="KEDRO_ENV",
    help="The data set it was trained on: an environment of conf/.",
)
@click.option(
    "--params", default="", help="What `kedro run --params` was given: flag=bloodmnist,size=28"
)
@click.option(
    "--maps",
    type=MAPS,
    default=None,
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
    maps: str | None,
    no_threshold: bool,
    overwrite: bool,
) -> None:
    """Score new images: a file, or a folder of images, DICOM or NIfTI files.

    Research only; not a medical device.
    """
    from medgan.cli.errors import Interrupted, one_sentence
    from medgan.cli.options import project_root_here

    with one_sentence():
        from medgan.inference import Options, score_path
        from medgan.inference.batch import counts
        from medgan.project.environment import given_parameters

        options = Options(maps, not no_threshold, overwrite)
        try:
            table = score_path(
                path,
                model,
                output,
                env=env,
                params=given_parameters(params),
                options=options,
                project=project_root_here(),
            )
        except Interrupted as stop:
            raise Interrupted(
                stop.number, "nothing was written, and the same command starts anew"
            ) from None
        found = counts(table)
    judged = "" if no_threshold else f", {found['anomalous']} called anomalous"
    volumes = f" of {found['volumes']} volumes" if found["volumes"] else ""
    click.echo(
        f"{found['images'] - found['refused']} images{volumes} scored{judged}, {found['refused']} refused: {output / 'scores.csv'}"
    )
