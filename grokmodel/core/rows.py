"""What is known of a member, as rows of the tables, whatever its model.

Whoever trains writes these rows, to a store or to a file that is imported later.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from grokmodel.core.member import Member
from grokmodel.core.outcome import Evaluation, outcome

Row = dict[str, Any]
T = TypeVar("T")

MAX_POINTS = 200
"""Points of a thinned curve, at most."""


@dataclass(frozen=True)
class Finished:
    """A finished member and its rows."""

    member: Member[Any]
    trial: Row
    """Of `trials`."""
    curve: list[Row]
    """Of `curves`."""
    samples: list[Row]
    """Of `samples`, at its last step."""


def trial_row(member: Member[Any], finals: Mapping[str, Any], device: str) -> Row:
    """The `trials` row of a finished member.

    Args:
        finals: what its family measures at the end, by column.
    """
    row = {
        "trial_id": member.config.trial_id,
        "run_id": run_id(member.curve),
        **member.config.to_dict(),
        **dataclasses.asdict(outcome(member.curve, member.divergence_ratio)),
        **finals,
        "wall_s": member.wall_s,
        "device": device,
    }
    return without_nan(row)


def last_accuracies(member: Member[Any]) -> Row:
    """The accuracies of the last evaluation as those at the end, where nothing is sampled anew."""
    last, names = member.curve[-1], ("train_acc", "val_acc", "val_acc_strict")
    return {f"{name}_final": getattr(last, name) for name in names}


def curve_rows(member: Member[Any]) -> list[Row]:
    """The `curves` rows of a member."""
    of = {"trial_id": member.config.trial_id, "run_id": run_id(member.curve)}
    return [without_nan({**of, **dataclasses.asdict(e)}) for e in member.curve]


def thinned(curve: Sequence[T]) -> list[T]:
    """At most MAX_POINTS rows: log-spaced, with the first and the last."""
    n = len(curve)
    if n <= MAX_POINTS:
        return list(curve)
    index = np.unique(np.geomspace(1, n, MAX_POINTS).round().astype(int) - 1)
    return [curve[i] for i in index]


def run_id(curve: Iterable[Evaluation]) -> str:
    """Which run of a trial has this curve, or begins with it. Runs that agree to the last bit, as a
    run that was resumed and one that was not, are the same; on another device, or in another pack,
    sums may be rounded otherwise."""
    seen = [(e.step, float(e.loss), float(e.weight_norm)) for e in curve]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def without_nan(row: Row) -> Row:
    """NaN becomes null: not measured. An infinite loss stays what it is."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
