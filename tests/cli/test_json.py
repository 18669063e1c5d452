"""`--json`: one document on the standard output, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys

import click
from click.testing import CliRunner

from medgan.cli.errors import UserCommand
from medgan.cli.options import json_option, print_result
from tests.conftest import ROOT, environment


@click.command(cls=UserCommand)
@json_option("As JSON.")
def noisy(as_json: bool) -> None:
    """A command that uses a library which prints."""
    click.echo("Using a configuration.")
    print_result(as_json, lambda: {"found": [1]}, lambda _: "Found 1.")


def test_what_a_library_prints_is_no_part_of_the_document():
    shown = CliRunner().invoke(noisy, ["--json"])
    assert json.loads(shown.stdout) == {"found": [1]}
    assert shown.stderr == "Using a configuration.\n"
    assert CliRunner().invoke(noisy).stdout == "Using a configuration.\nFound 1.\n"


def test_kedro_does_not_log_below_the_project_folder():
    """It looks for conf/logging.yml in the working directory alone, and says which file it took."""
    code = (
        "import sys; sys.argv = ['medgan', 'doctor', '--env', 'migraine_mri']; "
        "from medgan.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "docs",
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.startswith("The data set migraine_mri"), done.stdout + done.stderr
