"""How a command ends that does not end well: one sentence, an exit code, no traceback."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from medgan.contracts import Refusal


class Interrupted(click.ClickException):
    """SIGINT or SIGTERM. An `Exception`, unlike KeyboardInterrupt: Kedro tells its hooks of those only."""

    def __init__(self, number: int, then: str = "the same command resumes") -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; {then}.")
        self.number = number
        self.exit_code = 128 + number  # type: ignore[misc]


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns what a user can act on into a `click.ClickException`; anything else is a bug, and keeps its traceback."""
    with _interruptible():
        try:
            yield
        except Exception as error:
            ending = find_ending(error)
            if ending is None:
                raise
            raise ending from None


def find_ending(error: BaseException) -> click.ClickException | None:
    """The first of an exception and those behind it (Kedro wraps what a data set raises) that is meant for a user."""
    return next(filter(None, map(_ending, _chain(error))), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _ending(error: BaseException) -> click.ClickException | None:
    if isinstance(error, click.ClickException):
        return error
    if isinstance(error, Refusal):
        return click.ClickException(str(error))
    convert = _CONVERT.get(type(error).__name__)
    return click.ClickException(convert(error)) if convert else None


def _one_line(prefix: str) -> Callable[[BaseException], str]:
    return lambda error: f"{prefix}: {' '.join(str(error).split())}"


_CONVERT: dict[str, Callable[[BaseException], str]] = {
    "MissingConfigException": _one_line("conf"),
    "ParserError": _one_line("conf"),
    "ScannerError": _one_line("conf"),
    "InterpolationResolutionError": _one_line("conf"),
    "InterpolationKeyError": _one_line("conf"),
    "UnsupportedInterpolationType": _one_line("conf"),
}
"""What Kedro's configuration loader raises, by name, so that naming it imports nothing."""


def unknown(kind: str, name: str, known: Iterable[str]) -> click.ClickException:
    """A name that is none of the known ones, with the closest of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"use one of {', '.join(names)}."
    return click.ClickException(f"There is no {kind} '{name}': {hint}")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise `Interrupted` once; the second one kills as usual."""

    def interrupt(number: int, _: FrameType | None) -> None:
        restore()
        raise Interrupted(number)

    previous: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    for number in previous:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        restore()
