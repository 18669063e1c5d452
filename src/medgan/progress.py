"""Progress in the terminal: a bar that moves, or lines where nothing can move, as in a log."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

TABLE, BAR = 100, 140
"""Most columns of a table and of a bar."""
BETWEEN_LINES = 60.0  # seconds


def columns(most: int = TABLE) -> int:
    """Columns of the terminal, at most `most`; where there is no terminal, these."""
    return min(shutil.get_terminal_size((most, 24)).columns, most)


def progress_bar(name: str, unit: str, total: int | None = None, **settings: Any) -> tqdm:
    """Create a bar on stderr that vanishes at its end; if that is not a terminal, it prints a line
    a minute, and one at its end.
    """
    given = {"total": total, "desc": f"{name:<18}", "unit": unit, "ncols": columns(BAR)}
    if sys.stderr.isatty():
        return tqdm(**{**given, "mininterval": 0.5, "leave": False, **settings})
    intervals = {"mininterval": BETWEEN_LINES, "maxinterval": BETWEEN_LINES}
    return _Lines(**{**given, **intervals, **settings})


class _Lines(tqdm):
    """A bar that writes no control characters: every state is a line."""

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Print the state, where anything was done."""
        if msg is None and self.n > self.initial:
            self.fp.write(f"{self}\n")
            self.fp.flush()
        return True

    @classmethod
    @contextmanager
    def external_write_mode(cls, file: object = None, nolock: bool = False) -> Iterator[None]:
        """Let a message be written, for which no bar has to make room."""
        yield

    def close(self) -> None:
        """Print the last state, unless it is printed already or came before the delay was over."""
        late = not self.disable and self._time() >= self.start_t + self.delay
        if late and self.n != self.last_print_n:
            self.display()
        self.sp = None  # tqdm then writes nothing of its own
        super().close()
