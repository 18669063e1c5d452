"""Replace identifiers by keyed hashes."""

from __future__ import annotations

import hashlib
import os

from medgan.sources.readers.config import ReadingConfig, check_secret

VARIABLE = "MEDGAN_PSEUDONYM_KEY"


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
