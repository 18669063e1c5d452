"""Errors that a user can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator


class UserError(Exception):
    """Input or configuration that medgan will not work with.

    Its text is one sentence for the user: what is wrong, where, and what to do. It ends a command
    with exit code 1 and no traceback.
    """


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """A name that is none of the known ones, with the closest of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"use one of {', '.join(names)}."
    return UserError(f"There is no {kind} '{name}': {hint}")


def user_message(error: BaseException) -> str | None:
    """Find the sentence for the user in an exception or in those behind it; None for a bug.

    Kedro wraps what a data set raises, so the whole chain is searched.
    """
    return next(filter(None, map(_message, chain(error))), None)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Iterate over an exception and those behind it, each once."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _message(error: BaseException) -> str | None:
    if isinstance(error, UserError):
        return str(error)
    return (
        f"conf: {' '.join(str(error).split())}"
        if type(error).__name__ in _CONFIGURATION_ERRORS
        else None
    )


_CONFIGURATION_ERRORS = (
    "MissingConfigException",
    "ParserError",
    "ScannerError",
    "InterpolationResolutionError",
    "InterpolationKeyError",
    "UnsupportedInterpolationType",
)
"""What Kedro's configuration loader raises, by name, so that naming it imports nothing."""
