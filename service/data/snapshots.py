"""Snapshots of a trial in the store, checked against its row."""

from __future__ import annotations

from typing import Any

from grokmodel.core.checkpoint import CheckpointError
from grokmodel.core.member import Member
from grokmodel.core.rows import run_id
from grokmodel.families import load_snapshot
from service.store import keys
from service.store.store import Store


def load(store: Store, trial_id: str, step: int, run: str) -> Member[Any]:
    """The snapshot of a trial at a step: a member with averaged weights.

    Args:
        run: id of the curve up to this step.

    Raises:
        CheckpointError: it is missing, damaged, of another version, trial or run.
    """
    key = keys.snapshot_key(trial_id, step, run)
    where, data = store.uri(key), store.get_or_none(key)
    if data is None:
        raise CheckpointError(where, "not found; need the snapshot of a finished trial")
    member = load_snapshot(data, where)
    if member.config.trial_id != trial_id:
        found = member.config.trial_id
        raise CheckpointError(where, f"is of trial {found}; need one of {trial_id}")
    if run_id(member.curve) != run:
        found = run_id(member.curve)
        raise CheckpointError(where, f"is of run {found}; need one of run {run}")
    return member


def of_run(store: Store, last: Member[Any]) -> list[tuple[int, str]]:
    """Step and run of every snapshot on the way to the last one, in the order of their steps; of
    other runs of the trial there may be more."""
    found = keys.snapshots(store, last.config.trial_id)
    begun = {s: run_id(e for e in last.curve if e.step <= s) for s, _ in found if s <= last.step}
    return [place for place in sorted(begun.items()) if place in set(found)]
