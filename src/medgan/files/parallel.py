"""Process many files on several threads: ordered results, bounded memory, shared computations."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 4  # results per worker that may wait for an earlier one


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Iterator[Result]:
    """Map `work` over the items on several threads, in order, with few results in memory at once.

    Decoding and hashing release the interpreter lock. Items that the caller never asks for are not
    started.
    """
    workers = workers or min(os.cpu_count() or 1, 16)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class Recent(Generic[Result]):
    """A thread-safe cache of the last `size` results.

    Threads that ask for one key wait for one computation, and at most `size` computations run at
    once, so memory stays bounded however many threads read. Errors are kept too: a damaged volume
    is not decoded again for each of its slices.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, Future[Result]] = OrderedDict()
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(size)

    def get(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """Return the result of a key, computed if it is not cached. Raises what `make` raises."""
        with self._lock:
            known = self._kept.get(key)
            future = known or Future()
            self._kept[key] = future
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        if known is None:
            try:
                with self._slots:
                    future.set_result(make())
            except BaseException as error:  # an interrupt too: other threads wait for the result
                # The traceback would keep everything alive that the failed attempt had read.
                future.set_exception(error.with_traceback(None))
        return future.result()


def stamp(path: Path) -> tuple[str, int, int, int]:
    """Return path, inode, size and modification time (ns); it changes when the file does."""
    state = path.stat()
    return (str(path), state.st_ino, state.st_size, state.st_mtime_ns)
