"""What became of a damaged or interrupted file, in one word."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from medgan.cli.errors import find_ending
from medgan.datasets.tables import StoredFacts
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.training.checkpoints import CheckpointFolder

REFUSED, MADE_AGAIN, UNCHANGED = "refused", "made again", "unchanged"
SILENT, TRACEBACK = "silent", "traceback"
BAD = (SILENT, TRACEBACK)


def fingerprint(value: Any) -> str:
    """A digest of everything that a data set has loaded."""
    found = hashlib.sha256()
    for piece in _pieces(value):
        found.update(piece)
    return found.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield str(key).encode()
            yield from _pieces(value[key])
        return
    read = next((read for kind, read in READ.items() if isinstance(value, kind)), None)
    if read is not None:
        yield from _pieces(read(value)) if read is not bytes else [value]
    elif is_dataclass(value):
        for field in fields(value):
            yield from _pieces(getattr(value, field.name))
    else:
        yield repr(value).encode()


def _states(folder: CheckpointFolder) -> dict[str, Any]:
    keys = [path.name for path in folder.root.glob("*/") if path.is_dir()]
    found = {key: folder.latest(key) for key in keys}
    return {key: vars(state) for key, state in found.items() if state is not None}


def _entries(facts: StoredFacts) -> list[tuple[str, str]]:
    if not facts.path.exists():
        return []
    with closing(sqlite3.connect(facts.path)) as connection:
        return sorted(facts.rows(connection))


READ: Mapping[type, Callable[[Any], Any]] = {
    bytes: bytes,
    pd.DataFrame: lambda table: table.to_csv().encode(),
    np.ndarray: lambda array: f"{array.dtype} {array.shape}".encode() + array.tobytes(),
    torch.Tensor: lambda tensor: tensor.numpy(),
    ImageStore: lambda store: (
        repr(store.info).encode() + store.read(np.arange(len(store))).tobytes()
    ),
    StoredFacts: lambda facts: repr(_entries(facts)).encode(),
    CheckpointFolder: _states,
    PublishedModel: lambda model: repr((model.name, model.key, model.spec, model.card)).encode(),
    Figure: lambda _: b"a figure",
}
"""How the content of what is no dataclass is read."""


@contextmanager
def warnings_logged() -> Iterator[list[str]]:
    """The messages that are logged as warnings inside the block."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("medgan")
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


def outcome(load: Callable[[], Any], good: str, names: tuple[str, ...]) -> tuple[str, str]:
    """Load something that may be damaged; `good` is the fingerprint of what it was.

    A refusal, and a warning, have to have one of the names: of the file, or of its folder.
    """
    with warnings_logged() as messages:
        try:
            found = fingerprint(load())
        except Exception as error:
            ending = find_ending(error)
            if ending is None:
                return TRACEBACK, f"{type(error).__name__}: {error}"
            named = any(name in ending.message for name in names)
            return (REFUSED if named else SILENT), ending.message
    if any(name in message for message in messages for name in names):
        return MADE_AGAIN, messages[0]
    return (UNCHANGED, "") if found == good else (SILENT, "another value, and no word")
