"""`medgan reproduce`: the runs that docs/results.md rests on."""

from __future__ import annotations

import click


@click.command()
@click.argument("dataset")
@click.option(
    "--source",
    default=None,
    help="Where the images are, as `kedro run --params source=PATH` takes it.",
)
@click.option("--seeds", default="", help="0,1,2; without it, those that the study declares.")
@click.option(
    "--only",
    default="",
    help="Rows of the study, separated by commas; without it, all that are missing.",
)
@click.option(
    "--params",
    default="",
    help="Other places of this machine: lpips_weights=PATH. What decides figures belongs into conf/studies.yml.",
)
def reproduce(dataset: str, source: str | None, seeds: str, only: str, params: str) -> None:
    """Make the records of a data set that are missing: docs/results/runs/DATASET/<row>-<seed>.json.

    It takes hours on a CPU; what is killed goes on where it stopped.
    """
    from medgan.cli.errors import one_sentence
    from medgan.cli.options import project_root_here
    from medgan.experiments import run as reproducing
    from medgan.experiments.plan import study_of

    with one_sentence():
        root = project_root_here()
        study = study_of(root / "conf", dataset)
        place = reproducing.Workplace(root, dataset, reproducing.places(source, params))
        failed = reproducing.reproduce(
            place, study, _numbers(seeds) or study.all_seeds(), _names(only), click.echo
        )
        if failed:
            raise click.ClickException(
                f"{len(failed)} of the runs failed ({'; '.join(failed)}): {place.log.relative_to(root)} has what they said."
            )


@click.command()
def collect() -> None:
    """Write docs/results.md and docs/results/ from the records of all data sets."""
    from medgan.cli.errors import one_sentence
    from medgan.cli.options import project_root_here

    with one_sentence():
        from medgan.experiments.plan import read_studies
        from medgan.experiments.publish import publish

        root = project_root_here()
        for path in publish(root, read_studies(root / "conf")):
            click.echo(path.relative_to(root))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> list[int]:
    wrong = next((name for name in _names(text) if not name.isdigit()), None)
    if wrong is not None:
        raise click.UsageError(
            f"--seeds has '{wrong}': give whole numbers separated by commas, such as 0,1,2."
        )
    return [int(name) for name in _names(text)]
