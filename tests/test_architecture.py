"""Rules of the house that no tool of `make check` knows."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

SOURCES = sorted((ROOT / "src").rglob("*.py"))
FILES = [*SOURCES, *sorted((ROOT / "conf").rglob("*.yml"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_ever_unpickled(path):
    """Faults F48 and F49."""
    text = path.read_text()
    assert not re.search(
        r"PickleDataset|import pickle|import joblib|allow_pickle=True|weights_only=False|mlflow\.pytorch",
        text,
    )
    assert "torch.load(" not in text or "weights_only=True" in text


def test_no_module_is_called_utils():
    assert not [path for path in SOURCES if path.stem in ("utils", "helpers", "common", "misc")]


def test_the_store_of_runs_is_sqlite():
    """Fault F40: MLflow 3.17 refuses its file store."""
    assert "sqlite:///" in (ROOT / "conf/base/tracking.yml").read_text()


@pytest.mark.parametrize(
    "path",
    [ROOT / "requirements.lock", ROOT / "pyproject.toml", ROOT / "Makefile"],
    ids=lambda path: path.name,
)
def test_no_package_index_and_no_path_of_a_machine_is_named(path):
    assert not re.search(r"https?://|--index|/home/|/root/", path.read_text())


def test_everything_that_serves_listens_on_loopback():
    """Faults F53 and F54."""
    text = (ROOT / "Makefile").read_text()
    for target in ("viz", "mlflow", "app"):
        recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
        assert recipe is not None
        assert "127.0.0.1" in recipe.group(1)
        assert "0.0.0.0" not in recipe.group(1)
