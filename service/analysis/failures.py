"""What could not be done: rows of `failures`, of which nearly every sweep has none.

A part is one row, named by its trial and analysis, so one listing tells which there are; only those
are deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from service.store.store import Store
from service.tables.writing import part_key, write_rows

WORKER = "worker"
"""What `failures` calls the death of the process that had the trial."""


@dataclass(frozen=True)
class Failure:
    """What to tell the user of it."""

    what: str
    reason: str
    trial_id: str = ""
    """Empty: it is of the sweep."""


class Failures:
    """Those of one sweep."""

    def __init__(self, store: Store, sweep: str) -> None:
        self.store, self.sweep = store, sweep

    @cached_property
    def _known(self) -> set[str]:
        return set(self.store.list(_key(self.sweep, "", "").rpartition("/")[0]))

    def has(self, what: str, trial_id: str) -> bool:
        return _key(self.sweep, what, trial_id) in self._known

    def write(self, what: str, trial_id: str, error: Exception) -> Failure:
        """Write a failure down, for the table."""
        message = str(error).strip() or repr(error)
        row = {
            "trial_id": trial_id,
            "analysis": what,
            "checkpoint": getattr(error, "origin", ""),
            "error": type(error).__name__,
            "message": message,
        }
        write_rows(self.store, "failures", self.sweep, [row])
        self._known.add(_key(self.sweep, what, trial_id))
        return Failure(what, message, trial_id)

    def clear(self, what: str, trial_id: str) -> None:
        """It has succeeded now."""
        if self.has(what, trial_id):
            key = _key(self.sweep, what, trial_id)
            self.store.delete(key)
            self._known.discard(key)


def lines(failures: Iterable[Failure]) -> list[str]:
    """One per trial and reason: without its snapshot a trial lacks every analysis."""
    whats: dict[tuple[str, str], list[str]] = {}
    for failure in failures:
        whats.setdefault((failure.trial_id, failure.reason), []).append(failure.what)
    return [
        f"{', '.join(names)}{f' of trial {trial_id}' if trial_id else ''}: {reason}"
        for (trial_id, reason), names in whats.items()
    ]


def _key(sweep: str, what: str, trial_id: str) -> str:
    return part_key("failures", sweep, [{"trial_id": trial_id, "analysis": what}])
