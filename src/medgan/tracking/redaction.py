"""Keep credentials out of messages, records and artifacts."""

from __future__ import annotations

import os
import re

HIDDEN = "***"
SHORTEST_SECRET = 6
"""A shorter value would be replaced inside ordinary words."""
_URL = re.compile(r"([A-Za-z][\w+.-]*://)([^\s\"'<>]*)")
_USER = re.compile(r"^(?:[^/]*@|[^/:]*:[^@]*@)")
_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|ACCESS_KEY|API_KEY", re.IGNORECASE)


def redact(text: str) -> str:
    """Remove user, password and query from every URL, and the secrets of environment variables."""
    if not text:  # most of what a training records has no text
        return text
    text = _URL.sub(lambda url: url[1] + re.split(r"[?#]", _USER.sub("", url[2]))[0], text)
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET:
            text = text.replace(value, HIDDEN)
    return text
