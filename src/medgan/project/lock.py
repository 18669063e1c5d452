"""One run at a time on the data of a data set."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import threading
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from medgan.errors import UserError
from medgan.files.atomic import remove_leftovers, write_text

RAW = "01_raw"
"""The layer that runs only read."""


class RunLock:
    """A lock that the system frees when its owner ends, in whatever way.

    Commands that only read (`medgan score`, kedro-viz, the app) do not ask for it.

    Args:
        data: the folder of all layers.
        dataset: name of the data set, a folder below every layer.
    """

    def __init__(self, data: Path, dataset: str) -> None:
        self.data, self.dataset = data, dataset
        self._owner = data / f".{dataset}.run.json"
        self._lock = FileLock(data / f".{dataset}.run.lock", timeout=0, thread_local=False)
        self._thread = threading.get_ident()

    def acquire(self) -> None:
        """Take the lock, and remove what killed runs have left.

        Raises:
            UserError: another run has it; names its process, command and start.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise self._taken() from None
        owner = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
            "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        }
        write_text(self._owner, json.dumps(owner))
        for layer in self.data.glob(f"*/{self.dataset}"):
            if layer.parent.name != RAW:
                remove_leftovers(layer)

    def require_free(self) -> None:
        """Raise `UserError` where another run has the lock; do not keep it."""
        if self.data.is_dir():
            try:
                self._lock.acquire()
            except Timeout:
                raise self._taken() from None
            self._lock.release()

    def release(self) -> None:
        """Free the lock, if this run has it."""
        if self._lock.is_locked:
            self._owner.unlink(missing_ok=True)
            self._lock.release()

    @property
    def own(self) -> bool:
        """Whether an earlier run in this thread has left the lock behind."""
        return self._lock.is_locked and self._thread == threading.get_ident()

    def _taken(self) -> UserError:
        try:
            owner = json.loads(self._owner.read_text(encoding="utf-8"))
            who = "process {pid} on {host}, `{command}`, since {since}".format(**owner)
        except (OSError, ValueError, KeyError, TypeError):
            who = "it has not said which yet"
        return UserError(
            f"Another run is at work on {self.dataset} ({who}): wait for it to end, or stop it first."
        )
