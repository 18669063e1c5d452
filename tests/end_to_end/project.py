"""A copy of the project on few phantoms, and commands in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.conftest import ROOT, environment

CATALOG = "source: {type: medgan.datasets.images.ImageSourceDataset, kind: phantoms, images: 120, patients: 60}\n"


def make_project(folder: Path) -> Path:
    """A clone with an environment of few phantoms."""
    (folder / "conf" / "tiny").mkdir(parents=True)
    shutil.copytree(ROOT / "conf" / "base", folder / "conf" / "base")
    shutil.copy(ROOT / "conf" / "logging.yml", folder / "conf")
    (folder / "conf" / "tiny" / "globals.yml").write_text("dataset: tiny\n")
    (folder / "conf" / "tiny" / "catalog.yml").write_text(CATALOG)
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(
        ROOT / "src" / "medgan",
        folder / "src" / "medgan",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return folder


def call(project: Path, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(arguments),
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
