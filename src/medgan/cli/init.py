"""The command `medgan init`: an environment for a folder of images."""

from __future__ import annotations

from pathlib import Path

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import project_root_here, terminal_width
from medgan.errors import UserError


@click.command(cls=UserCommand)
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--normal", help="The label of healthy images, where it is not found by its name.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="LABEL=CATEGORY",
    help="The category of a label; LABEL= leaves its images out. May be given several times.",
)
@click.option(
    "--patients",
    help="A pattern on the path with the patient in round brackets, or the column of the table; "
    "an empty text: patients are not known.",
)
@click.option("--size", type=int, help="Side of the stored images in pixels.")
@click.option("--dry-run", is_flag=True, help="Show what is recognized, and write nothing.")
def init(
    name: str,
    path: Path,
    normal: str | None,
    labels: tuple[str, ...],
    patients: str | None,
    size: int | None,
    dry_run: bool,
) -> None:
    """Write an environment for a folder of images.

    Names, folders and tables are looked at, and labels and patients are proposed. The three files
    of conf/NAME say what was proposed: correct them as you like.
    """
    from medgan.images.config import PreprocessingConfig
    from medgan.project.environment import Environment
    from medgan.project.new_environment import require_free_name, write_environment
    from medgan.report.recognition import described
    from medgan.report.tables import print_text
    from medgan.sources.recognition import Corrections, recognize

    conf = project_root_here() / "conf"
    require_free_name(conf, name)
    if size is not None:
        PreprocessingConfig(size=size)  # refuses what the environment could not hold
    corrections = Corrections(normal, dict(map(_category, labels)), patients, size)
    found = recognize(path, corrections)
    click.echo(print_text(described(found), terminal_width()))
    try:
        found.require_normal()
    except UserError as error:
        raise UserError(f"{error} Give it with --normal LABEL; nothing was written.") from None
    if dry_run:
        click.echo("Nothing was written (--dry-run).")
        return
    folder = write_environment(conf, name, found)
    command = Environment(conf, name).command()
    click.echo(
        f"Wrote {folder.relative_to(conf.parent)}: check its three files.\n"
        f"  {command} --params scale=smoke    a few steps of everything, to see whether it runs\n"
        f"  {command} --to-outputs bigan.evaluation    one detector\n"
        f"  {command}    everything"
    )


def _category(text: str) -> tuple[str, str | None]:
    label, equals, category = text.rpartition("=")
    if not equals:
        raise UserError(f"--label {text} has no `=`: give LABEL=CATEGORY, such as cyst=benign.")
    return label, category.strip() or None
