"""Rows of Parquet tables read back, each once.

There are no locks: while a table is read, parts may come, and small ones may go into a large one
(`compaction`). `read_table` sees every row that was there when it began, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from service.retry import retry
from service.store.keys import table_prefix
from service.store.store import Store, StoreError
from service.tables import parquet
from service.tables.parts import ADVICE, reading
from service.tables.schema import TABLES, Table
from service.tables.writing import TableError
from service.text import one_line

LISTINGS = 10
"""Times that a reader lists a table whose parts go while it reads."""
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 5.0
"""Seconds before it lists again: doubled from the first to the last."""


def read_table(
    store: Store,
    table_name: str,
    sweep: str | None = None,
    trial_ids: Iterable[str] | None = None,
    columns: Sequence[str] | None = None,
    where: Any = None,
) -> pd.DataFrame:
    """All rows of a table, or those of one sweep, of some trials, or for which an expression of
    Arrow over columns of the key is true: one row per key.

    An absent table is an empty frame with its columns. A row that is older than a column has a null
    there. Of a trial that has rows of several runs those of the run are read that `trials` has.

    Raises:
        TableError: a part is damaged, or parts went again and again.
        StoreError: a part cannot be read.
    """
    return read_arrow(store, table_name, sweep, trial_ids, columns, where).to_pandas()


def read_arrow(
    store: Store,
    table_name: str,
    sweep: str | None = None,
    trial_ids: Iterable[str] | None = None,
    columns: Sequence[str] | None = None,
    where: Any = None,
) -> pa.Table:
    """The same before it is a frame, in which whole numbers with nulls become floats."""
    has_runs = "run_id" in TABLES[table_name].key
    runs = _runs(store, sweep, trial_ids) if has_runs else {}
    return _of_runs(runs, store, table_name, sweep, trial_ids, columns, where)


def read_tables(
    store: Store,
    table_names: Iterable[str],
    sweep: str | None = None,
    trial_ids: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
) -> dict[str, pd.DataFrame]:
    """`read_table` of several tables, for which it is looked up once of which run a trial is.

    Args:
        where: expressions of Arrow by table.
    """
    runs, where = _runs(store, sweep, trial_ids), where or {}
    return {
        name: _of_runs(runs, store, name, sweep, trial_ids, None, where.get(name)).to_pandas()
        for name in table_names
    }


def _of_runs(
    runs: Mapping[str, str],
    store: Store,
    table_name: str,
    sweep: str | None,
    trial_ids: Iterable[str] | None,
    columns: Sequence[str] | None,
    where: Any,
) -> pa.Table:
    """One row per key; of a trial those of its run, where runs tell rows apart."""
    table = TABLES[table_name]
    key = [*table.identity, "schema_version"]
    names = None if columns is None else list(dict.fromkeys([*columns, *key]))
    found = _load(store, table_name, sweep, trial_ids, names, where)
    frame = found.select(key).to_pandas()
    is_odd = outdated(frame, table)
    if "run_id" in table.key:
        its_run = frame["trial_id"].map(runs)
        is_odd |= its_run.notna() & (its_run != frame["run_id"])
    if is_odd.any():
        found = found.filter(pa.array(~is_odd))
    return found if columns is None else found.select(list(columns))


def _runs(store: Store, sweep: str | None, trial_ids: Iterable[str] | None) -> dict[str, str]:
    """The run of every trial that is done. Asked for before other tables, as it is written after
    them: so the rows of its run are there."""
    trials = read_table(store, "trials", sweep, trial_ids, ["trial_id", "run_id"])
    return dict(zip(trials["trial_id"], trials["run_id"], strict=True))


def outdated(frame: pd.DataFrame, table: Table) -> pd.Series:
    """Which rows are there again: of the newest schema the first is kept; of several runs the one
    whose id comes first, which is the same for whoever reads, merges or copies."""
    keys = frame[[*table.identity, "schema_version"]].assign(age=-frame["schema_version"])
    order = ["age"]
    if table.identity != table.key:
        order = ["age", "run_id"]
    return keys.sort_values(order, kind="stable").duplicated(list(table.key)).sort_index()


def read_rows(store: Store, table_name: str, trial_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Rows of some trials as they were given to `write_rows`, with their version; one a key, so
    those of all runs."""
    found = _load(store, table_name, None, trial_ids, None)
    return one_per_key(found, TABLES[table_name]).drop_columns("sweep").to_pylist()


def one_per_key(rows: pa.Table, table: Table) -> pa.Table:
    """Those that are not `outdated`."""
    keys = rows.select([*table.identity, "schema_version"]).to_pandas()
    return rows.filter(pa.array(~outdated(keys, table)))


def _load(
    store: Store,
    table_name: str,
    sweep: str | None,
    trial_ids: Iterable[str] | None,
    columns: Sequence[str] | None,
    where: Any = None,
) -> pa.Table:
    table = TABLES[table_name]
    schema = table.arrow.append(pa.field("sweep", pa.string()))
    names = list(columns or schema.names)
    chosen = where
    if trial_ids is not None:  # typed, because an empty list has no type of its own
        mine = ds.field("trial_id").isin(pa.array(list(trial_ids), pa.string()))
        chosen = mine if where is None else mine & where
    keys: list[str] = []

    def read() -> pa.Table:
        keys[:] = _parts(store, table_name, sweep)
        if not keys:
            return schema.empty_table().select(names)
        part = partial(_read, store, table_name, keys, names, chosen)
        found = store.retry("read", table_prefix(table_name), part, explain=False)
        if "trial_id" in found.column_names and found.column("trial_id").null_count:
            raise parquet.DamagedPartError("rows without a trial_id")
        return with_absent(found, table)

    def is_gone(error: Exception) -> bool:
        """A part that went while it was read is no error: its rows are in another."""
        return isinstance(error, OSError) and not set(keys) <= {*_parts(store, table_name, sweep)}

    try:
        return retry(read, is_gone, first_s=FIRST_PAUSE_S, last_s=LAST_PAUSE_S, tries=LISTINGS)
    except (pa.ArrowException, parquet.DamagedPartError, UnicodeError, OSError) as error:
        raise _fault(store, table_name, keys, error) from error


def with_absent(rows: pa.Table, table: Table) -> pa.Table:
    """Rows with what those that are older than a column are read to have there."""
    for column in table.columns:
        if column.absent is not None and column.name in rows.column_names:
            i, there = rows.column_names.index(column.name), rows.column(column.name)
            rows = rows.set_column(i, column.name, pc.fill_null(there, column.absent))
    return rows


def _read(
    store: Store, table_name: str, keys: Sequence[str], names: Sequence[str], chosen: Any
) -> pa.Table:
    if not store.is_s3:  # S3 has checksums of its own, and a request takes time
        for key in keys:
            parquet.check_path(store.fs, store.path(key))
    return _dataset(store, table_name, keys).to_table(columns=list(names), filter=chosen)


def _dataset(store: Store, table_name: str, keys: Sequence[str]) -> ds.Dataset:
    return ds.dataset(
        [store.path(key) for key in keys],
        schema=TABLES[table_name].arrow.append(pa.field("sweep", pa.string())),
        format=parquet.FORMAT,
        filesystem=store.fs,
        partitioning=ds.partitioning(pa.schema([("sweep", pa.string())]), flavor="hive"),
        partition_base_dir=store.path(table_prefix(table_name)),
    )


def _fault(
    store: Store, table_name: str, keys: Sequence[str], error: Exception
) -> TableError | StoreError:
    """An error that names the first of these parts that cannot be read, and says what to do."""

    def read(key: str) -> None:
        parquet.check_path(store.fs, store.path(key))
        if _dataset(store, table_name, [key]).to_table().column("trial_id").null_count:
            raise parquet.DamagedPartError("rows without a trial_id")

    for key in keys:
        try:
            reading(store, key, partial(read, key))
        except parquet.DamagedPartError as damage:
            return TableError(f"table {table_name}: {store.uri(key)}: {damage}; {ADVICE}")
        except StoreError as refusal:
            return refusal
    return TableError(
        f"table {table_name}: {one_line(error)}; the parts that are there now can be read: run the "
        "same command again"
    )


def _parts(store: Store, table_name: str, sweep: str | None) -> list[str]:
    """Keys of the parts of a table.

    A listing takes time: of rows that move meanwhile from one part to another it may show neither,
    the new part being too young and the old one gone. The new part is there before the old one
    goes, so a second listing shows it. (It could go in turn, but compaction leaves young parts
    alone.)
    """
    prefix = table_prefix(table_name, sweep)
    keys = {*store.list(prefix), *store.list(prefix)}
    return sorted(key for key in keys if key.endswith(".parquet"))


def done_ids(store: Store, sweep: str | None = None) -> set[str]:
    """Ids of the trials that have a row, in one sweep or in any."""
    return set(_load(store, "trials", sweep, None, ["trial_id"])["trial_id"].to_pylist())


def done_here_and_elsewhere(store: Store, sweep: str) -> tuple[set[str], set[str]]:
    """Ids of the trials that have a row in a sweep, and of those that have one in others only."""
    found = _load(store, "trials", None, None, ["trial_id", "sweep"])
    here = set(found.filter(pc.field("sweep") == sweep)["trial_id"].to_pylist())
    return here, set(found["trial_id"].to_pylist()) - here
