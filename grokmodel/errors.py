"""Errors that a user can fix: their message says what was wrong, its value and what would be right.

Commands show them as one line, without a traceback.
"""

from __future__ import annotations

MOST_SHOWN = 200
"""Characters of a value in a message."""


class UserError(Exception):
    """An error whose message is meant for the user."""


class ConfigError(UserError, ValueError):
    """A config field has a value that it cannot have. Names field, value and what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field} = {shown(value)} is not allowed: it must be {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, object, str]]:
        return type(self), (self.field, self.value, self.allowed)


class DataError(UserError, ValueError):
    """A data file is missing, damaged or too small. Names the file, what was found and needed."""


def shown(value: object) -> str:
    """A value as a message shows it: one line, not too long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no int of more than 4,300 digits
        text = f"an int of {int.bit_length(value)} bits" if isinstance(value, int) else "?"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
