"""Marks in the store of what MLflow lacks; `outbox` sends what is marked.

Workers mark and know nothing else of MLflow, so nothing here needs it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from service.store import keys
from service.store.store import Store

SWEEP = "sweep"
"""Stands beside the ids of trials, which are hexadecimal."""


def mark(store: Store, sweep: str, names: Iterable[str]) -> None:
    """Note that MLflow lacks something of these trials, or of the sweep."""
    for name in names:
        store.put(keys.outbox_key(sweep, name, uuid.uuid4().hex), b"")


def marked(store: Store, sweep: str) -> list[str]:
    """Ids of trials of which MLflow lacks something; SWEEP among them for the sweep itself."""
    return keys.outbox_names(store, sweep)
