"""The commands `medgan reproduce` and `medgan collect`: the runs behind docs/results.md."""

from __future__ import annotations

from pathlib import Path

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import project_root_here


@click.command(cls=UserCommand)
@click.argument("dataset")
@click.option("--source", help="Where the images are, as in `kedro run --params source=PATH`.")
@click.option("--seeds", default="", help="0,1,2; without it, those that the experiment declares.")
@click.option(
    "--only",
    default="",
    help="Rows of the experiment, separated by commas; without it, all that are missing.",
)
@click.option(
    "--params",
    default="",
    help="Other places of this machine: lpips_weights=PATH. Settings that change metrics belong "
    "in conf/experiments.yml.",
)
def reproduce(dataset: str, source: str | None, seeds: str, only: str, params: str) -> None:
    """Make the missing records of a data set: docs/results/runs/DATASET/<row>-<seed>.json.

    It takes hours on a CPU; a killed run resumes where it stopped.
    """
    from medgan.experiments import run as reproducing
    from medgan.experiments.plan import experiment_of

    root = project_root_here()
    experiment = experiment_of(root / "conf", dataset)
    path = source and str(Path(source).expanduser().absolute())  # the runs are in another folder
    place = reproducing.Workplace(root, dataset, experiment, reproducing.places(path, params))
    failed = reproducing.reproduce(
        place, _numbers(seeds) or experiment.all_seeds(), _names(only), click.echo
    )
    if failed:
        raise click.ClickException(
            f"{len(failed)} of the runs failed ({'; '.join(failed)}): their output is in "
            f"{place.log.relative_to(root)}."
        )


@click.command(cls=UserCommand)
def collect() -> None:
    """Write docs/results.md and docs/results/ from the records of all data sets."""
    from medgan.experiments.plan import read_experiments
    from medgan.experiments.publish import publish

    root = project_root_here()
    for path in publish(root, read_experiments(root / "conf")):
        click.echo(path.relative_to(root))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> list[int]:
    names = _names(text)
    wrong = next((name for name in names if not name.isdigit()), None)
    if wrong is not None:
        raise click.UsageError(
            f"--seeds has '{wrong}': give whole numbers separated by commas, such as 0,1,2."
        )
    return [int(name) for name in names]
