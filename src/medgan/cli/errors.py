"""Convert expected errors to a one-line message and an exit code."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from medgan.cli.quiet import quiet
from medgan.errors import chain, user_message


class UserCommand(click.Command):
    """A command that ends with one sentence where the user can act on the error."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options."""
        with one_sentence():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with quiet(), one_sentence():
            return super().invoke(ctx)


class Interrupted(click.ClickException):
    """SIGINT or SIGTERM, as an `Exception`: Kedro does not call its hooks for KeyboardInterrupt."""

    def __init__(self, number: int, then: str = "the same command resumes") -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; {then}.")
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


def find_ending(error: BaseException) -> click.ClickException | None:
    """Convert the first error meant for the user in the chain of an exception; None for a bug."""
    shown = next((link for link in chain(error) if isinstance(link, click.ClickException)), None)
    if shown is not None and not type(shown).__module__.startswith("kedro"):
        return shown
    message = shown.message if shown else user_message(error)  # Kedro's own would add a traceback
    return click.ClickException(message) if message else None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise `Interrupted` at the first SIGINT or SIGTERM. The second one kills as usual."""
    previous: dict[int, Any] = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
    }

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def interrupt(number: int, _: FrameType | None) -> None:
        restore()
        raise Interrupted(number)

    for number in previous:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        restore()
