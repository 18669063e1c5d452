"""Recognize a process after it may have ended: the system gives its number to others."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

ENDED = "ZX"
"""States of a process that has ended and was not yet collected."""


@dataclass(frozen=True)
class ProcessIdentity:
    """A process on a machine: number and start identify it, the number alone does not."""

    host: str
    pid: int
    started: str
    """Compared, never read; empty where the system does not tell."""

    @classmethod
    def own(cls) -> ProcessIdentity:
        """The identity of this process."""
        return cls(platform.node(), os.getpid(), _state_and_start(os.getpid())[1])

    def is_gone(self) -> bool:
        """Whether it surely ended. False on another host and where the system does not tell."""
        if self.host != platform.node() or os.name != "posix":
            return False
        if not exists(self.pid):
            return True
        state, started = _state_and_start(self.pid)
        return state in ENDED if started == self.started else bool(started and self.started)


def exists(pid: int) -> bool:
    """Whether a process has this number, of this or another user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def cpu_ticks(pid: int) -> int:
    """The processor time of a process, in ticks of the system; 0 where it does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return sum(int(field) for field in fields.rpartition(")")[2].split()[11:13])
    except (OSError, IndexError):
        return 0


def _state_and_start(pid: int) -> tuple[str, str]:
    """The state letter and the start of a process; `("?", "")` where the system does not tell."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        if stat.parent.parent.joinpath("self").exists():
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            return fields[0], fields[19]
        command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)  # noqa: S603
        state, _, started = found.stdout.strip().partition(" ")
        return state[:1] or "?", started.strip()
    except (OSError, IndexError, subprocess.SubprocessError):
        return "?", ""
