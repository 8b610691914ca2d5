"""What anything refers to survives, what nothing does goes, and a killed sweep goes on."""

import os
import random
import time
import uuid
from pathlib import Path

import pytest

from service.health.garbage import (
    ORIGINS,
    OUTBOX,
    PREFLIGHT,
    PROGRESS,
    RESUME,
    TEMPORARY,
    UNKNOWN,
    find,
    remove,
)
from service.store import keys
from service.store.manifest import write_manifest
from service.store.store import Store, StoreError
from service.tables.reading import read_table
from service.tables.writing import TableError, write_rows
from service.worker.pack_run import PackJob
from tests.service.packs import run_pack
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

DAYS = 48 * 3600.0


def age(store, seconds=DAYS, keys=None):
    """Make objects that old, hidden ones too."""
    then = time.time() - seconds
    for entry in store.entries("", hidden=True):
        if keys is None or entry.key in keys:
            os.utime(store.path(entry.key), (then, then))


def kinds(found):
    return {each.kind: [entry.key for entry in each.entries] for each in found}


def hidden(store, folder, name="x.json"):
    """A file as `Store.put` leaves it when it is killed."""
    path = Path(store.path(f"{folder}/.{name}.{uuid.uuid4().hex}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    return f"{folder}/{path.name}"


def test_each_kind_is_found_and_goes_and_nothing_else(store):
    done, left, unknown = (tiny_config(seed=s) for s in range(3))
    write_manifest(store, "mine", [done, left], "1")
    write_rows(store, "trials", "mine", [finished_row(done)])
    keep = [
        *store.list(""),
        keys.snapshot_key(done.trial_id, 40, "run"),
        keys.snapshot_key(left.trial_id, 10, "run"),
        keys.state_key(left.trial_id),
        keys.outbox_key("mine", left.trial_id, "1"),
        keys.decoder_key("abc"),
        keys.progress_key("mine", "driver"),
        f"{keys.origins_prefix('mine')}/1.json",
        "mlartifacts/1/curve.png",
    ]
    go = {
        UNKNOWN: [keys.snapshot_key(unknown.trial_id, 10, "run"), keys.state_key(unknown.trial_id)],
        RESUME: [keys.state_key(done.trial_id)],
        PREFLIGHT: ["preflight/0123"],
        OUTBOX: [keys.outbox_key("gone", "a", "1")],
        PROGRESS: [keys.progress_key("gone", "driver")],
        ORIGINS: [f"{keys.origins_prefix('gone')}/1.json", f"{keys.imports_prefix('gone')}/1.json"],
    }
    for key in [*keep[len(store.list("")) :], *(k for some in go.values() for k in some)]:
        store.put(key, b"12345")
    go[TEMPORARY] = [hidden(store, "tables/trials/sweep=mine"), hidden(store, "sweeps")]
    (Path(store.url) / ".gitignore").write_text("*")
    assert find(store) == []  # all of it is young
    age(store)
    found = find(store)
    assert {k: sorted(v) for k, v in kinds(found).items()} == {k: sorted(v) for k, v in go.items()}
    assert next(each for each in found if each.kind == UNKNOWN).size == 10
    remove(store, found)
    assert sorted(e.key for e in store.entries("", hidden=True)) == sorted([*keep, ".gitignore"])
    folders = {p.name for p in Path(store.url).iterdir()}
    assert "preflight" not in folders
    assert find(store) == []


def test_half_written_files_are_in_use_for_a_while_whatever_is_asked(store):
    hidden(store, "sweeps")
    age(store, 1800)
    assert find(store, older_than_h=0.0) == []
    age(store, 2 * 3600)
    assert list(kinds(find(store, older_than_h=0.0))) == [TEMPORARY]


def test_what_belongs_together_goes_together_or_not_at_all(store):
    for step in (0, 10):
        store.put(keys.snapshot_key("nobody", step, "run"), b"x")
    age(store, keys=[keys.snapshot_key("nobody", 0, "run")])
    assert find(store) == []
    assert kinds(find(store, older_than_h=0.0))[UNKNOWN]


def test_markers_of_a_sweep_with_rows_stay_though_its_manifest_is_gone(store):
    write_rows(store, "trials", "mine", [finished_row(tiny_config())])
    store.put(keys.outbox_key("mine", "a", "1"), b"x")
    age(store)
    assert find(store) == []


def test_what_comes_while_garbage_goes_stays(store, monkeypatch):
    """Though no listing shows it yet."""
    store.put(keys.outbox_key("gone", "a", "1"), b"x")
    age(store)
    found = find(store)
    newcomer = keys.outbox_key("gone", "a", "2")
    store.put(newcomer, b"x")
    real = Store.entries

    def entries(self, prefix, hidden=False):
        return [e for e in real(self, prefix, hidden) if e.key != newcomer]

    with monkeypatch.context() as patch:
        patch.setattr(Store, "entries", entries)
        remove(store, found)
    assert store.list("") == [newcomer]


def test_what_cannot_be_read_ends_it_before_anything_is_deleted(store):
    store.put(keys.state_key("nobody"), b"x")
    store.put(keys.sweep_key("half", "1"), b'{"tri')
    age(store)
    with pytest.raises(StoreError, match=r"half/1\.json: damaged"):
        find(store)
    store.delete(keys.sweep_key("half", "1"))
    store.put(keys.table_key("trials", "mine", "bad"), b"PAR1 no")
    with pytest.raises(TableError, match="trials"):
        find(store)
    assert store.exists(keys.state_key("nobody"))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_referred_to_survives(store, seed):
    rng = random.Random(seed)
    configs = [tiny_config(seed=s) for s in range(12)]
    planned, done = set(), set()
    for sweep in ("a", "b", "c"):
        some = rng.sample(configs, rng.randrange(6))
        trained = rng.sample(some, rng.randint(0, len(some)))
        if rng.random() < 0.8:
            write_manifest(store, sweep, some, "1")
            planned |= {c.trial_id for c in some}
        write_rows(store, "trials", sweep, [finished_row(c) for c in trained])
        done |= {c.trial_id for c in trained}
    needed, young = set(store.list("")), set()
    for config in configs:
        i = config.trial_id
        steps = rng.sample(range(0, 50, 10), 3)
        snapshots = [keys.snapshot_key(i, s, "run") for s in steps]
        if i in planned | done:
            needed |= set(snapshots)
        if rng.random() < 0.6:
            snapshots.append(keys.state_key(i))
            if i in planned - done:
                needed.add(snapshots[-1])
        for key in snapshots:
            store.put(key, b"x")
        if rng.random() < 0.3:
            young.add(snapshots[-1])
    age(store, keys=set(store.list("")) - young)
    before = set(store.list(""))
    remove(store, find(store))
    after = set(store.list(""))
    assert needed | young <= after
    assert all("checkpoints/" in key for key in before - after)
    age(store)
    remove(store, find(store))
    assert set(store.list("")) == needed


class KilledError(Exception):
    pass


def test_after_it_a_killed_sweep_goes_on_where_it_was(store, settings):
    configs = [tiny_config(seed=s) for s in range(2)]
    write_manifest(store, "sweep", configs, "1")
    job = PackJob("sweep", settings, tuple(configs), 1.0)
    reports = []

    def report(progress):
        reports.append(progress.steps)
        if len(reports) == 3:
            raise KilledError

    with pytest.raises(KilledError):
        run_pack(job, report)
    store.put(keys.state_key("nobody"), b"x")
    age(store)
    found = find(store)
    assert kinds(found) == {UNKNOWN: [keys.state_key("nobody")]}
    remove(store, found)
    run_pack(job, report)
    assert reports[3] > reports[0]  # not from the start
    assert set(read_table(store, "trials")["trial_id"]) == {c.trial_id for c in configs}
    age(store)
    assert find(store) == []
