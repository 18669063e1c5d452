"""The wheel of `kedro package` holds everything that the package reads, and runs elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, environment


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `kedro package` builds it, but without a download of setuptools."""
    folder = tmp_path_factory.mktemp("package")
    project = folder / "project"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", project / "src", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_has_every_file_of_the_package(wheel):
    source = ROOT / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in (source / "medgan").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert expected - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_the_wheel_reads_a_packaged_configuration(wheel, tmp_path):
    site, conf = tmp_path / "site", tmp_path / "conf.tar.gz"
    zipfile.ZipFile(wheel).extractall(site)
    with tarfile.open(conf, "w:gz") as archive:
        archive.add(ROOT / "conf" / "base", "conf/base")
    arguments = ["--conf-source", str(conf), "--pipeline", "ingestion", "--params", "scale=huge"]
    done = subprocess.run(
        [sys.executable, "-m", "medgan", *arguments],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(site)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "conf: `scale` is 'huge': use one of smoke, cpu, gpu" in done.stderr
    assert "Traceback" not in done.stderr
