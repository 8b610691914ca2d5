"""What a check of the doctor is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from service.settings import Settings, without_password

OK, NOTE, WARNING, FAIL = "ok", "note", "warning", "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line."""

    check: str
    level: str
    """ok, note, warning or FAIL."""
    text: str
    todo: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        advice = f". {self.todo}" if self.todo else ""
        return without_password(f"{self.level:<8}{self.check:<10}{self.text}{advice}")


@dataclass(frozen=True)
class Check:
    """Something to look at."""

    name: str
    look: Callable[[Settings], Iterable[Finding]]
    limit_s: float
    """Seconds after which it counts as hanging."""
    hint: str
    """What to do if it does."""
