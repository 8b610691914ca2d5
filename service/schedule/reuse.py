"""Trials that another sweep has trained: what training left of them is copied, none is repeated."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from service.schedule.plan import Plan
from service.store.keys import trial_figure_key
from service.store.manifest import sweep_names
from service.store.origins import add_driver, trained_on
from service.store.store import Store
from service.tables.reading import done_ids, read_rows, write_rows
from service.tracking import marks
from service.worker.recorder import PICTURES

AT_ONCE = 8
"""Trials of which pictures are copied at a time: in S3 an object takes long, whatever its size."""


def adopt(store: Store, plan: Plan) -> None:
    """Give the sweep the pictures and rows of the trials that are known; the rows come last."""
    ids = [c.trial_id for c in plan.shared]
    trials = read_rows(store, "trials", ids)
    runs = {(row["trial_id"], row["run_id"]) for row in trials}
    curves = [r for r in read_rows(store, "curves", ids) if (r["trial_id"], r["run_id"]) in runs]
    _copy_pictures(store, plan.sweep, ids)
    marks.mark(store, plan.sweep, ids)
    write_rows(store, "curves", plan.sweep, curves)
    write_rows(store, "trials", plan.sweep, trials)


def _copy_pictures(store: Store, sweep: str, ids: Collection[str]) -> None:
    """From the first sweep that has all of a trial: one that adopted it itself may have none. With
    them goes on what they were trained."""
    left = set(ids)
    for other in sweep_names(store):
        if not left:
            return
        known = sorted(left & done_ids(store, other))
        for facts in trained_on(store, other) if known else []:
            add_driver(store, sweep, facts)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            is_copied = list(pool.map(partial(_copy, store, other, sweep), known))
        left -= {trial_id for trial_id, is_whole in zip(known, is_copied) if is_whole}


def _copy(store: Store, other: str, sweep: str, trial_id: str) -> bool:
    """Copy the pictures of a trial that are there; are they all?"""
    found = [store.get_or_none(trial_figure_key(other, trial_id, name)) for name in PICTURES]
    for name, data in zip(PICTURES, found):
        if data is not None:
            store.put(trial_figure_key(sweep, trial_id, name), data)
    return None not in found
