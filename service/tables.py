"""Rows to Parquet and back. A part is one file, written whole, named by its content's keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from service.schema import SCHEMA_VERSION, TABLES, Table
from service.storage import Store, table_key

Row = Mapping[str, Any]


class TableError(RuntimeError):
    """A table cannot be written or read. Names the table, what was found and what is needed."""


def write_rows(store: Store, table_name: str, sweep: str, rows: Sequence[Row]) -> str | None:
    """Write rows as one part and return its key; no rows, no part.

    The name is a hash of the trials and steps in it: the same rows give the same file.

    Raises:
        TableError: a row has a column too few or too many, or a value of another type.
    """
    if not rows:
        return None
    table = TABLES[table_name]
    columns = {c.name for c in table.columns}
    full = [{**row, "schema_version": SCHEMA_VERSION} for row in rows]
    for row in full:
        if row.keys() != columns:
            odd = sorted(row.keys() ^ columns)
            raise TableError(f"table {table_name}: columns {odd} are missing or unknown")
    try:
        arrow = pa.Table.from_pylist(full, schema=table.arrow)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TableError(f"table {table_name}: {error}") from error
    sink = pa.BufferOutputStream()
    pq.write_table(arrow, sink)
    key = part_key(table_name, sweep, full)
    store.put(key, sink.getvalue().to_pybytes())
    return key


def part_key(table_name: str, sweep: str, rows: Sequence[Row]) -> str:
    """Store key of the part that holds just these rows, of which only the keys matter."""
    return table_key(table_name, sweep, _part_name(TABLES[table_name], rows))


def read_table(
    store: Store,
    table_name: str,
    sweep: str | None = None,
    trial_ids: Iterable[str] | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """All rows of a table, or those of one sweep or of some trials: one row a key.

    An absent table is an empty frame with its columns. A row that is older than a column has that
    column's `before`.

    Raises:
        TableError: a part cannot be read.
    """
    key = [*TABLES[table_name].key, "schema_version"]
    names = None if columns is None else list(dict.fromkeys([*columns, *key]))
    frame = _load(store, table_name, sweep, trial_ids, names).to_pandas()
    # a row that was written again under a newer schema takes the place of the old one
    newest_first = frame[key].sort_values("schema_version", ascending=False, kind="stable")
    repeated = newest_first.duplicated(key[:-1])
    if repeated.any():
        frame = frame[~repeated.sort_index()].reset_index(drop=True)
    return frame if columns is None else frame[list(columns)]


def read_rows(store: Store, table_name: str, trial_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Rows of some trials just as they were given to `write_rows`, one a key."""
    table = TABLES[table_name]
    unique: dict[tuple[Any, ...], dict[str, Any]] = {}
    found = _load(store, table_name, None, trial_ids, None).to_pylist()
    for row in sorted(found, key=lambda row: -row["schema_version"]):
        del row["sweep"], row["schema_version"]
        unique.setdefault(tuple(row[name] for name in table.key), row)
    return list(unique.values())


def _load(
    store: Store,
    table_name: str,
    sweep: str | None,
    trial_ids: Iterable[str] | None,
    columns: Sequence[str] | None,
) -> pa.Table:
    table = TABLES[table_name]
    keys = store.list(f"tables/{table_name}" + (f"/sweep={sweep}" if sweep else ""))
    paths = [store.path(key) for key in keys if key.endswith(".parquet")]
    schema = table.arrow.append(pa.field("sweep", pa.string()))
    names = list(columns or schema.names)
    if not paths:
        return schema.empty_table().select(names)
    partitions = ds.partitioning(pa.schema([("sweep", pa.string())]), flavor="hive")
    chosen = None
    if trial_ids is not None:  # typed, because an empty list has no type of its own
        chosen = ds.field("trial_id").isin(pa.array(list(trial_ids), pa.string()))
    try:
        dataset = ds.dataset(
            paths,
            schema=schema,
            format="parquet",
            filesystem=store.fs,
            partitioning=partitions,
            partition_base_dir=store.path(f"tables/{table_name}"),
        )
        return _filled(dataset.to_table(columns=names, filter=chosen), table)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise TableError(
            f"table {table_name} in {store.url}: {error}; delete a damaged part and run its sweep "
            "again"
        ) from error


def _filled(found: pa.Table, table: Table) -> pa.Table:
    """Rows that are older than a column get what it would have said of them."""
    for column in table.columns:
        if column.before is not None and column.name in found.schema.names:
            index = found.schema.get_field_index(column.name)
            values = pc.fill_null(found.column(index), column.before)
            found = found.set_column(index, column.name, values)
    return found


def done_ids(store: Store, sweep: str | None = None) -> set[str]:
    """Ids of the trials that have a row, in one sweep or in any."""
    return set(_load(store, "trials", sweep, None, ["trial_id"])["trial_id"].to_pylist())


def done_here_and_elsewhere(store: Store, sweep: str) -> tuple[set[str], set[str]]:
    """Ids of the trials that have a row in a sweep, and of those that have one in others only."""
    found = _load(store, "trials", None, None, ["trial_id", "sweep"])
    here = set(found.filter(pc.field("sweep") == sweep)["trial_id"].to_pylist())
    return here, set(found["trial_id"].to_pylist()) - here


def _part_name(table: Table, rows: Sequence[Row]) -> str:
    digest = hashlib.sha256()
    keys = sorted(tuple(str(row[name]) for name in table.key) for row in rows)
    digest.update(repr(keys).encode())
    return digest.hexdigest()[:16]
