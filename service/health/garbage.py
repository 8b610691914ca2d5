"""What nothing in a store refers to any more, and its removal.

Objects are listed before what refers to them is read: a sweep writes its manifest before its first
checkpoint, so whatever is in the list of a sweep that just started is referred to. Besides, nothing
younger than a day is touched, unless the user says so. A manifest or a table that cannot be read
ends it all before anything is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.store import keys
from service.store.manifest import read_manifest, sweep_names
from service.store.store import Entry, Store, StoreError
from service.tables.reading import read_table
from service.text import byte_size

OLDER_THAN_H = 24.0
EXAMPLES = 2

UNKNOWN = "checkpoints of trials that no sweep has"
RESUME = "resume points of trials that are done"
TEMPORARY = "files that a kill left half-written"
PREFLIGHT = "objects that tried the store"
OUTBOX = "notes for MLflow on sweeps that are gone"
PROGRESS = "progress of sweeps that are gone"
ORIGINS = "notes on where sweeps that are gone were trained"
FLOOR_H = {TEMPORARY: 1.0}
"""Hours within which these may still be in use, whatever the user says."""


@dataclass(frozen=True)
class Garbage:
    """Objects of one kind that can go."""

    kind: str
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)


@dataclass(frozen=True)
class References:
    """What a store is used for."""

    sweeps: frozenset[str]
    """Those with a manifest or with rows."""
    planned: frozenset[str]
    """Trials of all manifests."""
    done: frozenset[str]
    """Trials with a row."""


def find(store: Store, older_than_h: float = OLDER_THAN_H) -> list[Garbage]:
    """All that can go, by kind.

    Raises:
        StoreError, TableError: a manifest or a table cannot be read; so nothing can be told.
    """
    now = datetime.now(UTC)
    folders = ("checkpoints", "preflight", "outbox", "progress", "origins", "imports")
    listed = {folder: store.entries(folder) for folder in folders}
    hidden = [] if store.is_s3 else [e for e in store.entries("", hidden=True) if is_temporary(e)]
    refer = references(store)
    found = {
        **dict(_checkpoints(listed["checkpoints"], refer)),
        TEMPORARY: [[entry] for entry in hidden],
        PREFLIGHT: [[entry] for entry in listed["preflight"]],
        OUTBOX: [[e] for e in listed["outbox"] if _folder(e) not in refer.sweeps],
        PROGRESS: [[e] for e in listed["progress"] if _folder(e) not in refer.sweeps],
        ORIGINS: [
            [e] for e in [*listed["origins"], *listed["imports"]] if _folder(e) not in refer.sweeps
        ],
    }
    out = []
    for kind, bundles in found.items():
        before = now - timedelta(hours=max(older_than_h, FLOOR_H.get(kind, 0.0)))
        # what belongs together goes together or not at all
        old = [b for b in bundles if max(entry.modified for entry in b) <= before]
        if old:
            out.append(Garbage(kind, tuple(entry for bundle in old for entry in bundle)))
    return out


def remove(store: Store, garbage: Iterable[Garbage]) -> None:
    """Delete what was found, and the folders that it leaves empty."""
    keys = [entry.key for each in garbage for entry in each.entries]
    store.delete_all(keys)
    if store.is_s3:
        return
    for folder in sorted({key.rpartition("/")[0] for key in keys}, reverse=True):
        while folder and not store.entries(folder, hidden=True):
            store.delete_empty_folder(folder)
            folder = folder.rpartition("/")[0]


def references(store: Store) -> References:
    """Read every manifest and the done trials.

    Raises:
        StoreError, TableError: one cannot be read.
    """
    names = sweep_names(store)
    planned: set[str] = set()
    for name in names:
        manifest = read_manifest(store, name)
        if manifest is None:
            raise StoreError(f"{store.uri(keys.sweep_prefix(name))}: gone meanwhile; try again")
        planned |= manifest.trials.keys()
    rows = read_table(store, "trials", columns=["trial_id"])
    with_rows = {_folder(entry, 2) for entry in store.entries(keys.table_prefix("trials"))}
    sweeps = {*names, *(name.removeprefix("sweep=") for name in with_rows)}
    return References(frozenset(sweeps), frozenset(planned), frozenset(rows["trial_id"]))


def is_temporary(entry: Entry) -> bool:
    """`.name.<32 hex digits>`: what `Store.put` writes before it moves it to its place."""
    name = entry.key.rpartition("/")[2]
    stem, _, digits = name.rpartition(".")
    return stem.startswith(".") and len(digits) == 32 and set(digits) <= set("0123456789abcdef")


def table(garbage: Sequence[Garbage], say: Callable[[str], None]) -> None:
    """A line per kind, with examples."""
    width = max((len(each.kind) for each in garbage), default=0)
    say(f"{'what':<{width}}{'objects':>10}{'size':>11}  such as")
    for each in garbage:
        keys = ", ".join(entry.key for entry in each.entries[:EXAMPLES])
        say(f"{each.kind:<{width}}{len(each.entries):>10,}{byte_size(each.size):>11}  {keys}")


def _checkpoints(
    entries: Iterable[Entry], refer: References
) -> Iterator[tuple[str, list[list[Entry]]]]:
    """A trial that nobody knows goes with all it has; of one that is done, its resume point."""
    trials: dict[str, list[Entry]] = {}
    for entry in entries:
        trials.setdefault(_folder(entry), []).append(entry)
    unknown = trials.keys() - refer.planned - refer.done
    yield UNKNOWN, [trials[i] for i in sorted(unknown)]
    done = sorted(trials.keys() & refer.done)
    yield RESUME, [[e] for i in done for e in trials[i] if e.key == keys.state_key(i)]


def _folder(entry: Entry, level: int = 1) -> str:
    return entry.key.split("/")[level]
