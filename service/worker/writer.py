"""Writes to the store in a thread of its own, one after another, while training goes on.

One thread, so that writes land in the order in which they were handed over: a resume point can
never follow the row that makes it obsolete. An error of the store ends all writing and is raised in
the thread that trains.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

log = logging.getLogger("grok")

MAX_BYTES = 512 * 2**20
"""Data that wait to be written, at most: beyond it, whoever hands over more has to wait."""


class Writer:
    """Use as a context: it is left when everything is written.

    Raises:
        whatever a write raised: from the next `submit`, `wait` or `check`, or when the context is
            left.
    """

    def __init__(self) -> None:
        # its thread is joined when the interpreter ends, so nothing handed over is dropped
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._changed = threading.Condition()
        self._left, self._bytes = 0, 0
        """Writes that were handed over and are not done, and what they keep in memory."""
        self._error: Exception | None = None

    def submit(self, write: Callable[[], None], size: int = 0) -> Future[None]:
        """Hand over a write that keeps `size` bytes in memory."""
        with self._changed:
            self._changed.wait_for(lambda: not self._bytes or self._bytes + size <= MAX_BYTES)
            self.check()
            self._left += 1
            self._bytes += size
        return self._pool.submit(self._run, write, size)

    def wait(self, seconds: float) -> bool:
        """Wait until all is written, so long at most. Returns whether it is."""
        with self._changed:
            is_written = self._changed.wait_for(lambda: not self._left, seconds)
        self.check()
        return is_written

    def check(self) -> None:
        """Raise what a write has raised."""
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        if error is None:
            self.check()
        elif self._error is not None and self._error is not error:
            log.warning("the store failed too: %s", self._error)

    def _run(self, write: Callable[[], None], size: int) -> None:
        try:
            if self._error is None:
                write()
        except Exception as error:
            self._error = error
        finally:
            with self._changed:
                self._left -= 1
                self._bytes -= size
                self._changed.notify_all()
