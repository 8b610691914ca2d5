"""Where the trials of a sweep were trained: facts of every driver, and of every import.

`origins/<sweep>/<hash>.json` is of a driver that trained here; `imports/<sweep>/<hash>.json` is of
trials that came in a bundle, with the facts of those who trained them. The name is a hash of the
content, so the same is written once and nothing is read to be written again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.store.keys import imports_prefix, origins_prefix
from service.store.store import Store, StoreError

Facts = dict[str, str]
"""What `provenance.describe` says, and the date."""


def add_driver(store: Store, sweep: str, facts: Facts) -> None:
    """Note on what trials of a sweep are trained."""
    _put(store, origins_prefix(sweep), {"trained_on": [facts]})


def add_import(
    store: Store, sweep: str, runs: Mapping[str, str], trained_on: Sequence[Facts]
) -> None:
    """Note that trials of a sweep were imported.

    Args:
        runs: trial -> its run.
    """
    _put(store, imports_prefix(sweep), {"runs": dict(runs), "trained_on": list(trained_on)})


def trained_on(store: Store, sweep: str) -> list[Facts]:
    """On what a sweep was trained, here and elsewhere, each once; none if nobody noted it.

    Raises:
        StoreError: a note is damaged.
    """
    bodies = [*_bodies(store, origins_prefix(sweep)), *_bodies(store, imports_prefix(sweep))]
    return _unique(bodies)


def trained_elsewhere(store: Store, sweep: str) -> list[Facts]:
    """On what the imported trials of a sweep were trained; likewise."""
    return _unique(_bodies(store, imports_prefix(sweep)))


def imported_runs(store: Store, sweep: str = "") -> set[tuple[str, str]]:
    """Trial and run of all that was imported, into a sweep or into any: without checkpoints."""
    prefix = imports_prefix(sweep)
    return {run for body in _bodies(store, prefix) for run in body["runs"].items()}


def words(facts: Facts) -> str:
    """The device and the commit."""
    commit, *changes = facts.get("git.commit", "unknown").partition("+")
    return f"{facts.get('device', 'an unknown device')} by {commit[:7]}{''.join(changes)}"


def _put(store: Store, prefix: str, body: Mapping[str, Any]) -> None:
    data = json.dumps(body, indent=1, sort_keys=True).encode()
    store.put(f"{prefix}/{hashlib.sha256(data).hexdigest()[:16]}.json", data)


def _bodies(store: Store, prefix: str) -> list[dict[str, Any]]:
    found = ((key, store.get_or_none(key)) for key in store.list(prefix))
    return [_parsed(data, store.uri(key)) for key, data in found if data is not None]


def _parsed(data: bytes, where: str) -> dict[str, Any]:
    try:
        body = json.loads(data)
        for facts in body["trained_on"]:
            check_facts(facts)
        check_facts(body.setdefault("runs", {}))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{where}: damaged ({type(error).__name__}: {error}); delete it"
        ) from error
    return dict(body)


def check_facts(facts: Any) -> None:
    """Raise a TypeError or an AttributeError unless it maps texts to texts."""
    if not all(isinstance(text, str) for pair in facts.items() for text in pair):
        raise TypeError("need texts")


def _unique(bodies: Iterable[Mapping[str, Any]]) -> list[Facts]:
    texts = {json.dumps(f, sort_keys=True) for body in bodies for f in body["trained_on"]}
    # by date, if they have one
    return sorted(map(json.loads, texts), key=lambda f: (f.get("date", ""), json.dumps(f)))
