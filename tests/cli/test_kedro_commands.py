"""`kedro catalog`, `kedro registry` and the variables of `kedro ipython`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from kedro.framework.cli.catalog import catalog_cli
from kedro.framework.cli.registry import registry_cli
from kedro.framework.startup import bootstrap_project

from tests.conftest import ROOT, environment

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize(
    ("group", "arguments", "words"),
    [
        (registry_cli, "registry list", ["- making", "- training", "- judging", "- __default__"]),
        (registry_cli, "registry describe training", ["- training.toy.train (train)"]),
        (catalog_cli, "catalog list-patterns", ["results.{section}"]),
        (catalog_cli, "catalog describe-datasets --pipeline making", ["TextDataset", "- prepared"]),
        (catalog_cli, "catalog resolve-patterns --env base", ["results.quality:", "report_html:"]),
    ],
)
def test_commands_about_the_project_work(configured, monkeypatch, group, arguments, words):
    monkeypatch.chdir(configured)
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    shown = CliRunner().invoke(group, arguments.split(), obj=bootstrap_project(configured))
    assert shown.exit_code == 0, shown.output
    assert all(word in shown.output for word in words), shown.output


def test_ipython_has_the_variables_of_the_project(scratch):
    (scratch / "notebooks").mkdir()
    code = (
        "%load_ext kedro.ipython\nprint(context.params['scale'], *pipelines, session.store['env'])"
    )
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "-c", code],
        cwd=scratch / "notebooks",
        env=environment(KEDRO_ENV="base", IPYTHONDIR=str(scratch / "ipython")),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "smoke making training judging __default__ base" in done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_use_these_variables(path):
    cells = json.loads(path.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert "%load_ext kedro.ipython" in code[0]
    assert not [cell for cell in code if "KedroSession" in cell or "bootstrap_project" in cell]
