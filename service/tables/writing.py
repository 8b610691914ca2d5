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
    columns = {c.name for c in table.columns}
    usual = dict.fromkeys(table.optional) | {"schema_version": SCHEMA_VERSION}
    full = [{**usual, **row} for row in rows]
    for row in full:
        if row.keys() != columns:
            odd = sorted(row.keys() ^ columns)
            raise TableError(f"table {table_name}: columns {odd} are missing or unknown")
    whole = [c.name for c in table.columns if pa.types.is_integer(c.type)]
    for row in full:
        for name in whole:  # pyarrow would cut off what is behind the point
            if isinstance(row[name], float) and not row[name].is_integer():
                raise TableError(f"table {table_name}: {name} = {row[name]!r}; need a whole number")
    try:
        arrow = pa.Table.from_pylist(full, schema=table.arrow)
    except (pa.ArrowException, OverflowError, UnicodeError) as error:
        raise TableError(f"table {table_name}: {one_line(error)}") from error
    for name in (*table.identity, "schema_version"):
        if arrow.column(name).null_count:
            raise TableError(f"table {table_name}: {name} is None; need a value in every row")
    return arrow


def part_key(table_name: str, sweep: str, rows: Sequence[Row]) -> str:
    """Store key of the part that holds just these rows, of which only the keys matter."""
    identity = TABLES[table_name].identity
    keys = sorted(tuple(str(row[name]) for name in identity) for row in rows)
    return table_key(table_name, sweep, hashlib.sha256(repr(keys).encode()).hexdigest()[:16])
