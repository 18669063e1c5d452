"""Names for patients that say nothing of them.

A plain hash of an id is none: ids are short, so trying them all finds the patient. BLAKE2 with a secret key is one, and it stays the same
in every process and every run that has the key. Without a key there are no pseudonyms, and the patient counts as unknown: a key made up
for one run would give another group to the same patient in the next.
"""

from __future__ import annotations

import hashlib
import os

from medgan.contracts import Refusal
from medgan.images.readers.config import SHORTEST_KEY, ReadingConfig

VARIABLE = "MEDGAN_PSEUDONYM_KEY"


def secret(config: ReadingConfig) -> str | None:
    """The key of the configuration, else that of the environment, else None. Raises `Refusal` for one that is too short."""
    key = config.pseudonym_key or os.environ.get(VARIABLE) or None
    if key is not None and len(key) < SHORTEST_KEY:
        raise Refusal(f"the environment variable {VARIABLE} has {len(key)} characters; give a secret of at least {SHORTEST_KEY}")
    return key


def pseudonym(text: str, key: str, kind: str) -> str:
    """32 hexadecimal digits for a text; `kind` (up to 16 letters) keeps equal texts of different meaning apart."""
    digest = hashlib.blake2b(key=hashlib.sha512(key.encode()).digest(), digest_size=16, person=kind.encode())
    digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
