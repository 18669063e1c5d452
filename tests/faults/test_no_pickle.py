"""Nothing in the source or the configuration can execute what a data file says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

LOADERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
UNSAFE_CALLS = {"unsafe_load", "full_load", "read_pickle", "to_pickle"}
CONFIGURATION = ("pickle", "joblib", "cloudpickle", "!!python", "eval:")


def unsafe(source: str) -> Iterator[str]:
    """What can execute data: an import of a pickle library, or a loader that may use one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] in LOADERS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LOADERS:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            yield from _unsafe_call(node)


def _unsafe_call(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    last = name.rsplit(".", maxsplit=1)[-1]
    given = {one.arg: one.value for one in call.keywords}

    def is_(argument: str, value: object) -> bool:
        found = given.get(argument)
        return isinstance(found, ast.Constant) and found.value is value

    if last in UNSAFE_CALLS or name in ("eval", "exec"):
        yield name
    if name == "torch.load" and not is_("weights_only", True):
        yield f"{name} without weights_only=True"
    if (
        name in ("np.load", "numpy.load")
        and "allow_pickle" in given
        and not is_("allow_pickle", False)
    ):
        yield f"{name} with allow_pickle"
    if name == "yaml.load" and "SafeLoader" not in ast.unparse(call):
        yield name


@pytest.mark.parametrize("folder", ["src", "benchmarks"])
def test_f48_no_source_file_can_execute_data(folder: str) -> None:
    found = {
        str(path.relative_to(ROOT)): problems
        for path in (ROOT / folder).rglob("*.py")
        if (problems := list(unsafe(path.read_text(encoding="utf-8"))))
    }
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "import numpy as np; np.load('a.npy', allow_pickle=True)",
        "import torch; torch.load('a.pt')",
        "import torch; torch.load('a.pt', weights_only=False)",
        "import yaml; yaml.load(text)",
        "import pandas as pd; pd.read_pickle('a')",
        "eval(text)",
    ],
)
def test_the_lint_sees_what_it_is_for(code: str) -> None:
    assert list(unsafe(code))


def test_f49_no_catalog_entry_and_no_notebook_uses_a_pickle() -> None:
    files = [*(ROOT / "conf").rglob("*.yml"), *(ROOT / "notebooks").glob("*.ipynb")]
    assert files
    found = {
        f"{path.relative_to(ROOT)}: {word}"
        for path in files
        for word in CONFIGURATION
        if word in path.read_text(encoding="utf-8").lower()
    }
    assert not found


def test_f49_no_array_of_objects_is_written_or_read(tmp_path: Path) -> None:
    import numpy as np

    from medgan.datasets.parts import StoredArrays

    path = tmp_path / "a.npz"
    np.savez(path, a=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        StoredArrays(path)["a"]
