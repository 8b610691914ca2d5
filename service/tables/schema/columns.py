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
    def is_by_run(self) -> bool:
        """Whether every row says of which training run it is."""
        return RUN in self.columns

    @property
    def identity(self) -> tuple[str, ...]:
        """Columns by which rows are told apart that were written at the same time."""
        return tuple(dict.fromkeys([*self.key, *([RUN.name] if self.is_by_run else [])]))

    @property
    def arrow(self) -> pa.Schema:
        """Schema of the files (without the partition column `sweep`)."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns])


ID = Column("trial_id", STR, "hash of the trial's config and science version", "", "config.py")
RUN = Column(
    "run_id",
    STR,
    "training run that the row is of, a hash of its curve: a trial that two drivers train at once "
    "may have rows of two, of which `trials` names one",
    "",
    "rows.py",
)
VERSION = Column("schema_version", INT, "version of this table's meaning", "", "schema")
