"""End a command that is still starting at once and without a traceback when a signal comes.

Nothing is lost then. `medgan.cli.errors` takes over once the command itself begins. This module
imports nothing slow, since it has to come first.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

COMMANDS = frozenset({"kedro", "medgan"})
"""Programs that this is for; a notebook or a script that imports medgan keeps its handlers."""
RESUMES = frozenset({"run", "reproduce"})
"""Commands that go on where they were stopped; the others begin again."""
DEFAULTS = (signal.default_int_handler, signal.SIG_DFL)


def end_quietly_while_starting() -> None:
    """Replace the default handlers of SIGINT and SIGTERM, in a command of the project."""
    if is_command():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) in DEFAULTS:
                signal.signal(number, end_now)


def is_command() -> bool:
    """Whether this process is a command of the project, as a script or with `python -m`."""
    path = Path(sys.argv[0])
    return (path.parent.name if path.name == "__main__.py" else path.name) in COMMANDS


def end_now(number: int, _: FrameType | None = None) -> None:
    """End the process with one sentence and the exit code of a signal."""
    os.write(2, f"\nError: {stopped_by(number)}\n".encode())
    os._exit(128 + number)


def stopped_by(number: int, then: str = "") -> str:
    """The sentence with which a command ends at a signal."""
    resumes = RESUMES.intersection(sys.argv)
    then = then or ("the same command resumes" if resumes else "run the same command again")
    return f"stopped by {signal.Signals(number).name}; {then}."
