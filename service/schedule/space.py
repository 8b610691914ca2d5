"""Will what a sweep leaves fit on the disk of its store? A rough answer, before anything starts."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from functools import cache

from grokmodel.core.checkpoint import dump_snapshot, is_snapshot_step
from grokmodel.core.config import Config
from grokmodel.families import start
from service.store.store import Store, StoreError
from service.text import byte_size

log = logging.getLogger("grok")

PICTURES_BYTES = 60_000
"""Of the curve and the samples of a trial, measured."""
COPIES = 2
"""Of a trial's pictures and last snapshot: in the store, and as MLflow's artifacts in it."""


def check_space(store: Store, configs: Sequence[Config]) -> None:
    """Compare what is free with what training is going to write; warn if it may not suffice.

    Raises:
        StoreError: the last snapshots of the trials alone take more.
    """
    free = store.free_bytes()
    if free is None or not configs:
        return
    least, likely = bytes_needed(configs)
    there = f"{byte_size(free)} free in {store.url}"
    todo = "make room there: grok gc lists what can go"
    if free < least:
        raise StoreError(
            f"{there}: the {len(configs)} trials to train need {byte_size(least)} for their "
            f"results, and about {byte_size(likely)} with all that is kept of them; {todo}"
        )
    if free < likely:
        log.warning(
            "%s: the %d trials to train need about %s; %s",
            there, len(configs), byte_size(likely), todo,
        )  # fmt: skip


def bytes_needed(configs: Sequence[Config]) -> tuple[int, int]:
    """Bytes that trials leave at least, and about, if they train to the end of their budget.

    Left out are rows, which are small, analyses, and resume points, which do not stay.
    """
    of_shape: dict[Hashable, int] = {}
    least = likely = 0
    for config in configs:
        if config.shape not in of_shape:
            of_shape[config.shape] = len(dump_snapshot(start(config)))
        size = of_shape[config.shape]
        before_last = _snapshots(config.steps, config.eval_every) - 1
        least += size
        likely += before_last * size + COPIES * (size + PICTURES_BYTES)
    return least, likely


@cache
def _snapshots(steps: int, every: int) -> int:
    kept = sum(is_snapshot_step(step, every) for step in range(0, steps, every))
    return kept + 1  # the last, whenever it is
