"""What could not be done: rows of `failures`, of which nearly every sweep has none.

A part is one row, named by its trial and analysis, so one listing tells which there are; only those
are deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from service.store.store import Store
from service.tables.reading import part_key, write_rows

WORKER = "worker"
"""What `failures` calls the death of the process that had the trial."""
OF_TRIAL = " of trial "


class Failures:
    """Those of one sweep."""

    def __init__(self, store: Store, sweep: str) -> None:
        self.store, self.sweep = store, sweep

    @cached_property
    def _known(self) -> set[str]:
        return set(self.store.list(_key(self.sweep, "", "").rpartition("/")[0]))

    def has(self, what: str, trial_id: str) -> bool:
        return _key(self.sweep, what, trial_id) in self._known

    def write(self, what: str, trial_id: str, error: Exception) -> str:
        """Write a failure down, for the table; returns what to say of it."""
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
        return f"{what}{OF_TRIAL}{trial_id}: {message}"

    def clear(self, what: str, trial_id: str) -> None:
        """It has succeeded now."""
        if self.has(what, trial_id):
            key = _key(self.sweep, what, trial_id)
            self.store.delete(key)
            self._known.discard(key)


def together(said: Iterable[str]) -> list[str]:
    """What was said of failures, a line per trial and reason: without its snapshot a trial lacks
    every analysis."""
    whats: dict[str, list[str]] = {}
    for line in said:
        what, _, reason = line.partition(OF_TRIAL)
        whats.setdefault(reason or line, []).append(what if reason else "")
    return [f"{', '.join(names)}{OF_TRIAL}{reason}" if names[0] else reason
            for reason, names in whats.items()]  # fmt: skip


def _key(sweep: str, what: str, trial_id: str) -> str:
    return part_key("failures", sweep, [{"trial_id": trial_id, "analysis": what}])
