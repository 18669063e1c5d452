"""Damage to what a run leaves, and disks that fail: the fast part of `make campaign`."""

from __future__ import annotations

import errno
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DatasetError

from medgan.cli.errors import find_ending
from medgan.errors import user_message
from tests.conftest import ROOT, environment
from tests.faults import whole_run
from tests.faults.campaign import Tally, Target, by_kind, damage
from tests.faults.crashes import ERRORS, KINDS
from tests.faults.outcomes import BAD, UNCHANGED


@pytest.mark.long
@pytest.mark.parametrize("name", KINDS)
def test_f30_f31_no_damaged_file_loads_in_silence_or_ends_in_a_traceback(
    name: str, tmp_path: Path
) -> None:
    kind, path, tally = KINDS[name], tmp_path / KINDS[name].file, Tally()
    dataset = kind.dataset(str(path))
    for value in (1, 2):
        dataset.save(kind.content(value))

    def load() -> object:
        dataset.release()
        return dataset.load()

    kinds = by_kind(name, path, dataset)
    damage([Target(kind, load, tuple(files)) for kind, files in kinds.items()], 60, 20, tally)
    assert not tally.bad, "\n".join(tally.examples)
    assert sum(count[UNCHANGED] for count in tally.counts.values()) == 0 or name in UNREAD
    assert sum(sum(count.values()) for count in tally.counts.values()) >= 80


UNREAD = {"training", "facts"}
"""Have bytes that nothing is read from: the grids and checkpoints before the newest, free pages."""


needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None, reason="this machine has no C compiler for the disk that fails"
)


def figures_of(folder: Path, command: str, *options: str) -> dict[str, Any]:
    """The figures of a command of this folder, which has to find nothing bad."""
    figures = folder / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", f"tests.faults.{command}", *options, "--json", str(figures)],
        cwd=ROOT,
        env=environment(PYTHONPATH=f"{ROOT / 'src'}:{ROOT}"),
        capture_output=True,
        text=True,
        timeout=570,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(figures.read_text())
    return found


@needs_compiler
def test_f29_a_full_disk_leaves_old_or_new_and_is_one_sentence(tmp_path: Path) -> None:
    found = figures_of(tmp_path, "campaign", "--flips", "0", "--cuts", "0", "--every", "9")
    assert len(found["disk"]) == 3 * len(KINDS)
    assert found["bad"] == 0


@pytest.mark.long
@needs_compiler
def test_f29_a_disk_that_fails_in_a_run_loses_nothing_and_the_same_command_ends(
    tmp_path: Path,
) -> None:
    found = list(whole_run.campaign(tmp_path / "run", 13, "--pipelines", "ingestion,preprocessing"))
    assert {kind for kind, *_ in found} == set(ERRORS)
    assert len(found) >= 3 * 10
    assert [one for one in found if one[1] in BAD] == []


@pytest.mark.long
def test_f27_killed_trainings_and_starts_end_as_if_nobody_had_killed_them(tmp_path: Path) -> None:
    found = figures_of(tmp_path, "kills", "--kills", "3", "--starts", "2")
    assert {name: part["kills"] for name, part in found.items()} == {"trainings": 3, "starts": 2}
    assert [part["faults"] for part in found.values()] == [[], []]


def test_f29_a_file_size_limit_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    kind = KINDS["training"]
    dataset = kind.dataset(str(tmp_path / "toy"))
    dataset.save(kind.content(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(DatasetError) as failed:
            dataset.save(kind.content(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    ending = find_ending(failed.value)
    assert ending is not None
    assert "larger than is allowed" in ending.message
    assert "\n" not in ending.message
    assert dataset.load().checkpoints.latest("key").step == 1
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_f29_errors_of_the_disk_are_sentences_that_name_the_file(number: int) -> None:
    message = user_message(OSError(number, "no", "data/a.csv"))
    assert message is not None
    assert message.startswith("data/a.csv: the disk ")
    assert user_message(OSError(errno.ENOENT, "no", "data/a.csv")) is None


def test_f29_errors_of_libraries_about_the_disk_are_sentences_too(tmp_path: Path) -> None:
    import sqlite3

    from safetensors import SafetensorError

    full = SafetensorError("I/O error: No space left on device (os error 28)")
    assert user_message(full) == (
        "The disk is full: free some space, then run the same command again."
    )
    with pytest.raises(sqlite3.OperationalError) as refused:
        sqlite3.connect(tmp_path / "no" / "such" / "folder.sqlite")
    assert user_message(refused.value)


def test_a_damaged_csv_is_not_called_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n1,2,3,4\n")
    with pytest.raises(DatasetError) as refused:
        KINDS["CSV"].dataset(str(tmp_path / "a.csv")).load()
    message = user_message(refused.value)
    assert message is not None
    assert message.startswith(f"{tmp_path / 'a.csv'} is damaged (ParserError while reading it)")
