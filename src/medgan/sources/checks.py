"""Checks of configured values, each with a message for the user."""

from __future__ import annotations

from medgan.errors import UserError


def require(holds: bool, message: str) -> None:
    """Raise `UserError` with this message unless the condition holds."""
    if not holds:
        raise UserError(message)
