"""One run at a time on one data folder; commands that only read are not stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from medgan.errors import UserError
from medgan.project.lock import RunLock
from tests.conftest import environment, kedro_command

HOLD = (
    "import sys, time; from pathlib import Path; from medgan.project.lock import RunLock\n"
    "lock = RunLock(Path(sys.argv[1]), 'phantoms'); lock.acquire(); print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def owner(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that has the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_f39_the_second_run_is_refused_with_the_process_command_and_start_of_the_first(
    tmp_path: Path, owner: subprocess.Popen[str]
) -> None:
    for take in (RunLock.acquire, RunLock.require_free):
        started = time.monotonic()
        with pytest.raises(
            UserError, match=rf"at work on phantoms \(process {owner.pid} on .*since"
        ):
            take(RunLock(tmp_path, "phantoms"))
        assert time.monotonic() - started < 2
    other = RunLock(tmp_path, "pneumoniamnist")
    other.acquire()
    other.release()


def test_f39_the_lock_of_a_killed_run_is_free_and_its_leftovers_go(
    tmp_path: Path, owner: subprocess.Popen[str]
) -> None:
    layer = tmp_path / "02_intermediate" / "phantoms"
    layer.mkdir(parents=True)
    (layer / f".a.csv.{owner.pid}-x.partial").write_text("half")
    raw = tmp_path / "01_raw" / "phantoms"
    raw.mkdir(parents=True)
    (raw / f".a.csv.{owner.pid}-x.partial").write_text("of the user")
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    lock = RunLock(tmp_path, "phantoms")
    lock.require_free()
    lock.acquire()
    assert not list(layer.iterdir())
    assert list(raw.iterdir())
    lock.release()
    assert not (tmp_path / ".phantoms.run.json").exists()


def test_f39_one_of_two_threads_is_refused_and_the_next_run_is_not(tmp_path: Path) -> None:
    first, refused = RunLock(tmp_path, "phantoms"), list[str]()
    first.acquire()

    def second() -> None:
        try:
            RunLock(tmp_path, "phantoms").acquire()
        except UserError as error:
            refused.append(str(error))

    thread = threading.Thread(target=second)
    thread.start()
    thread.join()
    assert f"process {os.getpid()} " in refused[0]
    assert first.own
    first.release()
    again = RunLock(tmp_path, "phantoms")
    again.acquire()
    again.release()


def test_f39_two_runs_of_one_project_and_what_reads_beside_them(scratch: Path) -> None:
    command = kedro_command("run", "--params", "toy.pause=0.1,toy.steps=10000")
    with subprocess.Popen(
        command,
        cwd=scratch,
        env=environment(),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as first:
        owner, deadline = scratch / "data" / ".scratch.run.json", time.monotonic() + 240
        while not owner.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        done = [
            subprocess.run(
                one, cwd=scratch, env=environment(), capture_output=True, text=True, check=False
            )
            for one in (kedro_command("run"), kedro_command("results"))
        ]
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=60) == 143
    assert done[0].returncode == 1
    assert f"Another run is at work on scratch (process {first.pid} on " in done[0].stderr
    assert "toy.pause=0.1" in done[0].stderr
    assert "Traceback" not in done[0].stderr
    assert "Another run" not in done[1].stderr
    assert not owner.exists()
