"""Where a source says its data are."""

from __future__ import annotations

from pathlib import Path

from medgan.contracts import Refusal


def given_path(path: str | None, what: str) -> Path:
    """The existing file or folder that a user named, relative to the working directory. Raises `Refusal`."""
    if not path:
        raise Refusal(f"no path was given to {what}; say where the data is with --params source=PATH")
    found = Path(path).expanduser()
    if not found.exists():
        raise Refusal(f"{found} does not exist; give the path to {what} with --params source=PATH, relative to the working directory")
    return found.resolve()
