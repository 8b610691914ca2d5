"""Which trial stands for its phase: the one in the middle, not the one that did best."""

from __future__ import annotations

import pandas as pd

from grokmodel.core.outcome import (
    COMPREHENSION,
    CONFUSION,
    DIVERGED,
    GROKKING,
    MEMORIZATION,
    PHASES,
)

MEASURES = {
    CONFUSION: ("train_acc", "accuracy on training pairs"),
    MEMORIZATION: ("val_acc_strict", "accuracy on strict pairs"),
    GROKKING: ("val_step_strict", "step at which strict pairs were learned"),
    COMPREHENSION: ("val_step_strict", "step at which strict pairs were learned"),
    DIVERGED: ("train_acc", "accuracy on training pairs"),
}
"""Phase -> the column of `trials` in whose middle its typical trial is, and what that is called:
what the phase leaves open."""


def representatives(trials: pd.DataFrame) -> list[str]:
    """Ids of one typical trial of each phase, in the order of PHASES.

    It is the median of its phase by MEASURES, the lower of two in the middle; equals are in the
    order of their ids. Trials in which that was not measured stand for none, unless it was in none.
    """
    out = []
    for phase in PHASES:
        group, (column, _) = trials[trials["phase"] == phase], MEASURES[phase]
        known = group[group[column].notna()]
        ranked = (group if known.empty else known).sort_values([column, "trial_id"])
        if len(ranked):
            out.append(str(ranked["trial_id"].iloc[(len(ranked) - 1) // 2]))
    return out
