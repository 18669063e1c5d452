"""What starting a command imports, and that importing medgan changes nothing for others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT, environment

HEAVY = ("torch", "pandas", "matplotlib", "scipy", "sklearn", "mlflow", "streamlit", "pydicom")


FOR_NODES = ("torch", "matplotlib", "sklearn", "scipy", "pydicom", "mlflow")


def python(code: str) -> str:
    """What a new interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["medgan.settings", "medgan.cli", "medgan.project.environment"])
def test_start_up_imports_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    assert python(code) == "[]"


def test_help_does_not_import_kedro():
    code = (
        "import sys; from click.testing import CliRunner; from medgan.cli.main import main; "
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0; print('kedro' in sys.modules)"
    )
    assert python(code) == "False"


def test_importing_the_project_leaves_warnings_and_variables_alone():
    """But for DO_NOT_TRACK, which the settings set so that Kedro sends nothing."""
    code = (
        "import os, warnings, kedro.framework.project; "
        "os.environ['DO_NOT_TRACK'] = '1'; before = list(warnings.filters), dict(os.environ); "
        "import medgan, medgan.settings, medgan.cli.main, medgan.tracking.hooks; "
        "print((list(warnings.filters), dict(os.environ)) == before)"
    )
    assert python(code) == "True"


def test_only_requested_pipelines_are_made():
    code = (
        "from kedro.framework.project import pipelines; "
        "from medgan.pipeline_registry import PIPELINES, register_pipelines; "
        "pipelines.set_requested(['ingestion']); print(*register_pipelines()); "
        "pipelines.set_requested(['all_models.synthesis']); print(*register_pipelines()); "
        "pipelines.set_requested(None); "
        "others = ['__default__', 'all_models', 'medigan', 'medigan.classifier_training']; "
        "print([*register_pipelines()] == [*PIPELINES, *others])"
    )
    assert python(code).split() == ["ingestion", "all_models.synthesis", "True"]


def test_registering_the_pipelines_imports_no_library_that_only_nodes_need():
    code = (
        "import sys; from medgan.pipeline_registry import register_pipelines; "
        f"register_pipelines(); print([name for name in {FOR_NODES} if name in sys.modules])"
    )
    assert python(code) == "[]"


def test_showing_results_does_not_import_torch():
    code = (
        "import sys; from medgan.datasets.documents import read_document; "
        "from medgan.evaluation.reading import read_results; "
        "from medgan.evaluation.results import Results; "
        "from medgan.files.documents import to_json; "
        "from medgan.models import display_name, names; "
        "from medgan.report.summary import render_text; "
        "results = read_results(to_json(Results(dataset='phantoms'))); "
        "render_text(results, 100); print(len([display_name(name) for name in names()]) > 5); "
        f"print([name for name in {FOR_NODES} if name in sys.modules])"
    )
    assert python(code).splitlines() == ["True", "[]"]
