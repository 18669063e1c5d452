"""Neutral ids in place of the names of files, folders and patients, which may name a person."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from medgan.errors import UserError
from medgan.sources.readers.config import ReadingConfig, check_secret

VARIABLE = "MEDGAN_PSEUDONYM_KEY"
PROCESS_KEY = secrets.token_hex(32)
"""The key where there is no other one: every process then has ids of its own."""
ORDER = "order"
"""Column of `rows()`: the real id, by which a manifest is sorted; it is never stored."""
DIGITS = 16  # 64 bits: no two of a million images get one id


def neutral(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """Replace the ids of images, volumes and patients by pseudonyms, and add ORDER.

    The number of a slice stays behind the id of its volume.
    """
    known = rows.assign(**{ORDER: rows["image_id"]})
    if "slice" in rows:
        numbers = ("/" + rows["slice"]).where(rows["slice"].notna(), "")
        names = pd.Series(map(str.removesuffix, rows["image_id"], numbers), rows.index)
        files = _pseudonyms(names, key, "image_id")
        known["image_id"] = files + numbers
        known["volume"] = files.where(rows["slice"].notna(), None)
    else:
        known["image_id"] = _pseudonyms(rows["image_id"], key, "image_id")
    if "group_id" in rows:
        known["group_id"] = _pseudonyms(rows["group_id"], key, "group_id")
    return known


def _pseudonyms(names: pd.Series[Any], key: str, purpose: str) -> pd.Series[Any]:
    ids = {name: pseudonym(str(name), key, purpose)[:DIGITS] for name in names.dropna().unique()}
    return names.map(ids).astype(object).where(names.notna(), None)


def stored_key(file: Path) -> str:
    """Return the key in a file of this machine; make it, for its owner alone, where it is missing.

    Raises:
        UserError: the file cannot be read or made, or holds no key.
    """
    try:
        if not file.exists():
            _make(file)
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file}, the key of the neutral image ids, cannot be read or made "
            f"({type(error).__name__}); correct that, or give a key as {VARIABLE}"
        ) from error
    check_secret(key, str(file))
    return key


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".partial")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as opened:
            opened.write(secrets.token_hex(32) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        if not file.exists():
            os.link(draft, file)  # unlike a rename, it never replaces the key of another run
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()


def secret(config: ReadingConfig) -> str | None:
    """Return the key of the configuration, or of the environment. Raises `UserError`."""
    key = config.pseudonym_key or os.environ.get(VARIABLE) or None
    if key is not None:
        check_secret(key, f"the environment variable {VARIABLE}")
    return key


def pseudonym(text: str, key: str, purpose: str) -> str:
    """Compute a keyed hash, 32 hexadecimal digits; `purpose` has at most 16 characters."""
    secret_key = hashlib.sha512(key.encode()).digest()
    data = text.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(
        data, key=secret_key, digest_size=16, person=purpose.encode()
    ).hexdigest()
