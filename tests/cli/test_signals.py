"""SIGINT and SIGTERM at any moment: the exit code of the signal, one sentence, no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from medgan.cli import errors
from medgan.cli.errors import Interrupted, one_sentence
from medgan.cli.starting import end_quietly_while_starting
from tests.conftest import environment

MOMENTS = (0.15, 0.4, 0.8, 1.5, 3.0)
"""Seconds after the start of the interpreter."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_f26_a_signal_while_a_command_starts(scratch, number):
    """`python -m medgan` handles signals from its first line on, before it imports Kedro."""
    errors_printed = scratch / "stderr.txt"
    for moment in MOMENTS:
        with errors_printed.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", FIRST_LINE, "run", "--params", "toy.steps=9999,toy.pause=1"],
                cwd=scratch,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        time.sleep(moment)
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=60) == 128 + number, (moment, errors_printed.read_text())
        assert time.monotonic() - started < 10
        assert "Traceback" not in errors_printed.read_text(), moment
        assert f"stopped by {number.name}" in errors_printed.read_text()


FIRST_LINE = (
    "import signal, sys; sys.argv[0] = 'medgan'\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background ignores it
    "from medgan.cli.starting import end_quietly_while_starting as begin; begin()\n"
    "print('begins', flush=True)\n"
    "from kedro.framework.cli.cli import main; main()"
)


def test_a_program_that_imports_medgan_keeps_its_handlers(monkeypatch):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(sys, "argv", ["my_script.py"])
    end_quietly_while_starting()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def in_import(work: Callable[[], None]) -> None:
    """Call something as an import would."""
    code = compile("work()", "<frozen importlib._bootstrap>", "exec")
    exec(code, {"work": work})


def test_a_signal_inside_an_import_waits_until_the_import_is_done():
    done = []

    def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.2)
        done.append(True)

    with pytest.raises(Interrupted) as stopped, one_sentence():
        in_import(work)
        time.sleep(5)
    assert done
    assert stopped.value.exit_code == 143


def test_a_signal_in_the_last_import_or_that_is_caught_is_not_forgotten():
    for catch in (False, True):
        with pytest.raises(Interrupted), one_sentence():
            try:
                in_import(lambda: signal.raise_signal(signal.SIGINT))
                time.sleep(0.1 * catch)
            except Interrupted:
                assert catch


def test_a_command_that_swallows_the_signal_ends_all_the_same(monkeypatch):
    ended: list[int] = []

    def end(number: int) -> None:
        ended.append(number)
        raise SystemExit(128 + number)

    monkeypatch.setattr(errors, "CLOSING", 0.1)
    monkeypatch.setattr(errors, "end_now", end)
    with pytest.raises(SystemExit), one_sentence():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Interrupted:
            time.sleep(5)
    assert ended == [signal.SIGTERM]


SLOW_END = (
    "import signal, sys, time; sys.argv[0] = 'medgan'\n"
    "from medgan.cli import errors\n"
    "class Late:\n"
    "    def __del__(self, sleep=time.sleep): sleep(0.5)\n"
    "late = Late()\n"
    "errors.CLOSING = 0.2\n"
    "try:\n"
    "    with errors.one_sentence(): signal.raise_signal(signal.SIGTERM)\n"
    "except errors.Interrupted as stopped: sys.exit(stopped.exit_code)"
)


def test_an_interpreter_that_ends_slowly_is_not_killed_by_the_alarm():
    done = subprocess.run(
        [sys.executable, "-c", SLOW_END], env=environment(), check=False, timeout=60
    )
    assert done.returncode == 128 + signal.SIGTERM
