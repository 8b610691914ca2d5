"""Trials that another sweep has trained: what training left of them is copied, none is repeated."""

from __future__ import annotations

from service.schedule.plan import Plan
from service.store import marks
from service.store.manifest import sweep_names
from service.store.origins import add_driver, trained_on
from service.store.store import Store
from service.tables.reading import done_ids, read_rows
from service.tables.writing import write_rows


def adopt(store: Store, plan: Plan) -> None:
    """Give the sweep the rows of the trials that are known, those of `trials` last."""
    ids = [c.trial_id for c in plan.shared]
    if not ids:
        return
    trials = read_rows(store, "trials", ids)
    runs = {(row["trial_id"], row["run_id"]) for row in trials}
    curves = [r for r in read_rows(store, "curves", ids) if (r["trial_id"], r["run_id"]) in runs]
    _note_origins(store, plan.sweep, set(ids))
    marks.mark(store, plan.sweep, ids)
    write_rows(store, "samples", plan.sweep, read_rows(store, "samples", ids))
    write_rows(store, "curves", plan.sweep, curves)
    write_rows(store, "trials", plan.sweep, trials)


def _note_origins(store: Store, sweep: str, left: set[str]) -> None:
    """On what the trials were trained, by the first sweep that has them."""
    for other in sweep_names(store):
        if not left:
            return
        known = left & done_ids(store, other)
        for facts in trained_on(store, other) if known else []:
            add_driver(store, sweep, facts)
        left = left - known
