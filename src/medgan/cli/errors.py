"""Convert expected errors to a one-line message and an exit code."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType
from typing import Any

import click

from medgan.cli.quiet import quiet
from medgan.cli.starting import end_now, is_command, stopped_by
from medgan.errors import chain, user_message

CLOSING = 4.5
"""Seconds that a command may take to end after a signal."""
MAY_BE_EMPTY = frozenset({"params", "patients"})
"""Options of which an empty text means something."""
STDOUT = "medgan.cli.stdout"
"""Key of the standard output in the `meta` of a context."""
AGAIN = 0.05
"""Seconds between two looks at whether it can end."""


class UserCommand(click.Command):
    """A command that ends with one sentence where the user can act on the error."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options."""
        with one_sentence():
            self._check_options(ctx, args)
            return super().parse_args(ctx, args)

    def _check_options(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse an option that is given twice, of which click would drop the first, and an option
        or argument without a value, such as an unset shell variable, which would count as not
        given, or as the working directory.
        """
        values, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for given, count in Counter(order).items():
            if getattr(given, "multiple", False) or given.name is None:
                continue
            name = given.opts[0] if isinstance(given, click.Option) else given.human_readable_name
            if count > 1:
                problem = f"is given {count} times: give it once; commas separate several values"
                raise click.UsageError(f"{name} {problem}.", ctx)
            value = values.get(given.name)
            texts = value if isinstance(value, list | tuple) else (value,)
            empty = any(isinstance(text, str) and not text.strip(" ,") for text in texts)
            if empty and given.name not in MAY_BE_EMPTY:
                problem = (
                    f"has no value: give it one{'' if given.required else ', or leave it out'}"
                )
                raise click.UsageError(f"{name} {problem}.", ctx)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with `--json` only `print_result` writes to the standard output."""
        ctx.meta[STDOUT] = sys.stdout
        with quiet(), one_sentence():
            if not ctx.params.get("as_json"):
                return super().invoke(ctx)
            with redirect_stdout(sys.stderr):
                return super().invoke(ctx)


class Interrupted(click.ClickException):
    """SIGINT or SIGTERM, as an `Exception`: Kedro does not call its hooks for KeyboardInterrupt."""

    def __init__(self, number: int, then: str = "") -> None:
        super().__init__(stopped_by(number, then))
        self.number = number
        self.exit_code = 128 + number  # type: ignore[misc]


@contextmanager
def one_sentence() -> Iterator[None]:
    """Raise expected errors as `click.ClickException`. A bug keeps its traceback."""
    with _interruptible():
        try:
            yield
        except Exception as error:
            ending = find_ending(error)
            if ending is None:
                raise
            raise ending from None


@contextmanager
def starts_anew() -> Iterator[None]:
    """Say of an interrupted command that it has written nothing, since it does not resume."""
    try:
        yield
    except Interrupted as stop:
        then = "nothing was written, and the same command starts anew"
        raise Interrupted(stop.number, then) from None


def find_ending(error: BaseException) -> click.ClickException | None:
    """Convert the first error meant for the user in the chain of an exception; None for a bug."""
    shown = next((link for link in chain(error) if isinstance(link, click.ClickException)), None)
    if shown is not None and not type(shown).__module__.startswith("kedro"):
        return shown
    message = shown.message if shown else user_message(error)  # Kedro's own would add a traceback
    return click.ClickException(message) if message else None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise `Interrupted` at the first SIGINT or SIGTERM, but not inside an import, where others
    would take it for a missing library. End at once at the second one, or after CLOSING seconds.
    """
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    previous: dict[int, Any] = {number: signal.getsignal(number) for number in watched}
    ending = _Ending()
    signal.signal(signal.SIGINT, ending.begin)
    signal.signal(signal.SIGTERM, ending.begin)
    try:
        yield
    finally:
        ending.over = True
        if ending.number and is_command():  # closing the process has an end too
            left = ending.deadline - time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, max(left, AGAIN))
        else:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in previous.items():
                signal.signal(number, handler)
    if ending.number:  # it came in the last import, or somebody has caught the exception
        raise Interrupted(ending.number)


@atexit.register  # early, so that it runs after what others have registered
def _disarm() -> None:
    """Let no alarm come when Python has taken its handlers away: it would kill the process."""
    signal.setitimer(signal.ITIMER_REAL, 0)


class _Ending:
    """What happens from the first signal on."""

    def __init__(self) -> None:
        self.number = 0
        self.deadline = 0.0
        self.raised = False
        self.over = False

    def begin(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.number:
            end_now(self.number)
        self.number, self.deadline = number, time.monotonic() + CLOSING
        signal.signal(signal.SIGALRM, self.go_on)
        signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
        self.go_on(number, frame)

    def go_on(self, _: int, frame: FrameType | None) -> None:
        """Raise once that is possible; end where that is of no use."""
        if time.monotonic() > self.deadline:
            if self.over:  # and the sentence was said
                os._exit(128 + self.number)
            end_now(self.number)
        if self.over:
            return
        if not self.raised and not _importing(frame):
            self.raised = True
            raise Interrupted(self.number)


def _importing(frame: FrameType | None) -> bool:
    """Whether a frame was called by an import."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
