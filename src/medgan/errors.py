"""Errors that a user can act on."""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable, Iterator, Mapping

SHOWN = 20
"""Names that a message lists at most."""
CLOSE = 3
"""Names in other namespaces that a message lists at most."""
_CONFIGURATION_ERRORS = (
    "MissingConfigException",
    "ParserError",
    "ScannerError",
    "InterpolationResolutionError",
    "InterpolationKeyError",
    "UnsupportedInterpolationType",
)
"""Errors of Kedro's configuration loader, by name to avoid importing Kedro."""
_CONFIGURATION_PACKAGES = frozenset({"kedro", "omegaconf", "yaml"})
_SPACE = "free some space, then run the same command again"
_ACCESS = "give yourself access, then run the same command again"
_DEVICE = "check the disk, then run the same command again"
_DISK_ERRORS: Mapping[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", _SPACE),
    errno.EDQUOT: ("the disk quota is used up", _SPACE),
    errno.EFBIG: ("the file would be larger than is allowed here", _SPACE),
    errno.EIO: ("the disk reports an error", _DEVICE),
    errno.ESTALE: ("the network disk has lost the file", _DEVICE),
    errno.EROFS: ("the disk is read-only", _ACCESS),
    errno.EACCES: ("access is denied", _ACCESS),
    errno.ENOTDIR: ("a file is where a folder is needed", "choose another path, or move the file"),
    errno.EPERM: ("access is denied", _ACCESS),
    errno.EMFILE: ("too many files are open", "raise the limit with `ulimit -n`"),
    errno.ENAMETOOLONG: ("the name is too long", "use a folder with a shorter name"),
}
"""Error number -> what is wrong, and what to do."""
_SQLITE_ERRORS = {
    "SQLITE_FULL": errno.ENOSPC,
    "SQLITE_IOERR": errno.EIO,
    "SQLITE_READONLY": errno.EROFS,
    "SQLITE_CANTOPEN": errno.EACCES,
}
_RUST_ERROR = re.compile(r"\(os error (\d+)\)")


class UserError(Exception):
    """Input or configuration that medgan cannot work with.

    Its text is one sentence for the user: what is wrong, where, and what to do. A command that
    raises it ends with exit code 1 and no traceback.
    """


class ModelLeftOut(UserError):
    """A model lacks what it is made from; it is left out, and the run goes on."""


class NotEnoughData(ModelLeftOut):
    """The data set lacks what a model learns from."""


class MissingWeights(ModelLeftOut):
    """The pretrained weights that a model needs are not on this machine."""


def require(holds: bool, message: str) -> None:
    """Raise `UserError` with this message unless the condition holds."""
    if not holds:
        raise UserError(message)


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Return the error for an unknown name, with the closest known one or the first few."""
    names = sorted(known)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    hint = f"use one of {', '.join(names[:SHOWN])}{more}."
    if close := closest(name, names):
        hint = "did you mean " + " or ".join(f"'{one}'" for one in close) + "?"
    return UserError(f"There is no {kind} '{name}': {hint}")


def closest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that are closest: in another case, within a namespace (`train` for
    `dcgan.train`), or of few other letters; none if no name is close.
    """
    names = {one.casefold(): one for one in sorted(known)}
    wanted = name.casefold()
    if wanted in names:
        return [names[wanted]]
    within = [one for folded, one in names.items() if folded.endswith(f".{wanted}")]
    near = difflib.get_close_matches(wanted, names, n=1)
    return within[:CLOSE] or [names[one] for one in near]


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
    kind = type(error)
    package = kind.__module__.partition(".")[0]
    if kind.__name__ in _CONFIGURATION_ERRORS and package in _CONFIGURATION_PACKAGES:
        return f"conf: {' '.join(str(error).split())}"
    found = _DISK_ERRORS.get(disk_error(error) or 0)
    if found is None:
        return None
    problem, remedy = found
    where = getattr(error, "filename", None)
    return f"{where}: {problem}; {remedy}." if where else f"{problem.capitalize()}: {remedy}."


def disk_error(error: BaseException) -> int | None:
    """Return the number of an error of the disk, as the system, SQLite or a Rust library has it."""
    if isinstance(error, OSError):
        return error.errno
    name = getattr(error, "sqlite_errorname", None) or ""
    if sqlite := next((one for one in _SQLITE_ERRORS if name.startswith(one)), None):
        return _SQLITE_ERRORS[sqlite]
    rust = _RUST_ERROR.search(str(error)) if type(error).__name__ == "SafetensorError" else None
    return int(rust[1]) if rust else None
