"""Start-up times, which have a limit and nothing to be compared with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.paired import Timed
from benchmarks.rows.films import FOLDER
from benchmarks.scale import Scale

SCRATCH = Path("tests/scratch")
"""A Kedro project with the hooks, context and commands of ours."""
NOTHING = """
from kedro.pipeline import node, pipeline

def nothing():
    return {}

def register_pipelines():
    return {"__default__": pipeline([node(nothing, None, "nothing", name="nothing")])}
"""


def help_of_medgan(scale: Scale) -> Timed:
    """`medgan --help`."""
    return Timed("`medgan --help`", 1.0, _command("medgan", "--help", folder=Path()))


def smallest_run(scale: Scale) -> Timed:
    """`kedro run` of one node that does nothing, with MLflow."""
    folder = FOLDER / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SCRATCH, folder)
    (folder / "conf/local").mkdir(exist_ok=True)
    (folder / "src/scratch/pipeline_registry.py").write_text(NOTHING)
    run = _command("kedro", "run", folder=folder)
    return Timed("`kedro run` of one node that does nothing", 3.0, run)


def _command(*arguments: str, folder: Path) -> Callable[[], None]:
    command = [Path(sys.executable).with_name(arguments[0]), *arguments[1:]]

    def run() -> None:
        subprocess.run(command, cwd=folder, env=os.environ, check=True, capture_output=True)

    return run


CASES = (help_of_medgan, smallest_run)
