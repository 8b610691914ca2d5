"""MLflow calls in threads of their own: the driver hands over what is to be sent and goes on.

A server that is away costs nothing but memory for one message per trial: messages wait, a newer one
takes the place of an older one of the same trial, and are tried again ever more rarely until the
server is back. What a driver cannot send before it ends stays marked in the outbox.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from mlflow.exceptions import MlflowException

from service.settings import without_password
from service.store.store import StoreError
from service.tables.writing import TableError
from service.text import reason
from service.tracking.client import Tracking

log = logging.getLogger("grok")

Send = Callable[[Tracking], None]
"""Makes the MLflow calls of one message; safe to repeat from its start."""

FIRST_RETRY_S, LAST_RETRY_S = 1.0, 30.0
"""Seconds between tries: doubled from the first to the last."""
AWAY_AFTER = 2
"""Failures in a row after which the server counts as away: one may be a connection gone stale."""
REFUSALS = 3
"""Refusals after which a message is given up: of two that write one row at the same moment, such as
that of a data set, MLflow refuses one, and takes it the next time."""
SERVER_THREADS = 8
"""Messages at a time to a server; a database gets one: SQLite has one lock."""


class Publisher:
    """Sends messages in the background."""

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking
        self._threads = SERVER_THREADS if tracking.uri.startswith("http") else 1
        self._waiting: dict[str, Send] = {}
        self._sending: set[str] = set()
        self._refusals: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._failures = 0
        self._retry_at = 0.0
        self._closed = False
        self._started: list[threading.Thread] = []
        self._trouble_since = 0.0
        self._is_called_away = False
        self.trouble = ""
        """What the last failure said; empty while the server answers."""

    @property
    def uri(self) -> str:
        return without_password(self._tracking.uri)

    @property
    def waiting(self) -> int:
        """Messages that nobody is sending yet."""
        return len(self._waiting)

    def offer(self, key: str, send: Send) -> None:
        """Hand over the newest message about `key`; returns at once."""
        with self._changed:
            self._waiting[key] = send
            if not self._started:
                self._start()
            self._changed.notify_all()

    def drain(self, seconds: float, patience_s: float = 0.0) -> int:
        """Wait until all is sent; no longer than `seconds`, nor than `patience_s` for a server that
        does not answer. Returns how many messages are left."""
        started = time.monotonic()
        with self._changed:
            if patience_s:  # whoever waits wants to know now
                self._retry_at = 0.0
                self._changed.notify_all()
            while left := self._left():
                waited = time.monotonic() - started
                if waited >= seconds or (waited >= patience_s and self.is_away(patience_s)):
                    return left
                self._changed.wait(min(seconds - waited, 0.2))
        return 0

    def is_away(self, patience_s: float) -> bool:
        """Nothing has been answered for that long: one call that fails is no server away."""
        return bool(self.trouble) and time.monotonic() - self._trouble_since >= patience_s

    def _left(self) -> int:
        return len(self._waiting) + sum(key not in self._waiting for key in self._sending)

    def close(self) -> None:
        """Give up what waits; a call on its way is left to itself."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- in the threads --------------------------------------------------------------------------

    def _start(self) -> None:
        # daemons: a call that hangs must not keep the process
        self._started = [
            threading.Thread(target=self._run, name=f"publisher-{i}", daemon=True)
            for i in range(self._threads)
        ]
        for thread in self._started:
            thread.start()

    def _run(self) -> None:
        while (message := self._take()) is not None:
            key, send = message
            try:
                send(self._tracking)
            except Exception as error:  # whatever it is, it must not end the thread
                self._failed(key, send, error)
            else:
                self._sent(key)

    def _take(self) -> tuple[str, Send] | None:
        """The next message, when it is due; None at the end."""
        with self._changed:
            while not self._closed:
                wait_s = self._retry_at - time.monotonic()
                # a server that fails is asked by one thread only
                probing = self._failures > 0 and bool(self._sending)
                key = next((k for k in self._waiting if k not in self._sending), None)
                if key is not None and wait_s <= 0 and not probing:
                    self._sending.add(key)
                    return key, self._waiting.pop(key)
                self._changed.wait(wait_s if key is not None and wait_s > 0 else None)
        return None

    def _sent(self, key: str) -> None:
        with self._changed:
            self._sending.discard(key)
            self._refusals.pop(key, None)
            self._answered()
            self._changed.notify_all()

    def _answered(self) -> None:
        self._failures, self._retry_at, self.trouble = 0, 0.0, ""
        if self._is_called_away:
            self._is_called_away = False
            log.warning("MLflow at %s is back", self.uri)

    def _failed(self, key: str, send: Send, error: Exception) -> None:
        with self._changed:
            self._sending.discard(key)
            if self._closed:
                pass
            elif is_refusal(error):
                self._refused(key, send, f"MLflow at {self.uri} refuses {key}: {reason(error)}")
                self._answered()
            elif isinstance(error, StoreError | TableError):  # which says where, and has waited
                self._refused(key, send, f"MLflow does not get {key}: {reason(error)}")
            else:
                self._waiting.setdefault(key, send)  # unless there is a newer one
                self._back_off(error)
            self._changed.notify_all()

    def _refused(self, key: str, send: Send, said: str) -> None:
        self._refusals[key] += 1
        if self._refusals[key] < REFUSALS:
            self._waiting.setdefault(key, send)
        else:
            del self._refusals[key]
            log.warning("%s", said)

    def _back_off(self, error: Exception) -> None:
        if not self.trouble:
            self._trouble_since = time.monotonic()
        self.trouble = reason(error)
        now = time.monotonic()
        if now < self._retry_at:
            return  # another thread's call of the same moment
        self._failures += 1
        self._retry_at = now + min(FIRST_RETRY_S * 2 ** (self._failures - 1), LAST_RETRY_S)
        if self._failures >= AWAY_AFTER and not self._is_called_away:
            self._is_called_away = True
            log.warning(
                "MLflow at %s does not answer (%s); training goes on, and what it should show is "
                "sent when it is back", self.uri, self.trouble,
            )  # fmt: skip


def is_refusal(error: Exception) -> bool:
    """The server answered, and would answer the same again."""
    if not isinstance(error, MlflowException):
        return False
    status = error.get_http_status_code()
    return 400 <= status < 500 and status not in (408, 429)
