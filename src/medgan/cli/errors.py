"""Convert expected errors to a one-line message and an exit code."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from medgan.errors import chain, user_message


class Interrupted(click.ClickException):
    """SIGINT or SIGTERM. An `Exception`, unlike KeyboardInterrupt: Kedro tells its hooks of those
    only.
    """

    def __init__(self, number: int, then: str = "the same command resumes") -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; {then}.")
        self.number = number
        self.exit_code = 128 + number  # type: ignore[misc]


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns what a user can act on into a `click.ClickException`; anything else is a bug, and keeps
    its traceback.
    """
    with _interruptible():
        try:
            yield
        except Exception as error:
            ending = find_ending(error)
            if ending is None:
                raise
            raise ending from None


def find_ending(error: BaseException) -> click.ClickException | None:
    """Convert the first error meant for the user in the chain of an exception; None for a bug."""
    shown = next((link for link in chain(error) if isinstance(link, click.ClickException)), None)
    message = user_message(error)
    return shown or (click.ClickException(message) if message else None)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise `Interrupted` once; the second one kills as usual."""

    def interrupt(number: int, _: FrameType | None) -> None:
        restore()
        raise Interrupted(number)

    previous: dict[int, Any] = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
    }

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    for number in previous:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        restore()
