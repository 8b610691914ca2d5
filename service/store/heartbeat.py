"""What a running sweep says of itself: one small object a driver, `progress/<sweep>/<driver>.json`.

A thread writes it every EVERY_S; who reads it needs the store alone. That it cannot be written is a
line in the log and disturbs nothing. The store says when it was written last, so drivers whose
clocks are wrong are told alive and dead too.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from service.store.keys import progress_key, progress_prefix
from service.store.store import Store
from service.text import one_line

log = logging.getLogger("grok")

EVERY_S = 15.0
SILENT_S = 90.0
"""Seconds without a beat after which a driver counts as dead."""
LAST_BEAT_S = 10.0
"""Seconds that the end of a sweep waits for its last beat to be written."""
STARTING, TRAINING, ANALYZING = "starting", "training", "analyzing"
ENDED, FAILED, STOPPED = "ended", "failed", "stopped"
RUNNING = (STARTING, TRAINING, ANALYZING)

Facts = Callable[[], Mapping[str, Any]]
"""Returns fields of `Beat` as they are now; called by the thread that writes."""


class StoppedError(RuntimeError):
    """The user has stopped a sweep: a heartbeat that is left by it has not failed."""


@dataclass(frozen=True)
class Beat:
    """What a driver says."""

    state: str
    """starting, training, analyzing; ended, failed, stopped."""
    host: str
    pid: int
    started: str
    """By the driver's clock, like all times here: ISO 8601, UTC."""
    written: str
    done: int = 0
    """Trials trained, or analyzed, by this run."""
    todo: int = 0
    """Trials that this run trains, or analyses, in all."""
    share: float | None = None
    """Of the steps of this run; None while nothing is measured."""
    left_s: float | None = None
    """Seconds that training takes at most."""
    packs: int = 0
    slots: int = 0
    """Packs in all, and at a time."""
    waiting: str = ""
    """What the store says of what it does not take from the packs."""
    error: str = ""
    """One line, without passwords."""

    @property
    def is_running(self) -> bool:
        return self.state in RUNNING


@dataclass(frozen=True)
class Seen:
    """A beat as it is found in the store."""

    key: str
    beat: Beat
    modified: datetime
    """By the store's clock."""

    def age_s(self, now: datetime | None = None) -> float:
        """Seconds since it was written; a clock that is behind the store's makes it 0."""
        now = now or datetime.now(UTC)
        return max(0.0, (now - self.modified).total_seconds())

    def is_alive(self, now: datetime | None = None) -> bool:
        return self.beat.is_running and self.age_s(now) < SILENT_S


class Heartbeat:
    """Use as a context around the work of a driver. How it is left says how the sweep ended.

    Left without an error, it takes away what dead drivers of the same sweep have left.
    """

    def __init__(self, store: Store, sweep: str, every_s: float = EVERY_S) -> None:
        self._store, self._sweep, self._every_s = store, sweep, every_s
        self.key = progress_key(sweep, f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}")
        self._state, self._error = STARTING, ""
        self._facts: Facts = dict
        self._said: dict[str, Any] = {}
        self._started = _now()
        self._ended = threading.Event()
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def watch(self, state: str, facts: Facts, **said: Any) -> None:
        """From now on the sweep is in this state, and `facts` tells how far; returns at once.

        Args:
            said: fields of `Beat` that stay.
        """
        self._state, self._facts = state, facts
        self._said |= said

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: Any
    ) -> None:
        if error is None:
            self._state = ENDED
        else:
            is_failure = isinstance(error, Exception) and not isinstance(error, StoppedError)
            self._state = FAILED if is_failure else STOPPED
            self._error = one_line(error)
        self._ended.set()
        self._thread.join(LAST_BEAT_S)

    def beat(self) -> Beat:
        """What would be written now."""
        try:
            facts = dict(self._facts())
        except Exception as error:  # numbers that change while they are read: next time
            log.debug("no facts for the heartbeat: %r", error)
            facts = {}
        return Beat(
            state=self._state,
            host=socket.gethostname(),
            pid=os.getpid(),
            started=self._started,
            written=_now(),
            error=self._error,
            **(self._said | facts),
        )

    # --- in the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended.is_set():
            self._write()
            self._ended.wait(self._every_s)
        if self._write() and self._state == ENDED:
            self._clear()

    def _write(self) -> bool:
        try:
            self._store.put(self.key, json.dumps(asdict(self.beat())).encode())
        except Exception as error:
            if not self._is_failing:
                log.warning(
                    "`grok status` does not see this sweep: its heartbeat cannot be written (%s)",
                    one_line(error),
                )
            self._is_failing = True
            return False
        self._is_failing = False
        return True

    def _clear(self) -> None:
        """Only what runs, and this, the last that ended, stay."""
        try:
            found = heartbeats(self._store, self._sweep)
            mine = [seen for seen in found if seen.key == self.key]
            for seen in found if mine else []:
                # by the store's clock on both sides; of two that end at once the last stays
                if seen.modified < mine[0].modified and not seen.is_alive(mine[0].modified):
                    self._store.delete(seen.key)
        except Exception as error:
            log.debug("old heartbeats stay: %s", one_line(error))


def heartbeats(store: Store, sweep: str) -> list[Seen]:
    """What drivers of a sweep have said, the newest first; what cannot be read is left out."""
    found = []
    for entry in store.entries(progress_prefix(sweep)):
        beat = _parsed(store.get_or_none(entry.key))
        if beat is not None:
            found.append(Seen(entry.key, beat, entry.modified))
    return sorted(found, key=lambda seen: seen.modified, reverse=True)


def _parsed(data: bytes | None) -> Beat | None:
    """None if it is gone, damaged or of another version."""
    if data is None:
        return None
    try:
        known = {f.name for f in fields(Beat)}
        beat = Beat(**{name: value for name, value in json.loads(data).items() if name in known})
        datetime.fromisoformat(beat.started)
        return beat
    except (ValueError, TypeError, AttributeError):
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
