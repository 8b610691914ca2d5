"""Merging parts loses no row and shows none twice, at any moment and wherever it is killed."""

import itertools
import random
import threading
import time

import pandas as pd
import pytest

from service.store import store as store_module
from service.store.store import Store
from service.tables import compaction, reading
from service.tables.compaction import compact
from service.tables.reading import read_table
from service.tables.writing import TableError, write_rows
from tests.service.parts import keys_of, now, parts, write_curves
from tests.service.rows import curve_row


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
    monkeypatch.setattr(compaction, "THREADS", 1)  # one operation at a time, or turns are lost
    monkeypatch.setattr(store_module, "DELETED_AT_ONCE", 1)
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
    errors, reads, merges = [], [], []

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
        stop.wait(0.02)

    def read():
        with lock:
            before = set(written)
        found = keys_of(read_table(store, "curves"))
        assert len(found) == len(set(found))
        assert before <= set(found)
        reads.append(len(found))

    def merge():
        merges.append(compact(store, ["curves"], say=str, settled_s=0.1))
        stop.wait(0.2)

    def enough():
        return len(reads) > 10 and len(merges) > 3 and max(reads) > 100

    threads = [guarded(merge), *(guarded(write) for _ in range(3)), guarded(read), guarded(read)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while not (errors or enough() or time.monotonic() > deadline):
        stop.wait(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert enough()
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
        if "curves" not in prefix:
            return real(self, prefix)
        calls.append(prefix)
        return [*real(self, prefix), stale[0].replace(".parquet", f"{len(calls)}.parquet")]

    monkeypatch.setattr(Store, "list", list_and_lose)
    monkeypatch.setattr(reading, "FIRST_PAUSE_S", 0.0)
    with pytest.raises(TableError, match="table curves"):
        read_table(store, "curves")
    assert len(calls) <= 4 * reading.LISTINGS


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
