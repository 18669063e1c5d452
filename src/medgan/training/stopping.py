"""SIGINT and SIGTERM during a training: finish the step, save, then end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

GRACE = 5.0
"""Seconds that a step and its checkpoint may take after a signal; then the training ends at once."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopNow(Exception):
    """A signal has come where nothing has to be finished."""


class Stop:
    """A signal that waits until the state of a training is saved.

    The handlers from before get it in the end, or when it comes a second time, or after GRACE.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._at_once = False
        self._previous: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal waits."""
        return self._number is not None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep signals back; in any but the main thread Python delivers none."""
        if threading.current_thread() is threading.main_thread():
            found = {number: signal.getsignal(number) for number in SIGNALS}
            self._previous = {
                number: handler
                for number, handler in found.items()
                if handler not in (signal.SIG_IGN, None)
            }
            for number in self._previous:
                signal.signal(number, self._keep)
        try:
            yield
        finally:
            self._restore()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A block that changes nothing before its end, and raises `StopNow` at a signal."""
        if self.requested:
            raise StopNow
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def deliver(self) -> None:
        """Give the signal that waits to the handler from before."""
        number, self._number = self._number, None
        self._restore()
        if number is not None:
            signal.raise_signal(number)

    def _keep(self, number: int, _: FrameType | None) -> None:
        if self.requested:
            self.deliver()
            return
        self._number = number
        self._previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._keep)
        signal.setitimer(signal.ITIMER_REAL, GRACE)
        if self._at_once:
            raise StopNow

    def _restore(self) -> None:
        if signal.SIGALRM in self._previous:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
