"""The tables: every column's name, type, unit, meaning and key stand here and nowhere else.

The fields of `TrialConfig` become columns of `trials` by themselves, so a new axis needs no entry.
`sweep` is the folder name of a part (Hive partition), not a column inside the files.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pyarrow as pa

from grokmodel.config import TrialConfig

SCHEMA_VERSION = 1
"""Raised when a column changes its meaning; written in every row."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """One table: its columns and the columns that identify a row."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def arrow(self) -> pa.Schema:
        """Schema of the files (without the partition column `sweep`)."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns])


_STR, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_ARROW = {"str": _STR, "int": _INT, "float": _FLOAT, "bool": _BOOL}

_ID = Column("trial_id", _STR, "hash of the trial's config and science version")
_VERSION = Column("schema_version", _INT, "version of this table's meaning")


def _config_columns() -> tuple[Column, ...]:
    fields = dataclasses.fields(TrialConfig)
    return tuple(Column(f.name, _ARROW[str(f.type)], "config: see TrialConfig") for f in fields)


TRIALS = Table(
    "trials",
    "One finished trial: its config and what it came to. Written last: a row means done.",
    key=("trial_id",),
    columns=(
        _ID,
        *_config_columns(),
        Column("steps_run", _INT, "updates made; fewer than `steps` if settled", "steps"),
        Column("phase", _STR, "confusion, memorization, grokking, comprehension or diverged"),
        Column("train_acc", _FLOAT, "last accuracy on training pairs", "share"),
        Column("val_acc", _FLOAT, "last accuracy on all held-out pairs", "share"),
        Column("val_acc_strict", _FLOAT, "the same, mirror held out as well", "share"),
        Column("train_acc_final", _FLOAT, "train_acc by `final_sample_steps` samples", "share"),
        Column("val_acc_final", _FLOAT, "val_acc by `final_sample_steps` samples", "share"),
        Column("val_acc_strict_final", _FLOAT, "strict by `final_sample_steps` samples", "share"),
        Column("train_acc_1step", _FLOAT, "train_acc by 1-step samples", "share"),
        Column("val_acc_1step", _FLOAT, "val_acc by 1-step samples", "share"),
        Column("val_acc_strict_1step", _FLOAT, "strict by 1-step samples", "share"),
        Column("train_step", _INT, "first step from which train_acc stays >= 0.95", "steps"),
        Column("val_step", _INT, "the same of val_acc", "steps"),
        Column("val_step_strict", _INT, "the same of val_acc_strict", "steps"),
        Column("tau_rule", _INT, "first step with strict accuracy >= 0.9", "steps"),
        Column("tau_mem", _INT, "first step with half the training samples copies", "steps"),
        Column("n_train", _INT, "training pairs", "pairs"),
        Column("n_val", _INT, "held-out pairs", "pairs"),
        Column("n_strict", _INT, "held-out pairs whose mirror is held out", "pairs"),
        Column("wall_s", _FLOAT, "training time that fell to this trial", "s"),
        Column("device", _STR, "device that trained it"),
        _VERSION,
    ),
)

CURVES = Table(
    "curves",
    "Every evaluation of every finished trial.",
    key=("trial_id", "step"),
    columns=(
        _ID,
        Column("step", _INT, "updates made", "steps"),
        Column("loss", _FLOAT, "mean training loss since the evaluation before"),
        Column("train_acc", _FLOAT, "accuracy on training pairs", "share"),
        Column("val_acc", _FLOAT, "accuracy on all held-out pairs", "share"),
        Column("val_acc_strict", _FLOAT, "accuracy where the mirror is held out too", "share"),
        Column("mem_share", _FLOAT, "samples that copy one training image (N > 1)", "share"),
        Column("weight_norm", _FLOAT, "Euclidean norm of all weights"),
        _VERSION,
    ),
)

SPECTRA = Table(
    "spectra",
    "Fourier share of variance explained of an activation over the (a, b) grid.",
    key=("trial_id", "step", "site", "head", "t", "frequency"),
    columns=(
        _ID,
        Column("step", _INT, "updates made", "steps"),
        Column("site", _STR, "activation site of the c-token, such as block0.ffn.post"),
        Column("head", _INT, "attention head; -1 where the site has none"),
        Column("t", _FLOAT, "noise level: 0 data, 1 noise"),
        Column("frequency", _INT, "k, in cycles per P"),
        Column("fve_a", _FLOAT, "variance explained by cos/sin(2 pi k a / P)", "share"),
        Column("fve_b", _FLOAT, "the same of b", "share"),
        Column("fve_ab", _FLOAT, "by the products of both at equal k", "share"),
        Column("fve_cross", _FLOAT, "of the whole grid, by products of unequal k", "share"),
        Column("is_key", _BOOL, "k is one of the site's key frequencies"),
        Column("entropy", _FLOAT, "FVE entropy of the site: 0 one frequency, 1 all alike", "share"),
        _VERSION,
    ),
)

TABLES = {table.name: table for table in (TRIALS, CURVES, SPECTRA)}
