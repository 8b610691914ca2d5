"""What is written is read back, from pandas alone too; one row per key."""

import math

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.store.keys import table_key
from service.store.store import Store
from service.tables import writing
from service.tables.reading import done_here_and_elsewhere, done_ids, read_rows, read_table
from service.tables.schema import SCHEMA_VERSION, TABLES
from service.tables.writing import TableError, write_rows
from tests.service.parts import keys_of, now, write_curves
from tests.service.rows import curve_row, finished_row
from tests.service.tiny import tiny_config


def test_a_row_read_back_is_the_row_written(store):
    write_rows(store, "curves", "one", [curve_row("a", 10, loss=1 / 3), curve_row("a", 20)])
    frame = read_table(store, "curves", "one")
    assert list(frame["step"]) == [10, 20]
    assert frame["loss"][0] == 1 / 3
    assert math.isnan(frame["mem_share"][0])
    assert set(frame["sweep"]) == {"one"}


def test_rows_come_back_as_they_were_given(store):
    rows = [curve_row("a", 10), curve_row("b", 20, mem_share=0.25)]
    write_rows(store, "curves", "one", rows)
    write_rows(store, "curves", "two", rows)
    rows = [{**row, "schema_version": SCHEMA_VERSION} for row in rows]
    assert read_rows(store, "curves", ["a", "b"]) == rows
    assert read_rows(store, "curves", ["b"]) == rows[1:]


def test_pandas_reads_the_folder_by_itself(store):
    write_rows(store, "curves", "one", [curve_row("a", 10)])
    key = write_rows(store, "curves", "two", [curve_row("b", 10)])
    file = pq.read_table(store.path(key), partitioning=None)
    assert file.schema.equals(TABLES["curves"].arrow)
    frame = pd.read_parquet(store.path("tables/curves"))
    assert dict(zip(frame["trial_id"], frame["sweep"])) == {"a": "one", "b": "two"}


def test_writing_rows_twice_leaves_one_of_each(store):
    rows = [curve_row("a", 10), curve_row("a", 20)]
    assert write_rows(store, "curves", "one", rows) == write_rows(store, "curves", "one", rows)
    write_rows(store, "curves", "one", rows[1:])  # another part with a row that is there already
    assert len(read_table(store, "curves")) == 2


def test_a_row_counts_once_whatever_columns_are_asked_for(store):
    rows = [curve_row("a", 10, loss=0.25), curve_row("a", 20, loss=0.25)]
    write_rows(store, "curves", "one", rows)
    write_rows(store, "curves", "two", rows)
    for columns in (["loss"], ["trial_id"], ["step", "loss"], ["loss", "trial_id", "step"]):
        frame = read_table(store, "curves", columns=columns)
        assert list(frame.columns) == columns
        assert len(frame) == 2


def test_done_trials_are_told_apart_by_sweep(store):
    for sweep, ids in (("one", "ab"), ("two", "bc")):
        rows = [{**finished_row(tiny_config()), "trial_id": i} for i in ids]
        write_rows(store, "trials", sweep, rows)
    assert done_ids(store) == {"a", "b", "c"}
    assert done_ids(store, "two") == {"b", "c"}
    assert done_here_and_elsewhere(store, "one") == ({"a", "b"}, {"c"})
    assert done_here_and_elsewhere(store, "none") == (set(), {"a", "b", "c"})


def test_an_absent_table_is_empty_with_its_columns(store):
    frame = read_table(store, "trials")
    assert frame.empty
    assert {c.name for c in TABLES["trials"].columns} | {"sweep"} == set(frame.columns)
    assert done_ids(store) == set()


def test_filters_by_sweep_and_trial(store):
    write_rows(store, "curves", "one", [curve_row("a", 10), curve_row("b", 10)])
    write_rows(store, "curves", "two", [curve_row("c", 10)])
    assert set(read_table(store, "curves", "one")["trial_id"]) == {"a", "b"}
    assert set(read_table(store, "curves", trial_ids=["b", "c"])["trial_id"]) == {"b", "c"}
    assert read_table(store, "curves", trial_ids=[]).empty


def test_rows_that_move_while_their_table_is_listed_are_seen(settings, store):
    """The listing shows neither the new part, which came after it began, nor the old ones."""
    expected = write_curves(store, "abc")

    class Slow(Store):
        has_moved = False

        def list(self, prefix):
            begun = super().list(prefix)
            if "curves" in prefix and not self.has_moved:
                self.has_moved = now(store) > 0
            return [key for key in begun if self.exists(key)]

    assert sorted(keys_of(read_table(Slow(settings), "curves"))) == sorted(expected)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({**curve_row("a", 1), "odd": 1}, "odd"),
        ({k: v for k, v in curve_row("a", 1).items() if k != "loss"}, "loss"),
        (curve_row("a", 1, loss="high"), "high"),
        (curve_row("a", 1, schema_version=None), "schema_version is None"),
    ],
)
def test_a_wrong_row_is_refused_and_nothing_is_written(store, row, named):
    with pytest.raises(TableError, match=named):
        write_rows(store, "curves", "one", [row])
    assert store.list("tables") == []


def test_a_row_of_a_newer_schema_takes_the_place_of_the_old_one(store, monkeypatch):
    """Whatever the names of their parts: both orders."""
    for trial_id, versions in (("a", (2, 1)), ("b", (1, 2))):
        for version in versions:
            monkeypatch.setattr(writing, "SCHEMA_VERSION", version)
            more = [curve_row(trial_id, 20)] if version == 1 else []  # parts of other names
            rows = [curve_row(trial_id, 10, loss=float(version)), *more]
            write_rows(store, "curves", "one", rows)
    frame = read_table(store, "curves", "one").set_index(["trial_id", "step"])
    assert frame.loc[("a", 10), "loss"] == frame.loc[("b", 10), "loss"] == 2.0
    assert len(frame) == 4
    assert {r["loss"] for r in read_rows(store, "curves", ["a", "b"]) if r["step"] == 10} == {2.0}


def test_a_row_that_is_copied_keeps_its_version(store):
    """Else an old row would take the place of the new one."""
    old = {**curve_row("a", 10, loss=1.0), "schema_version": SCHEMA_VERSION - 1}
    write_rows(store, "curves", "one", [old])
    assert read_rows(store, "curves", ["a"]) == [old]
    write_rows(store, "curves", "two", [curve_row("a", 10, loss=2.0), curve_row("b", 10)])
    write_rows(store, "curves", "three", [old])
    assert read_table(store, "curves", trial_ids=["a"])["loss"].tolist() == [2.0]


def test_a_row_that_is_older_than_a_column_has_a_null_there(store):
    row = {**finished_row(tiny_config()), "schema_version": SCHEMA_VERSION}
    del row["images_hash"]
    schema = TABLES["trials"].arrow
    schema = schema.remove(schema.get_field_index("images_hash"))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([row], schema=schema), sink)
    store.put(table_key("trials", "old", "part"), sink.getvalue().to_pybytes())
    (found,) = read_table(store, "trials").to_dict("records")
    assert pd.isna(found["images_hash"])
    assert found["trial_id"] == row["trial_id"]
