"""Prints the tables of "Which setting makes which spectrum" of docs/findings.md.

python docs/regimes.py runs
"""

from __future__ import annotations

import sys

import pandas as pd
from head_shares import shares, strongest

from grokmodel.image.config import TrialConfig
from service.results import open_sweep
from sweeps.presets import DIFFERENCES
from sweeps.recipes import FAST

PAPER = TrialConfig().to_dict()
WANTED = 0.95
"""Share of the power that the frequencies are counted of."""


def setting(trial: pd.Series) -> tuple[bool, str]:
    """Whether a trial is the fast recipe or near it, and what it has of the other regime."""
    fast = [all(trial[name] == FAST[name][0] for name in group) for group in DIFFERENCES]
    near_fast = sum(fast) > len(fast) / 2
    recipe = PAPER if near_fast else {name: values[0] for name, values in FAST.items()}
    other = [group for group, is_fast in zip(DIFFERENCES, fast) if is_fast != near_fast]
    said = [f"`{name}` {recipe[name]}" for group in other for name in group if recipe[name] != 0]
    return near_fast, ", ".join(said) or "-"


def many(share: pd.Series) -> int:
    """Frequencies that carry the wanted share of the power."""
    return int((share.sort_values(ascending=False).cumsum() < WANTED).sum()) + 1


def each(values: pd.Series, form: str = ".2f") -> str:
    """By seed."""
    return ", ".join("-" if pd.isna(v) else format(v, form) for v in values)


sweep = open_sweep(sys.argv[1], "regimes")
rows = shares(sweep.table("spectra"))
pre = rows[rows["hook"] == "block0.ffn.pre"].groupby("trial_id")
trials = sweep.trials.sort_values("seed").set_index("trial_id")
heads = strongest(rows)["special"].groupby("trial_id")
trials["frequencies"] = pre["share"].agg(many)
trials["strongest"], trials["by_chance"] = pre["share"].max(), pre["null_q95"].first()
trials["p"], trials["special"] = pre["p_dominant"].first(), heads.sum()
trials["counted"] = heads.size()
trials["regime"] = trials.apply(setting, axis=1)
head = (
    "the other's setting | seeds | phases | training pairs learned at step | strict pairs right | "
    f"frequencies with {WANTED} of ffn.pre | strongest of them | by chance, 95 % | p | "
    "specialized heads"
)
for near_fast, title in ((False, "paper's regime"), (True, "fast recipe")):
    print(f"\n| {title}, {head} |\n{'|---' * (head.count('|') + 1)}|")
    for (is_fast, said), mine in trials.groupby("regime", sort=False):
        if is_fast == near_fast:
            cells = [
                said, len(mine), ", ".join(mine["phase"]), each(mine["train_step"], ",.0f"),
                each(mine["val_acc_strict_final"]), each(mine["frequencies"], "d"),
                each(mine["strongest"]), each(mine["by_chance"]), each(mine["p"]),
                f"{mine['special'].sum()} of {mine['counted'].sum()}",
            ]  # fmt: skip
            print(f"| {' | '.join(map(str, cells))} |")
