"""Damaged parts of tables: an error that names the part, or the rows that were written."""

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.settings import Settings
from service.store.store import Store
from service.tables import parquet
from service.tables.reading import read_rows, read_table
from service.tables.schema import SCHEMA_VERSION, TABLES
from service.tables.writing import TableError, write_rows
from tests.properties.strategies import ANYTHING, damages, share
from tests.service.rows import curve_row, finished_row
from tests.service.tiny import tiny_config

ROWS = {
    "curves": [curve_row("a" * 16, step, loss=1 / (1 + step)) for step in range(9)],
    "trials": [finished_row(tiny_config(seed=s)) for s in range(2)],
}
ROWS = {
    n: [
        dict.fromkeys(TABLES[n].arrow.names) | row | {"schema_version": SCHEMA_VERSION}
        for row in rows
    ]
    for n, rows in ROWS.items()
}
PARTS = {}
"""Table -> the bytes of a part with these rows."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(Settings(str(tmp_path_factory.mktemp("tables") / "store"), "", "", None))
    for name, rows in ROWS.items():
        write_rows(store, name, "whole", [{**row, "trial_id": "f" * 16} for row in rows[:1]])
        PARTS[name] = store.get(write_rows(store, name, "one", rows))
    return store


def put_alone(store, name, data):
    """As the only part of the sweep: no other table has one of its trials."""
    for table in ROWS:
        store.delete_folder(f"tables/{table}/sweep=one")
    store.put(f"tables/{name}/sweep=one/part.parquet", data)


def read(store, name):
    """What is read of the sweep `one`, by rows and by columns; None if the part is named."""
    ids = [row["trial_id"] for row in ROWS[name]]
    answers = []
    for ask in (lambda: read_rows(store, name, ids), lambda: read_table(store, name, "one")):
        try:
            answers.append(ask())
        except TableError as refusal:
            error = str(refusal)
            assert error.startswith(f"table {name}: ")
            assert f"tables/{name}/sweep=one/part.parquet: " in error
            assert error.count("\n") == 0
            answers.append(None)
    return answers


@share(3)
@given(name=st.sampled_from(list(ROWS)), damage=damages())
def test_a_damaged_part_is_named_or_what_was_written(store, name, damage):
    put_alone(store, name, damage(PARTS[name]))
    rows, frame = read(store, name)
    if rows is not None:
        assert sorted(rows, key=str) == sorted(ROWS[name], key=str)
    assert frame is None or len(frame) == len(ROWS[name])


def part_of(**columns):
    return parquet.to_bytes(pa.table(columns))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PAR1",
        b"PAR1" * 9,
        b"no Parquet at all",
        part_of(x=[1, 2]),
        part_of(trial_id=["a", None], step=[1, 2]),
        part_of(trial_id=["a"], step=["x"]),
        part_of(trial_id=[["a"]], step=[1]),
        part_of(trial_id=[{"a": 1}], step=[1]),
    ],
)
def test_a_foreign_part_is_named(store, data):
    put_alone(store, "curves", data)
    assert read(store, "curves")[1] is None


def test_a_part_without_checksums_is_read(store):
    """As it was written before there were any."""
    row = {**curve_row("a" * 16, 1), "schema_version": 1}
    table = pa.Table.from_pylist([row], schema=TABLES["curves"].arrow)
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(table, sink)
    put_alone(store, "curves", sink.getvalue().to_pybytes())
    assert len(read_table(store, "curves", "one")) == 1


# --- rows that cannot be written -----------------------------------------------------------------


@share(3)
@given(column=st.sampled_from([c.name for c in TABLES["curves"].columns]), value=ANYTHING)
@example("step", 1.5)
@example("step", 2**70)
@example("step", None)
@example("trial_id", None)
@example("trial_id", "\ud800")
@example("loss", 10**400)
def test_any_value_is_written_or_refused_with_its_table(store, column, value):
    before = store.list("tables")
    try:
        key = write_rows(store, "curves", "odd", [{**curve_row("a" * 16, 10**6), column: value}])
    except TableError as refusal:
        error = str(refusal)
        assert error.startswith("table curves: ")
        assert store.list("tables") == before
    else:
        assert len(read_table(store, "curves", "odd")) == 1
        store.delete(key)
