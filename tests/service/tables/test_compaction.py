"""Many parts become few with the same rows; what is damaged, young or of a newer version stays."""

from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.store.keys import table_key
from service.store.store import Entry, Store, StoreError
from service.tables import compaction, writing
from service.tables.compaction import COMPACTED, MANY_PARTS, compact, merge_small, tidy
from service.tables.reading import read_table
from service.tables.writing import TableError, write_rows
from tests.service.parts import keys_of, now, parts, write_curves
from tests.service.rows import curve_row, finished_row
from tests.service.tiny import tiny_config


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
    for name in ("curve", "failures"):  # each of which is cleared by the name of its part
        with pytest.raises(TableError, match=f"'{name}'"):
            now(store, tables=[name])


def test_rows_that_are_there_twice_are_merged_to_one(store):
    write_rows(store, "curves", "one", [curve_row("a", 0), curve_row("b", 0)])
    write_rows(store, "curves", "one", [curve_row("b", 0), curve_row("c", 0)])
    assert len(pd.read_parquet(store.path("tables/curves"))) == 4
    now(store)
    assert sorted(pd.read_parquet(store.path("tables/curves"))["trial_id"]) == ["a", "b", "c"]


def test_a_part_that_shares_trials_with_two_groups_leaves_no_row_twice(store, monkeypatch):
    monkeypatch.setattr(compaction, "MAX_ROWS", 5)
    expected = write_curves(store, "ab", steps=range(4))
    write_rows(store, "curves", "one", [curve_row("a", 0), curve_row("b", 0)])
    now(store)
    plain = keys_of(pd.read_parquet(store.path("tables/curves")))
    assert sorted(plain) == sorted(expected)


def test_a_row_of_a_newer_schema_survives_its_older_self(store, monkeypatch):
    for version in (2, 1):
        monkeypatch.setattr(writing, "SCHEMA_VERSION", version)
        more = [curve_row("a", 20)] if version == 1 else []
        rows = [curve_row("a", 10, loss=float(version)), *more]
        write_rows(store, "curves", "one", rows)
    now(store)
    file = pq.read_table(store.path(parts(store)[0]), partitioning=None).to_pylist()
    assert [(r["step"], r["schema_version"]) for r in file] == [(10, 2), (20, 1)]
    assert file[0]["loss"] == 2.0


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


def test_merged_parts_stay_within_the_limit(store, monkeypatch):
    monkeypatch.setattr(compaction, "MAX_ROWS", 10)
    expected = write_curves(store, [f"t{i:02}" for i in range(23)])
    now(store)
    sizes = sorted(pq.ParquetFile(store.path(key)).metadata.num_rows for key in parts(store))
    assert sizes == [6, 10, 10, 10, 10]
    assert sorted(keys_of(read_table(store, "curves"))) == sorted(expected)
    assert now(store) == 0


def test_tidy_waits_until_it_pays(store):
    write_curves(store, [f"t{i:03}" for i in range(MANY_PARTS)])
    assert tidy(store, "one", settled_s=-1.0) == 0
    write_curves(store, ["u"])
    assert tidy(store, "one", settled_s=-1.0) == MANY_PARTS
    write_rows(store, "curves", "one", [curve_row("u", 0)])  # there twice
    assert tidy(store, "one", settled_s=-1.0) == 1


def test_while_a_sweep_goes_on_small_parts_are_merged_and_large_ones_are_left(store, monkeypatch):
    expected = write_curves(store, [f"t{i:03}" for i in range(MANY_PARTS)])
    assert merge_small(store, "one", settled_s=-1.0) == 0
    expected |= write_curves(store, ["u"])
    assert merge_small(store, "one") == 0  # nothing has settled
    assert merge_small(store, "one", settled_s=-1.0) == MANY_PARTS
    (large,) = parts(store)
    monkeypatch.setattr(compaction, "SMALL_BYTES", len(store.get(large)) - 1)
    expected |= write_curves(store, [f"v{i:03}" for i in range(MANY_PARTS + 1)])
    assert merge_small(store, "one", settled_s=-1.0) == MANY_PARTS
    assert large in parts(store)
    assert sorted(keys_of(read_table(store, "curves"))) == sorted(expected)


@pytest.mark.parametrize("error", [StoreError("server away"), TableError("bad"), ValueError("?")])
def test_what_goes_wrong_ends_no_sweep_and_a_store_is_not_asked_for_every_table(
    store, monkeypatch, caplog, error
):
    asked = []

    def partitions(store, table_name, sweep):
        asked.append(table_name)
        raise error

    monkeypatch.setattr(compaction, "partitions", partitions)
    for merge in (tidy, merge_small):
        asked.clear()
        assert merge(store, "one") == 0
        # the store has waited, and would for every table
        assert asked == list(COMPACTED[: 1 if isinstance(error, StoreError) else None])
    assert str(error) in caplog.text


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
