"""What a table is made of."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = 4
"""Raised when a column changes its meaning; written in every row."""
STR, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
IMAGE = pa.binary()
"""S * S gray values of a byte each, row by row: 0 paper, 255 ink."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    source: str = ""
    """Where the number comes from, if not from the source of its table."""
    absent: str | None = None
    """What rows that are older than the column are read to have."""


@dataclass(frozen=True)
class Table:
    """One table: its columns and the columns that identify a row."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    source: str
    """Module that computes it, and where the measure comes from."""
    optional: frozenset[str] = frozenset()
    """Columns that a row may be written without, to have null there."""

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
STEP = Column("step", INT, "updates made by the analyzed weights", "steps")
HOOK = Column("hook", STR, "activation, such as block0.ffn.post or, of one operand, embedding[a]")
HEAD = Column("head", INT, "attention head; -1 where the hook point has none")
T = Column("t", FLOAT, "noise level: 0 data, 1 noise")
LEVEL = Column("level", INT, "Euler steps above the image", "steps")


def accuracies(when: str) -> tuple[Column, ...]:
    return (
        Column("train_acc", FLOAT, f"accuracy on training pairs {when}", "share"),
        Column("val_acc", FLOAT, f"accuracy on held-out pairs {when}", "share"),
        Column("val_acc_strict", FLOAT, f"accuracy on strict pairs {when}", "share"),
    )


def analysis(name: str, meaning: str, source: str, key: tuple[str, ...], *columns: Column) -> Table:
    """A table of one analysis: every row belongs to one checkpoint of one trial."""
    full_key = ("trial_id", "run_id", "step", *key)
    return Table(name, meaning, full_key, (ID, RUN, STEP, *columns, VERSION), source)
