"""What a sweep was asked for: one JSON file a sweep, `sweeps/<name>.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from service.plan import Plan
from service.storage import Store, StoreError, sweep_key


@dataclass(frozen=True)
class Manifest:
    """The trials of a sweep, over all its runs."""

    experiment_id: str
    """MLflow's id of the sweep."""
    trials: dict[str, dict[str, Any]]
    """Config of every trial by id."""


def read_manifest(store: Store, sweep: str) -> Manifest | None:
    """The manifest of a sweep; None if there is none.

    Raises:
        StoreError: it is damaged.
    """
    data = store.get_or_none(sweep_key(sweep))
    if data is None:
        return None
    try:
        body = json.loads(data)
        return Manifest(str(body["experiment_id"]), dict(body["trials"]))
    except (ValueError, KeyError, TypeError) as error:
        where = store.uri(sweep_key(sweep))
        raise StoreError(
            f"{where}: damaged ({error!r}); delete it and run the sweep again"
        ) from error


def write_manifest(store: Store, plan: Plan, experiment_id: str) -> bytes:
    """Add the trials of a plan to the sweep's manifest; returns what was written."""
    before = read_manifest(store, plan.sweep)
    body = {
        "sweep": plan.sweep,
        "experiment_id": experiment_id,
        "trials": (before.trials if before else {})
        | {c.trial_id: c.to_dict() for c in plan.configs},
        "packs": [[c.trial_id for c in pack] for pack in plan.packs],
    }
    data = json.dumps(body, indent=1).encode()
    store.put(sweep_key(plan.sweep), data)
    return data
