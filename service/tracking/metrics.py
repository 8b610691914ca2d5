"""Rows of the tables as what MLflow calls metrics: curves over steps, and one number per trial.

What is one number per trial is at step 0: MLflow draws a metric whose only step that is as a bar
per run, and one with other steps as a line, of a single point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.entities import Metric

from grokmodel.core.outcome import EVALUATION_FIELDS, PHASES
from service.tables.headlines import TITLES

CURVE_METRICS = EVALUATION_FIELDS[1:]
OUTCOME_METRICS = (
    "train_step",
    "val_step",
    "val_step_strict",
    "lag",
    "tau_rule",
    "tau_mem",
    "steps_run",
    "wall_s",
    "train_acc_final",
    "val_acc_final",
    "val_acc_strict_final",
    "train_acc_1step",
    "val_acc_1step",
    "val_acc_strict_1step",
    "val_acc_heldout_final",
    "val_acc_strict_heldout_final",
)


def curve_metrics(curve: Sequence[Mapping[str, Any]], start_ms: int) -> list[Metric]:
    """Rows of the `curves` table as metrics over steps."""
    return [m for row in curve for m in _metrics(row, CURVE_METRICS, int(row["step"]), start_ms)]


def outcome_metrics(row: Mapping[str, Any], start_ms: int) -> list[Metric]:
    """A row of the `trials` table, and what is known of its analyses, as metrics without a step."""
    whole = {**row, "lag": _difference(row["val_step_strict"], row["train_step"])}
    return _metrics(whole, (*OUTCOME_METRICS, *TITLES), 0, start_ms)


def progress_metrics(phases: Mapping[str, int], total: int, start_ms: int) -> list[Metric]:
    """How far a sweep is, as metrics over the number of trials that are done.

    Args:
        phases: trials that are done, by phase.
        total: trials in all.
    """
    done = sum(phases.values())
    row: dict[str, float] = {"trials_done": done, "trials_total": total}
    if done:
        row |= {f"share_{phase}": phases.get(phase, 0) / done for phase in PHASES}
    return _metrics(row, list(row), done, start_ms)


def _difference(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else later - earlier


def _metrics(
    row: Mapping[str, Any], names: Sequence[str], step: int, start_ms: int
) -> list[Metric]:
    """What is finite of some columns; the timestamp is a function of the step, as it is a key."""
    return [
        Metric(name, float(row[name]), start_ms + step, step)
        for name in names
        if row.get(name) is not None and math.isfinite(row[name])
    ]
