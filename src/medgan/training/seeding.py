"""Randomness as a function of names and numbers, so that any moment of a training can be repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def derived_seed(*parts: object) -> int:
    """A 63-bit seed from any printable parts; equal parts give equal seeds on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*parts: object) -> torch.Generator:
    """A CPU generator seeded from the parts."""
    return torch.Generator().manual_seed(derived_seed(*parts))


@contextmanager
def seeded(*parts: object) -> Iterator[None]:
    """Seeds the global generator, from which a network draws its initial weights; outside the block it is untouched."""
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(*parts))
        yield


def digest(value: Any) -> str:
    """16 hexadecimal digits that name a JSON-like value: the same whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
