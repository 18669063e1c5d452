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
ONE_NODE = """
from kedro.pipeline import node, pipeline

def nothing():
    return "nothing"

def register_pipelines():
    return {"__default__": pipeline([node(nothing, None, "OUTPUT", name="nothing")])}
"""
LOGGED = "prepared"
"""A data set of SCRATCH that MLflow gets."""


def help_of_medgan(scale: Scale) -> Timed:
    """`medgan --help`."""
    return Timed("`medgan --help`", 1.0, _command("medgan", "--help", folder=Path()))


def smallest_run(scale: Scale) -> Timed:
    """`kedro run` of one node that does nothing."""
    return Timed("`kedro run` of one node that does nothing", 3.0, _run("nothing"))


def logged_run(scale: Scale) -> Timed:
    """The same, whose text is sent to MLflow."""
    return Timed("`kedro run` of one node that sends a text to MLflow", 3.0, _run(LOGGED))


def _run(output: str) -> Callable[[], None]:
    folder = FOLDER / f"scratch_{output}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SCRATCH, folder)
    (folder / "conf/local").mkdir(exist_ok=True)
    pipeline = ONE_NODE.replace("OUTPUT", output)
    (folder / "src/scratch/pipeline_registry.py").write_text(pipeline)
    return _command("kedro", "run", folder=folder)


def _command(*arguments: str, folder: Path) -> Callable[[], None]:
    command = [Path(sys.executable).with_name(arguments[0]), *arguments[1:]]

    def run() -> None:
        subprocess.run(command, cwd=folder, env=os.environ, check=True, capture_output=True)

    return run


CASES = (help_of_medgan, smallest_run, logged_run)
