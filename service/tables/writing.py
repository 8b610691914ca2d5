"""Rows to Parquet: checked against the schema, and written as parts.

A part is one file, written whole, named by its content's keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from grokmodel.errors import UserError
from service.store.keys import table_key
from service.store.store import Store
from service.tables import parquet
from service.tables.schema import SCHEMA_VERSION, TABLES
from service.text import one_line

Row = Mapping[str, Any]


class TableError(UserError, RuntimeError):
    """A table cannot be written or read. Names the table, what was found and what is needed."""


def write_rows(store: Store, table_name: str, sweep: str, rows: Sequence[Row]) -> str | None:
    """Write rows as one part and return its key; no rows, no part.

    The name is a hash of the trials and steps in it: the same rows give the same file. A row that
    says of which schema version it is keeps that; others are of this one.

    Raises:
        TableError: a row has a column too few or too many, a value of another type, or no key.
    """
    if not rows:
        return None
    arrow = arrow_of(table_name, rows)
    key = part_key(table_name, sweep, rows)
    store.put(key, parquet.to_bytes(arrow))
    return key


def frame_of(table_name: str, rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as they would be read back by `read_table`, but for the column `sweep`."""
    return arrow_of(table_name, rows).to_pandas()


def arrow_of(table_name: str, rows: Sequence[Row]) -> pa.Table:
    """Rows of a table, checked.

    Raises:
        TableError: see `write_rows`.
    """
    table = TABLES[table_name]
    usual = dict.fromkeys(table.optional) | {"schema_version": SCHEMA_VERSION}
    known = {c.name for c in table.columns}
    needed = known - usual.keys()
    for row in rows:
        if not needed <= row.keys() <= known:
            odd = sorted((usual.keys() | row.keys()) ^ known)
            raise TableError(f"table {table_name}: columns {odd} are missing or unknown")
    arrays = []
    for c in table.columns:
        default = usual.get(c.name)
        values = [row.get(c.name, default) for row in rows]
        try:
            if pa.types.is_integer(c.type):
                _check_whole(values)
            arrays.append(pa.array(values, c.type, from_pandas=True))  # NaN is null: not measured
        except (pa.ArrowException, OverflowError, UnicodeError, ValueError) as error:
            raise TableError(f"table {table_name}: {c.name}: {one_line(error)}") from error
    arrow = pa.Table.from_arrays(arrays, schema=table.arrow)
    for name in (*table.identity, "schema_version"):
        if arrow.column(name).null_count:
            raise TableError(f"table {table_name}: {name} is None; need a value in every row")
    return arrow


def _check_whole(values: Sequence[Any]) -> None:
    """Refuse what pyarrow would cut off behind the point."""
    for value in values:
        if isinstance(value, float) and value == value and not value.is_integer():
            raise ValueError(f"{value!r}; need a whole number")


def part_key(table_name: str, sweep: str, rows: Sequence[Row]) -> str:
    """Store key of the part that holds just these rows, of which only the keys matter."""
    identity = TABLES[table_name].identity
    keys = sorted(zip(*([str(row[name]) for row in rows] for name in identity)))
    return table_key(table_name, sweep, hashlib.sha256(repr(keys).encode()).hexdigest()[:16])
