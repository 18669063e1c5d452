"""A scratch project that commands use in this process."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kedro.framework.project import configure_project
from kedro.framework.startup import bootstrap_project

from tests.conftest import ROOT

CATALOG = "prepared: {type: text.TextDataset, filepath: data/prepared.txt, versioned: true}\n"


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The scratch project, known to Kedro; conf/local turns MLflow off and versions on."""
    project = tmp_path_factory.mktemp("options") / "scratch"
    shutil.copytree(
        ROOT / "tests/scratch", project, ignore=shutil.ignore_patterns("__pycache__", ".gitkeep")
    )
    (project / "conf/local/tracking.yml").write_text("enabled: false\n")
    (project / "conf/local/catalog.yml").write_text(CATALOG)
    bootstrap_project(project)
    yield project
    for name in [name for name in sys.modules if name.split(".")[0] == "scratch"]:
        del sys.modules[name]
    sys.path.remove(str(project / "src"))
    configure_project("medgan")
