"""Rows of the tables as what MLflow calls metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.entities import Metric

from grokmodel.core.outcome import EVALUATION_FIELDS

CURVE_METRICS = EVALUATION_FIELDS[1:]
OUTCOME_METRICS = (
    "train_step",
    "val_step",
    "val_step_strict",
    "tau_rule",
    "tau_mem",
    "steps_run",
    "wall_s",
    "train_acc_final",
    "val_acc_final",
    "val_acc_strict_final",
    "val_acc_strict_1step",
    "val_acc_heldout_final",
    "val_acc_strict_heldout_final",
)


def curve_metrics(curve: Sequence[Mapping[str, Any]], start_ms: int) -> list[Metric]:
    """Rows of the `curves` table as metrics over steps."""
    return [m for row in curve for m in _metrics(row, CURVE_METRICS, int(row["step"]), start_ms)]


def outcome_metrics(row: Mapping[str, Any], start_ms: int) -> list[Metric]:
    """A row of the `trials` table as metrics at its last step."""
    return _metrics(row, OUTCOME_METRICS, int(row["steps_run"]), start_ms)


def _metrics(
    row: Mapping[str, Any], names: Sequence[str], step: int, start_ms: int
) -> list[Metric]:
    """What is finite of some columns; the timestamp is a function of the step, as it is a key."""
    return [
        Metric(name, float(row[name]), start_ms + step, step)
        for name in names
        if row[name] is not None and math.isfinite(row[name])
    ]
