"""What the documentation shows, runs."""

import re
from pathlib import Path

import pytest
import torch

from medgan.models import PublishedModel
from tests.conftest import ROOT
from tests.models.tiny import SPEC, tiny

EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one published model."""
    folder = tmp_path / "data/06_models/phantoms/autoencoder/published/version/published"
    folder.mkdir(parents=True)
    model = tiny("autoencoder")
    card = {"choice": "averaged weights after the last step", "figures": {}}
    PublishedModel(
        "autoencoder", {"latent_dim": 8, "width": 4}, SPEC, model.state_dict(), card
    ).write(folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_python_examples_run_as_they_stand(number: int, elsewhere: Path) -> None:
    names: dict[str, object] = {}
    exec(compile(EXAMPLES[number], f"docs/python.md, example {number + 1}", "exec"), names)
    lines = [
        line
        for line in EXAMPLES[number].splitlines()
        if line and not line.startswith(("import", "from"))
    ]
    assert len(lines) <= 5
    for name in ("drawn", "pneumonia", "scores"):
        value = names.get(name)
        assert value is None or (isinstance(value, torch.Tensor) and torch.isfinite(value).all())
    assert {"model", "published"} & names.keys()
