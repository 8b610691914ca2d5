"""Prints the tables of "Which setting makes which spectrum" of docs/findings.md, and draws its
picture if a file is named.

python docs/regimes.py runs [docs/regimes.png]
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from head_shares import shares, strongest
from matplotlib.figure import Figure

from grokmodel.image.config import TrialConfig
from service.colors import GRAY, ORANGE, SKY, TRAIN_COLOR
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
    by_setting = sorted(trials.groupby("regime"), key=lambda item: (item[0][1] != "-", item[0]))
    for (is_fast, said), mine in by_setting:
        if is_fast == near_fast:
            cells = [
                said, steps(mine["train_step"]), each(mine["val_acc_strict_final"]),
                each(mine["frequencies"], "d"), each(mine["of_scores"], "d"),
                each(mine["strongest"]), each(mine["by_chance"]),
                f"{mine['special'].sum()} of {mine['counted'].sum()}",
            ]  # fmt: skip
            print(f"| {' | '.join(map(str, cells))} |")


def picture(trials: pd.DataFrame, path: str) -> None:
    """Strict accuracy over the number of frequencies, a mark per trial."""
    is_fast = trials["regime"].str[0]
    learned, is_single = trials["train_step"].notna(), trials["heads"] == 1
    kinds = (
        ("near the paper's regime, eight heads", TRAIN_COLOR, "o", learned & ~is_fast),
        ("near the fast recipe, one head", ORANGE, "s", learned & is_fast & is_single),
        ("near the fast recipe, eight heads", SKY, "^", learned & is_fast & ~is_single),
        ("training pairs never learned", GRAY, "x", ~learned),
    )
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes, rng = figure.subplots(), np.random.default_rng(0)
    for label, color, marker, chosen in kinds:
        mine = trials[chosen]
        x = mine["frequencies"] + rng.uniform(-0.2, 0.2, len(mine))  # trials that lie on others
        axes.scatter(x, mine["val_acc_strict_final"], color=color, marker=marker, label=label)
    axes.set(xlabel=f"frequencies with {WANTED:g} of the power of ffn.pre, of 11",
             ylabel="strict pairs right", xlim=(0, 12), ylim=(-0.05, 1.05))  # fmt: skip
    axes.legend(frameon=False, loc="center left", fontsize="small")
    figure.savefig(path, dpi=150)


if len(sys.argv) > 2:
    picture(trials, sys.argv[2])
