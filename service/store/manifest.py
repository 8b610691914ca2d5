"""What a sweep was asked for: `sweeps/<name>/<hash of its trials>.json`, one file a wish.

A sweep that is extended has several; together they are its manifest. Nothing is read to be written
again, so drivers that start at the same time lose nothing of each other.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from grokmodel.core.config import Config
from grokmodel.errors import ConfigError
from service.store.keys import sweep_key, sweep_prefix
from service.store.store import Store, StoreError

TRIAL_ID = re.compile("[0-9a-f]{16}")
SWEEP_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_-])?")
"""What begins with '.' or '_' is hidden from Parquet readers; some file systems drop a last '.'."""
MLFLOWS_OWN = "default"
"""An experiment that MLflow makes by itself, with a place for artifacts that is none of ours."""


@dataclass(frozen=True)
class Manifest:
    """The trials of a sweep, over all its runs."""

    experiment_id: str
    """MLflow's id of the sweep."""
    trials: dict[str, dict[str, Any]]
    """Config of every trial by id."""

    def to_json(self, sweep: str) -> bytes:
        return json.dumps({"sweep": sweep, **asdict(self)}, indent=1).encode()


def read_manifest(store: Store, sweep: str) -> Manifest | None:
    """The manifest of a sweep; None if there is none.

    Raises:
        StoreError: it is damaged.
    """
    entries = sorted(store.entries(sweep_prefix(sweep)), key=lambda e: e.modified)
    found = [(e.key, store.get_or_none(e.key)) for e in entries]
    parts = [parsed(data, store.uri(key)) for key, data in found if data is not None]
    if not parts:
        return None
    trials = {trial_id: config for part in parts for trial_id, config in part.trials.items()}
    return Manifest(parts[-1].experiment_id, trials)  # of the MLflow that was used last


def write_manifest(store: Store, sweep: str, configs: Iterable[Config], experiment_id: str) -> None:
    """Add trials to the sweep's manifest."""
    manifest = Manifest(experiment_id, {c.trial_id: c.to_dict() for c in configs})
    ids = "\n".join([experiment_id, *sorted(manifest.trials)])
    name = hashlib.sha256(ids.encode()).hexdigest()[:16]
    store.put(sweep_key(sweep, name), manifest.to_json(sweep))


def sweep_names(store: Store) -> list[str]:
    """Sweeps that have a manifest."""
    keys = (key.split("/") for key in store.list("sweeps") if key.endswith(".json"))
    return sorted({names[1] for names in keys if len(names) == 3})


def check_known(store: Store, sweep: str) -> None:
    """Raise a StoreError unless the store has a sweep of this name, its manifest whole."""
    known = sweep_names(store)  # a path, such as `.`, would lead to manifests too
    if sweep not in known or read_manifest(store, sweep) is None:
        names = ", ".join(known) or "none"
        raise StoreError(f"no sweep {sweep!r} in {store.url}; known sweeps: {names}")


def checked_name(name: str, store: Store | None = None) -> str:
    """The name of a sweep, unless something may take it for another's.

    Args:
        store: where it must not differ in case only from a sweep that is there.

    Raises:
        ConfigError: it is no name.
    """
    if not SWEEP_NAME.fullmatch(name) or name.lower() == MLFLOWS_OWN:
        words = (
            "a letter, then up to 63 letters, digits, '.', '_' or '-', the last of them no '.'; "
            f"and not {MLFLOWS_OWN!r}, which is MLflow's own"
        )
        raise ConfigError("--name", name, words)
    known = sweep_names(store) if store else []
    alike = [other for other in known if other.lower() == name.lower()]
    if alike and name not in alike:
        words = f"{alike[0]!r}, a sweep that is there, or differ from it in more than upper case"
        raise ConfigError("--name", name, f"{words}, which some file systems do not tell apart")
    return name


def parsed(data: bytes, where: str) -> Manifest:
    """A part of a manifest, from its file.

    Raises:
        StoreError: it is damaged.
    """
    try:
        body = json.loads(data.decode())
        experiment_id, trials = body["experiment_id"], body["trials"]
        if not isinstance(experiment_id, str) or not isinstance(trials, dict):
            raise TypeError("experiment_id has to be a string, trials an object")
        for trial_id, config in trials.items():
            if not TRIAL_ID.fullmatch(trial_id) or not isinstance(config, dict):
                raise ValueError(f"{trial_id[:40]!r} is not the id of a trial with its config")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"[:300]  # not its repr, which may quote the file
        raise StoreError(f"{where}: damaged ({what}); delete it and run the sweep again") from error
    return Manifest(experiment_id, trials)
