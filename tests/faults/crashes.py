"""A disk that fails at the n-th write, fsync or rename, and what is there afterwards.

The failing disk is `disk.c`, preloaded. A process that has it loaded forks a child for each point.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from medgan.cli.errors import find_ending
from medgan.contracts import ImageSpec
from medgan.datasets.documents import ResultsSectionDataset, TextDataset
from medgan.datasets.folders import FolderDataset
from medgan.datasets.images import ImageStoreDataset
from medgan.datasets.models import TrainingDataset
from medgan.datasets.parts import Arrays
from medgan.datasets.tables import CSVDataset, FactsDataset, JSONDataset, ParquetDataset
from medgan.evaluation.results import Section, SynthesisResult
from medgan.files.atomic import remove_leftovers
from medgan.images.metadata import ImageFacts
from medgan.images.store import StoreInfo, StorePlan
from medgan.models import PublishedModel
from medgan.training.checkpoints import CheckpointFolder, TrainingState
from medgan.training.job import SampleGrid, TrainingStep
from tests.faults.outcomes import SILENT, TRACEBACK, fingerprint

SHIM = Path(__file__).with_name("disk.c")
ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "kill": 0}
SENTENCE, BUG = 3, 4
"""Exit codes of a child: an error became one sentence, or did not."""


@dataclass(frozen=True)
class Made:
    """A folder with a part of each kind."""

    model: PublishedModel
    numbers: Mapping[str, float]
    table: pd.DataFrame
    arrays: Arrays
    picture: bytes


@dataclass(frozen=True)
class State:
    """A training as it is loaded."""

    checkpoints: CheckpointFolder
    curves: pd.DataFrame
    samples: bytes | None


def _folder(value: int) -> Made:
    spec = ImageSpec(32, 1, ("normal", "viral"))
    model = PublishedModel("toy", {"n": value}, spec, {"w": torch.full((64, 64), float(value))})
    arrays = {"maps": np.full((20, 8), value)}
    return Made(model, {"x": float(value)}, _table(value), arrays, bytes([value]) * 999)


def _table(value: int) -> pd.DataFrame:
    return pd.DataFrame({"a": np.arange(500) * value, "b": "text"})


def _store(value: int) -> StorePlan:
    info = StoreInfo(5, 32, 32, 1, "unit", ("normal",), source_key=str(value))
    return StorePlan(info, lambda: [np.full((32, 32, 1), value, dtype=np.uint8)] * 5)


def _training(value: int) -> TrainingStep:
    state = TrainingState("key", value, False, {"model.w": torch.full((99, 9), float(value))})
    grid = SampleGrid(value, np.full((2, 32, 32, 1), value, dtype=np.uint8))
    return TrainingStep(state, [{"step": value, "loss": 0.5}], grid)


def _facts(value: int) -> list[ImageFacts]:
    return [ImageFacts(f"{number}", f"1/{value}", value, 9, "a", "b", {}) for number in range(50)]


@dataclass(frozen=True)
class Kind:
    """A kind of data set, and the content number 1 (old) and 2 (new)."""

    dataset: Callable[[str], Any]
    content: Callable[[int], Any]
    file: str


KINDS = {
    "CSV": Kind(lambda path: CSVDataset(filepath=path), _table, "a.csv"),
    "Parquet": Kind(lambda path: ParquetDataset(filepath=path), _table, "a.parquet"),
    "JSON": Kind(lambda path: JSONDataset(filepath=path), lambda n: {"n": n}, "a.json"),
    "text": Kind(lambda path: TextDataset(filepath=path), lambda n: f"<html>{n}" * 99, "a.html"),
    "folder": Kind(
        lambda path: FolderDataset(filepath=path, of=f"{__name__}.Made"), _folder, "made"
    ),
    "results section": Kind(
        lambda path: ResultsSectionDataset(filepath=path, section="quality"),
        lambda n: Section(str(n), {"acgan": SynthesisResult({})}),
        "results.json",
    ),
    "image store": Kind(lambda path: ImageStoreDataset(filepath=path), _store, "images"),
    "training": Kind(
        lambda path: TrainingDataset(filepath=path, of=f"{__name__}.State"), _training, "toy"
    ),
    "facts": Kind(lambda path: FactsDataset(filepath=path), _facts, "facts.sqlite"),
}


def compiled(folder: Path) -> Path | None:
    """The disk that fails, to be preloaded; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        print("no C compiler: the disk that fails is left out", file=sys.stderr)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "disk.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SHIM), "-ldl"]
    subprocess.run(command, check=True)
    return library


def campaign(folder: Path, every: int = 1) -> Iterator[tuple[str, str, str]]:
    """Kind, outcome and example of every point at which the disk can fail, each with every error.

    Nothing is yielded where there is no C compiler.
    """
    library = compiled(folder)
    if library is None:
        return
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.crashes", str(library), str(every)],
        env={**os.environ, "LD_PRELOAD": str(library)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    for line in done.stdout.splitlines():
        kind, what, example = json.loads(line)
        yield kind, what, example


def points(library: ctypes.CDLL, every: int) -> Iterator[tuple[str, str, str]]:
    """The points of every kind, in a process that has the failing disk loaded."""
    for name, kind in KINDS.items():
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary)
            old, new = (_reference(kind, root / str(n), n) for n in (1, 2))
            calls = _calls(library, kind, root / "count")
            for error, number in ERRORS.items():
                for at in range(1, calls + 1, every):
                    what, why = _point(
                        library, kind, root / f"{error}-{at}", (at, number), (old, new)
                    )
                    yield f"{name} {error}", what, f"call {at} of {calls}: {why}"


Parts = tuple[str, ...]
"""Digests of what is written by one save each: a training has three, everything else one."""


def _reference(kind: Kind, folder: Path, value: int) -> Parts:
    return _loaded(_saved(kind, folder, value, first=1))


def _saved(kind: Kind, folder: Path, *values: int, first: int) -> Any:
    folder.mkdir(exist_ok=True)
    dataset = kind.dataset(str(folder / kind.file))
    for value in dict.fromkeys((first, *values)):
        dataset.save(kind.content(value))
    return dataset


def _loaded(dataset: Any) -> Parts:
    dataset.release()
    found = dataset.load()
    return tuple(map(fingerprint, vars(found).values() if isinstance(found, State) else [found]))


def _calls(library: ctypes.CDLL, kind: Kind, folder: Path) -> int:
    dataset = _saved(kind, folder, first=1)
    library.fault_arm(1 << 40, errno.EIO, str(folder).encode())
    dataset.save(kind.content(2))
    calls = int(library.fault_calls())
    library.fault_arm(-1, 0, b"-")
    return calls


def _point(
    library: ctypes.CDLL,
    kind: Kind,
    folder: Path,
    fault: tuple[int, int],
    known: tuple[Parts, Parts],
) -> tuple[str, str]:
    """Save under one fault in a child, tidy as the next run does, and look."""
    dataset = _saved(kind, folder, first=1)
    child = os.fork()
    if not child:
        library.fault_arm(*fault, str(folder).encode())
        code = 0
        try:
            dataset.save(kind.content(2))
        except BaseException as error:
            code = SENTENCE if find_ending(error) else BUG
            if code == BUG:
                print(repr(error), file=sys.stderr)
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == BUG:
        return TRACEBACK, "no sentence"
    remove_leftovers(folder)
    left = [path.name for path in folder.rglob("*") if path.name.endswith((".partial", ".old"))]
    if left:
        return SILENT, f"left behind: {left}"
    try:
        found = _loaded(kind.dataset(str(folder / kind.file)))
    except Exception as error:
        return TRACEBACK, f"cannot be loaded: {error}"
    if any(part not in both for part, *both in zip(found, *known, strict=True)):
        return SILENT, "neither old nor new"
    return ("old" if found == known[0] else "new"), ""


def main(path: str, every: str) -> None:
    """Print every point as a line of JSON."""
    library = ctypes.CDLL(path)
    library.fault_arm.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p]
    library.fault_calls.restype = ctypes.c_long
    torch.set_num_threads(1)
    for point in points(library, int(every)):
        print(json.dumps(point), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
