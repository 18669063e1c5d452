"""Costly results that are asked for again and again in a row: the volume that a slice lies in, the checksum of its file."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The last `size` results by key.

    Threads that ask for one key wait for one computation, and at most `size` of them compute at the same time, so memory stays flat
    however many threads read. An error is a result too: a damaged volume is not decoded again for each of its slices.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, Future[T]] = OrderedDict()
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(size)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result for a key, made if it is not at hand. Raises what `make` raises."""
        with self._lock:
            known = self._kept.get(key)
            future = known or Future()
            self._kept[key] = future
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        if known is None:
            self._fill(future, make)
        return future.result()

    def _fill(self, future: Future[T], make: Callable[[], T]) -> None:
        try:
            with self._slots:
                future.set_result(make())
        except BaseException as error:  # an interrupt too, or those who wait would wait for ever
            future.set_exception(error.with_traceback(None))  # which would keep alive all that the failed attempt had read


def stamp(path: Path) -> tuple[str, int, int, int]:
    """Changes when a file is replaced or written to: path, inode, size and time of change in nanoseconds."""
    state = path.stat()
    return (str(path), state.st_ino, state.st_size, state.st_mtime_ns)
