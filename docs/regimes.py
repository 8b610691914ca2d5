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
    paper = [all(trial[name] == PAPER[name] for name in group) for group in DIFFERENCES]
    same = fast if near_fast else paper
    said = [f"`{name}` {trial[name]}" for group, is_same in zip(DIFFERENCES, same) if not is_same
            for name in group if group[0] != "t_distribution" or trial[group[0]] != "uniform"
            or name == group[0]]  # fmt: skip
    return near_fast, ", ".join(said) or "-"


def many(share: pd.Series) -> int:
    """Frequencies that carry the wanted share of the power."""
    return int((share.sort_values(ascending=False).cumsum() < WANTED).sum()) + 1


def each(values: pd.Series, form: str = ".2f") -> str:
    """By seed."""
    return ", ".join(format(v, form) for v in values)


def steps(values: pd.Series) -> str:
    return ", ".join("never" if pd.isna(v) else f"{v:,.0f}" for v in values)


sweep = open_sweep(sys.argv[1], "regimes")
rows = shares(sweep.table("spectra"))
pre = rows[rows["hook"] == "block0.ffn.pre"].groupby("trial_id")
score = rows[rows["hook"] == "block0.score[a]"].groupby(["trial_id", "frequency"])["share"].mean()
trials = sweep.trials.sort_values("seed").set_index("trial_id")
heads = strongest(rows)["special"].groupby("trial_id")
trials["frequencies"] = pre["share"].agg(many)
trials["of_scores"] = score.groupby("trial_id").agg(many)
trials["strongest"], trials["by_chance"] = pre["share"].max(), pre["null_q95"].first()
trials["special"], trials["counted"] = heads.sum(), heads.size()
trials["regime"] = trials.apply(setting, axis=1)
head = (
    "but for | training pairs learned at step | strict pairs right | frequencies with "
    f"{WANTED} of ffn.pre | of the scores | strongest in ffn.pre: share | by chance, 95 % | "
    "specialized heads"
)
for near_fast, title in ((False, "paper's regime"), (True, "fast recipe")):
    print(f"\n| {title} {head} |\n{'|---' * (head.count('|') + 1)}|")
    for (is_fast, said), mine in trials.groupby("regime", sort=False):
        if is_fast == near_fast:
            cells = [
                said, steps(mine["train_step"]), each(mine["val_acc_strict_final"]),
                each(mine["frequencies"], "d"), each(mine["of_scores"], "d"),
                each(mine["strongest"]), each(mine["by_chance"]),
                f"{mine['special'].sum()} of {mine['counted'].sum()}",
            ]  # fmt: skip
            print(f"| {' | '.join(map(str, cells))} |")
