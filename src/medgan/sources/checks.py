"""Checks of configured values, each with a message for the user."""

from __future__ import annotations

from collections.abc import Collection

from medgan.errors import UserError


def require(holds: bool, message: str) -> None:
    """Raise `UserError` with this message unless the condition holds."""
    if not holds:
        raise UserError(message)


def check_choice(value: str, choices: Collection[str], key: str) -> None:
    """Raise `UserError` for a value that is none of the choices."""
    message = f"{key} is `{value}`, which does not exist; choose from {', '.join(choices)}"
    require(value in choices, message)


def check_range(value: float, low: float, high: float, key: str) -> None:
    """Raise `UserError` for a value outside [low, high]."""
    require(low <= value <= high, f"{key} is {value}; give a number from {low} to {high}")
