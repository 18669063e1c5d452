"""Errors that a user can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

SHOWN = 20
"""Names that a message lists at most."""
_CONFIGURATION_ERRORS = (
    "MissingConfigException",
    "ParserError",
    "ScannerError",
    "InterpolationResolutionError",
    "InterpolationKeyError",
    "UnsupportedInterpolationType",
)
"""Errors of Kedro's configuration loader, by name to avoid importing Kedro."""


class UserError(Exception):
    """Input or configuration that medgan cannot work with.

    Its text is one sentence for the user: what is wrong, where, and what to do. A command that
    raises it ends with exit code 1 and no traceback.
    """


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Return the error for an unknown name, with the closest known one or the first few."""
    names = sorted(known)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    hint = f"use one of {', '.join(names[:SHOWN])}{more}."
    if close := difflib.get_close_matches(name, names, n=1):
        hint = f"did you mean '{close[0]}'?"
    return UserError(f"There is no {kind} '{name}': {hint}")


def user_message(error: BaseException) -> str | None:
    """Return the sentence for the user from an exception or its causes; None for a bug.

    Kedro wraps the errors of its datasets, so the whole chain is searched.
    """
    return next(filter(None, map(_message, chain(error))), None)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, each once."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _message(error: BaseException) -> str | None:
    if isinstance(error, UserError):
        return str(error)
    if type(error).__name__ in _CONFIGURATION_ERRORS:
        return f"conf: {' '.join(str(error).split())}"
    return None
