"""Merging parts loses no row and shows none twice, at any moment and wherever it is killed."""

import itertools
import random
import threading
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grokmodel.config import LATER_FIELDS
from service import compaction, tables
from service.compaction import COMPACTED, MANY_PARTS, compact, tidy
from service.rows import config_of
from service.schema import SCHEMA_VERSION, TABLES
from service.storage import Entry, Store, StoreError, table_key
from service.tables import TableError, part_key, read_rows, read_table, write_rows
from tests.service.rows import curve_row, finished_row
from tests.service.tiny import tiny_config


def write_curves(store, trials, sweep="one", steps=(0, 10)):
    """A part a trial, as workers write them; returns the keys of all rows."""
    for trial in trials:
        write_rows(store, "curves", sweep, [curve_row(trial, step) for step in steps])
    return {(trial, step) for trial in trials for step in steps}


def keys_of(frame):
    return list(zip(frame["trial_id"], frame["step"]))


def parts(store, table="curves"):
    return [key for key in store.list(f"tables/{table}") if key.endswith(".parquet")]


def now(store, **options):
    return compact(store, settled_s=-1.0, say=lambda line: None, **options)


def test_many_parts_become_one_with_the_same_rows(store):
    write_curves(store, [f"t{i:02}" for i in range(20)])
    write_curves(store, "xy", sweep="two")
    before = read_table(store, "curves").sort_values(["sweep", "trial_id", "step"])
    said = []
    assert compact(store, settled_s=-1.0, say=said.append) == 20
    assert len(parts(store)) == 2
    after = read_table(store, "curves").sort_values(["sweep", "trial_id", "step"])
    pd.testing.assert_frame_equal(*(f.reset_index(drop=True) for f in (before, after)))
    plain = pd.read_parquet(store.path("tables/curves"))
    assert len(plain) == len(before)
    assert said == ["curves of one: 20 parts are 1 now", "curves of two: 2 parts are 1 now"]
    assert now(store) == 0


def test_only_what_is_asked_for_is_merged(store):
    for sweep in ("one", "two"):
        write_curves(store, "abc", sweep)
        for seed in range(3):
            write_rows(store, "trials", sweep, [finished_row(tiny_config(seed=seed))])
    assert now(store, sweep="one", tables=["curves"]) == 2
    assert len(parts(store)) == 1 + 3
    assert len(parts(store, "trials")) == 6
    with pytest.raises(TableError, match="'curve'"):
        now(store, tables=["curve"])


def test_rows_that_are_there_twice_are_merged_to_one(store):
    write_rows(store, "curves", "one", [curve_row("a", 0), curve_row("b", 0)])
    write_rows(store, "curves", "one", [curve_row("b", 0), curve_row("c", 0)])
    assert len(pd.read_parquet(store.path("tables/curves"))) == 4
    now(store)
    assert sorted(pd.read_parquet(store.path("tables/curves"))["trial_id"]) == ["a", "b", "c"]


def test_a_row_of_a_newer_schema_survives_its_older_self(store, monkeypatch):
    for version in (2, 1):
        monkeypatch.setattr(tables, "SCHEMA_VERSION", version)
        more = [curve_row("a", 20)] if version == 1 else []
        rows = [curve_row("a", 10, loss=float(version)), *more]
        write_rows(store, "curves", "one", rows)
    now(store)
    file = pq.read_table(store.path(parts(store)[0]), partitioning=None).to_pylist()
    assert [(r["step"], r["schema_version"]) for r in file] == [(10, 2), (20, 1)]
    assert file[0]["loss"] == 2.0


def test_a_null_that_stands_for_what_a_later_column_was_before_stays_null(store):
    old = tiny_config(N=2, decoder_1step="decoder")
    new = tiny_config(precision="bfloat16")
    row = {**finished_row(old), "schema_version": SCHEMA_VERSION}
    schema = TABLES["trials"].arrow
    for name in LATER_FIELDS:
        del row[name]
        schema = schema.remove(schema.get_field_index(name))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([row], schema=schema), sink)
    store.put(table_key("trials", "one", "part"), sink.getvalue().to_pybytes())
    write_rows(store, "trials", "one", [finished_row(new)])
    now(store)
    (part,) = parts(store, "trials")
    assert None in pq.read_table(store.path(part), partitioning=None)["precision"].to_pylist()
    rows = read_rows(store, "trials", [old.trial_id, new.trial_id])
    assert {config_of(r) for r in rows} == {old, new}
    assert all(config_of(r).trial_id == r["trial_id"] for r in rows)


def test_parts_of_a_newer_version_and_young_ones_are_left_alone(store):
    write_curves(store, "ab")
    assert compact(store) == 0  # written this minute
    rows = pq.read_table(store.path(parts(store)[0]), partitioning=None)
    sink = pa.BufferOutputStream()
    pq.write_table(rows.append_column("brightness", pa.array([1.0] * len(rows))), sink)
    odd = table_key("curves", "one", "of-a-newer-version")
    store.put(odd, sink.getvalue().to_pybytes())
    assert now(store) == 1
    assert odd in parts(store)
    assert len(parts(store)) == 2


def test_failures_are_left_alone_so_that_each_can_be_forgiven(store):
    assert "failures" not in COMPACTED
    assert set(TABLES) - set(COMPACTED) == {"failures"}
    with pytest.raises(TableError, match="'failures'"):
        now(store, tables=["failures"])


def test_merged_parts_stay_within_the_limit(store, monkeypatch):
    monkeypatch.setattr(compaction, "MAX_ROWS", 10)
    expected = write_curves(store, [f"t{i:02}" for i in range(23)])
    now(store)
    sizes = sorted(pq.ParquetFile(store.path(key)).metadata.num_rows for key in parts(store))
    assert sizes == [6, 10, 10, 10, 10]
    assert sorted(keys_of(read_table(store, "curves"))) == sorted(expected)
    assert now(store) == 0


def test_a_damaged_part_is_named_and_nothing_is_lost(store):
    expected = write_curves(store, "abc")
    bad = table_key("curves", "one", "bad")
    store.put(bad, b"PAR1 this is not Parquet")
    with pytest.raises(TableError, match=r"bad\.parquet.*delete it"):
        now(store)
    assert tidy(store, "one", settled_s=-1.0) == 0  # not worth it, and no error
    store.delete(bad)
    assert sorted(keys_of(read_table(store, "curves"))) == sorted(expected)


def test_tidy_waits_until_it_pays(store):
    write_curves(store, [f"t{i:03}" for i in range(MANY_PARTS)])
    assert tidy(store, "one", settled_s=-1.0) == 0
    write_curves(store, ["u"])
    assert tidy(store, "one", settled_s=-1.0) == MANY_PARTS
    write_rows(store, "curves", "one", [curve_row("u", 0)])  # there twice
    assert tidy(store, "one", settled_s=-1.0) == 1


def test_tidy_never_raises_what_a_store_raises(store, caplog):
    write_curves(store, [f"t{i:03}" for i in range(MANY_PARTS + 1)])

    class Full(Store):
        def put(self, key, data):
            raise StoreError("no space left")

    store.__class__ = Full
    assert tidy(store, "one", settled_s=-1.0) == 0
    assert "table curves stay as they are: no space left" in caplog.text


# --- killed anywhere, and several at once ---------------------------------------------------------


class KilledError(BaseException):
    pass


class Mortal(Store):
    """Ends its user at its n-th operation, before or after that is done."""

    lives, after = 10**9, False

    def put(self, key, data):
        self._turn(super().put, key, data)

    def delete(self, key):
        self._turn(super().delete, key)

    def entries(self, *args, **options):
        return self._turn(super().entries, *args, **options)

    def _turn(self, call, *args, **options):
        self.lives -= 1
        if self.lives == 0 and not self.after:
            raise KilledError
        if self.lives < 0:
            raise KilledError
        found = call(*args, **options)
        if self.lives == 0:
            raise KilledError
        return found


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_operation_all_rows_are_there_and_a_rerun_finishes(
    settings, tmp_path, monkeypatch, after
):
    monkeypatch.setattr(compaction, "THREADS", 1)
    monkeypatch.setattr(compaction, "MAX_ROWS", 12)
    for turn in itertools.count(1):
        store = Mortal(type(settings)(str(tmp_path / f"{turn}"), "", "", None))
        expected = write_curves(store, "abcdefgh")
        write_rows(store, "curves", "one", [curve_row("a", 0), curve_row("b", 0)])
        store.lives, store.after = turn, after
        try:
            now(store, tables=["curves"])
        except KilledError:
            killed = True
        else:
            killed = False
        store.lives = 10**9
        assert sorted(keys_of(read_table(store, "curves"))) == sorted(expected)
        now(store, tables=["curves"])
        assert sorted(keys_of(read_table(store, "curves"))) == sorted(expected)
        assert len(parts(store)) == 2
        assert sorted(keys_of(pd.read_parquet(store.path("tables/curves")))) == sorted(expected)
        if not killed:
            break
    assert turn > 10


class Stepped(Store):
    """Puts and deletes wait for their turn."""

    def put(self, key, data):
        self.gate()
        super().put(key, data)

    def delete(self, key):
        self.gate()
        super().delete(key)


@pytest.mark.parametrize("seed", range(25))
def test_two_compactions_at_once_lose_nothing(settings, seed, monkeypatch):
    """Both have different views of the table; their operations come in a random order, and after
    each of them a reader finds every row."""
    monkeypatch.setattr(compaction, "THREADS", 1)
    rng = random.Random(seed)
    plain = Store(settings)
    expected = write_curves(plain, "abcd")
    turns, done = [threading.Semaphore(0) for _ in range(2)], threading.Semaphore(0)
    finished, errors = [False, False], []

    def work(index):
        mine = Stepped(settings)

        def gate():
            done.release()
            turns[index].acquire()

        mine.gate = gate
        gate()
        try:
            now(mine, tables=["curves"])
        except Exception as error:  # shown by the test
            errors.append(error)
        finally:
            finished[index] = True
            done.release()

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(2)]
    for thread in threads:
        thread.start()
    for _ in threads:
        done.acquire()
    try:
        late = list("efg")
        while not all(finished):
            turns[rng.choice([i for i in range(2) if not finished[i]])].release()
            done.acquire()
            found = keys_of(read_table(plain, "curves"))
            assert sorted(found) == sorted(expected)
            if late and rng.random() < 0.4:  # a worker goes on, or writes again what is there
                expected |= write_curves(plain, [late.pop()])
            if rng.random() < 0.2:
                write_curves(plain, ["a"])
    finally:  # whatever was found, nobody waits for ever
        for turn in turns:
            turn.release(1000)
        for thread in threads:
            thread.join()
    assert not errors
    now(plain, tables=["curves"])
    assert sorted(keys_of(pd.read_parquet(plain.path("tables/curves")))) == sorted(expected)


def test_readers_see_every_row_once_while_others_write_and_merge(store):
    """Three threads write, one merges all the time: what is read only ever grows."""
    written, lock, stop = set(), threading.Lock(), threading.Event()
    errors, reads = [], []

    def guarded(work):
        def run():
            try:
                while not stop.is_set():
                    work()
            except Exception as error:  # shown by the test
                errors.append(error)

        return threading.Thread(target=run)

    counter = itertools.count()

    def write():
        i = next(counter)
        keys = write_curves(store, [f"t{i:05}"])
        with lock:
            written.update(keys)
        if i % 7 == 0:
            write_curves(store, [f"t{i // 2:05}"])  # a worker that is tried again
            with lock:
                written.update({(f"t{i // 2:05}", step) for step in (0, 10)})
        stop.wait(0.002)

    def read():
        with lock:
            before = set(written)
        found = keys_of(read_table(store, "curves"))
        assert len(found) == len(set(found))
        assert before <= set(found)
        reads.append(len(found))

    def merge():
        compact(store, ["curves"], say=str, settled_s=0.1)
        stop.wait(0.2)

    threads = [guarded(merge), *(guarded(write) for _ in range(3)), guarded(read), guarded(read)]
    for thread in threads:
        thread.start()
    stop.wait(8.0)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(reads) > 10
    assert max(reads) > 100
    now(store)
    assert set(keys_of(pd.read_parquet(store.path("tables/curves")))) == written
    assert len(pd.read_parquet(store.path("tables/curves"))) == len(written)


def test_a_part_that_goes_between_listing_and_opening_is_looked_for_again(store, monkeypatch):
    expected = write_curves(store, "abc")
    stale = store.list("tables/curves")
    now(store)
    real, calls = Store.list, []

    def first_stale(self, prefix):
        calls.append(prefix)
        return stale if len(calls) <= 2 else real(self, prefix)

    monkeypatch.setattr(Store, "list", first_stale)
    assert sorted(keys_of(read_table(store, "curves"))) == sorted(expected)


def test_a_reader_does_not_look_for_ever(store, monkeypatch):
    write_curves(store, "abc")
    stale = store.list("tables/curves")
    real, calls = Store.list, []

    def list_and_lose(self, prefix):
        calls.append(prefix)
        return [*real(self, prefix), stale[0].replace(".parquet", f"{len(calls)}.parquet")]

    monkeypatch.setattr(Store, "list", list_and_lose)
    monkeypatch.setattr(tables, "FIRST_PAUSE_S", 0.0)
    with pytest.raises(TableError, match="table curves"):
        read_table(store, "curves")
    assert len(calls) <= 4 * tables.LISTINGS


def test_the_target_is_named_by_its_rows(store):
    write_curves(store, "ab", steps=(0,))
    now(store)
    rows = [{"trial_id": t, "step": 0} for t in "ab"]
    assert parts(store) == [part_key("curves", "one", rows)]


def test_the_target_stays_though_the_clock_of_the_store_is_too_coarse_to_show_its_rewrite(settings):
    class Coarse(Store):
        def entries(self, prefix, hidden=False):
            found = super().entries(prefix, hidden)
            return [Entry(e.key, e.size, datetime(2026, 1, 1, tzinfo=UTC)) for e in found]

    store = Coarse(settings)
    write_rows(store, "curves", "one", [curve_row("a", 0), curve_row("b", 0)])
    target = parts(store)
    write_rows(store, "curves", "one", [curve_row("a", 0)])
    assert now(store) == 1
    assert parts(store) == target


def test_a_part_written_again_while_it_was_merged_stays(store, monkeypatch):
    """What is in it now may be more than what was read."""
    write_curves(store, "ab")
    again = parts(store)[0]
    real = Store.put

    def put(self, key, data):
        real(self, key, data)
        if key != again:
            real(self, again, self.get(again))

    monkeypatch.setattr(Store, "put", put)
    assert now(store) == 0
    assert again in parts(store)
    assert len(parts(store)) == 2


def test_a_damaged_part_is_named_and_nothing_is_merged(store):
    write_curves(store, "abcdef")
    before = parts(store)
    data = bytearray(store.get(before[2]))
    data[40] ^= 1  # in a page: without its checksum other rows would be read, and merged
    store.put(before[2], bytes(data))
    with pytest.raises(TableError, match=before[2].rpartition("/")[2]):
        now(store)
    assert parts(store) == before
