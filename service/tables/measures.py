"""Numbers of the analyses that are set against phases: one per trial, at its last step."""

from __future__ import annotations

from typing import Any

import pandas as pd

from service.store.store import Store
from service.tables.reading import read_table

_BEHIND = [f"block{i}.ffn.post" for i in range(8)]
"""Behind the last FFN's non-linearity, whichever block that is in."""
MEASURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "restricted accuracy, within-split fit": ("progress", "restricted_acc_within_split", {}),
    "identity FVE (mean over k)": ("identities", "fve_rule", {"control": [-1], "hook": _BEHIND}),
    "Gini of the output's FVEs": ("progress", "gini_output", {}),
    "merger ratio of the output, t = 1":
        ("representation", "merger", {"hook": ["output"], "t": [1.0]}),
    "learning coefficient": ("learning_coefficient", "llc", {}),
    "BDM of the FFN's input weights (bits)": ("complexity", "bdm", {"matrix": ["block0.ffn.up"]}),
}  # fmt: skip
"""Title -> table, column and values of others, of the measures that are set against phases."""


def measure(store: Store, sweep: str, trials: pd.DataFrame, title: str) -> pd.DataFrame:
    """One number per trial at its last step: the mean of a column, with the trial's phase."""
    table, column, which = MEASURES[title]
    frame = read_table(store, table, sweep, columns=["trial_id", "step", column, *which])
    for name, values in which.items():
        frame = frame[frame[name].isin(values)]
    last = frame.groupby("trial_id")["step"].transform("max")
    value = frame[frame["step"] == last].groupby("trial_id")[column].mean().dropna()
    known = trials.set_index("trial_id").loc[value.index]
    return pd.DataFrame({"value": value, "phase": known["phase"]})
