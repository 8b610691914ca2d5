"""What is done for readers while a sweep is trained, now and then and at next to no cost: its page
is drawn anew, and many small parts of its tables become few."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from grokmodel.machine import return_freed_memory
from service import page
from service.schedule.drawing import is_drawn, links, put_page
from service.schedule.progress import Watcher
from service.settings import Settings
from service.store.store import Store
from service.tables.compaction import merge_small

log = logging.getLogger("grok")

EVERY_S = 30.0
MOST_SHARE = 0.02
"""Share of a sweep's time that drawing its page may take."""


class Upkeep(Watcher):
    """Works in a thread of its own, so that Tune goes on; at most every EVERY_S. The page is drawn
    as much more rarely as that takes long; merging takes the same per row, however often it is
    done."""

    def __init__(
        self, store: Store, sweep: str, settings: Settings, state: Callable[[], str]
    ) -> None:
        self.store, self.sweep, self.settings, self.state = store, sweep, settings, state
        self._due = self._page_due = 0.0
        self._thread: threading.Thread | None = None

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        is_idle = self._thread is None or not self._thread.is_alive()
        if is_idle and time.monotonic() >= self._due:
            self._thread = threading.Thread(target=self._work, name="upkeep", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for what is being done: a later page must not be overwritten by this one."""
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        try:
            merge_small(self.store, self.sweep)
            if time.monotonic() >= self._page_due:
                started = time.thread_time()
                self._draw()
                return_freed_memory()  # a page is drawn from much, and rarely
                took = time.thread_time() - started
                self._page_due = time.monotonic() + took / MOST_SHARE
        finally:
            self._due = time.monotonic() + EVERY_S

    def _draw(self) -> None:
        try:
            where = links(self.store, self.sweep, self.settings)
            html = page.page(self.store, self.sweep, self.state(), where, with_analyses=False)
            if not is_drawn(self.store, self.sweep):  # by another driver, which has ended
                put_page(self.store, self.sweep, html)
        except Exception:  # the next one may succeed; the sweep must not wait for it
            log.warning("the page of sweep %s cannot be drawn", self.sweep, exc_info=True)
