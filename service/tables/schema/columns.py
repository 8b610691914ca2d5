"""What a table is made of."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = 3
"""Raised when a column changes its meaning; written in every row."""
STR, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    source: str = ""
    """Where the number comes from, if not from the source of its table."""


@dataclass(frozen=True)
class Table:
    """One table: its columns and the columns that identify a row."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    source: str
    """Module that computes it, and where the measure comes from."""

    @property
    def arrow(self) -> pa.Schema:
        """Schema of the files (without the partition column `sweep`)."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns])


ID = Column("trial_id", STR, "hash of the trial's config and science version", "", "config.py")
VERSION = Column("schema_version", INT, "version of this table's meaning", "", "schema")
