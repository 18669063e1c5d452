"""What every test stands on: one torch thread, no network, no telemetry, and a tiny Kedro project
with medgan's edges.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
QUIET = {
    "DO_NOT_TRACK": "1",
    "KEDRO_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "COLUMNS": "120",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The path of a real data set; skips where it is absent."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"the real data {name} is not on this machine")
        return path

    return find


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A copy of tests/scratch, a Kedro project with medgan's hooks, context and commands, and two
    tiny pipelines.
    """
    project = tmp_path / "scratch"
    shutil.copytree(
        ROOT / "tests" / "scratch", project, ignore=shutil.ignore_patterns("__pycache__")
    )
    (project / "conf" / "local").mkdir(exist_ok=True)
    return project


@pytest.fixture
def kedro(scratch: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a `kedro` command in the scratch project, as a user would."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            kedro_command(*arguments),
            cwd=scratch,
            env=environment(**variables),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    return run


def kedro_command(*arguments: str) -> list[str]:
    """`kedro ...` with this interpreter."""
    return [sys.executable, "-m", "kedro", *arguments]


def environment(**variables: str) -> dict[str, str]:
    """This environment without anything that would steer Kedro or MLflow."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KEDRO_", "MLFLOW_"))
    }
    return {**kept, **QUIET, **variables}
