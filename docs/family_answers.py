"""The known answers of the other families beside ours: the numbers of docs/families.md.

    python docs/family_answers.py tokens --store STORE --sweep tokens
    python docs/family_answers.py parity --store STORE --sweep parity
    python docs/family_answers.py rules --store STORE --sweep rules

STORE is one that has the sweep: trained there, or by `grok import-results results/tokens`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from service.results import Sweep, open_sweep

LEARNED = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("family", choices=tuple(ANSWERS))
    parser.add_argument("--store", required=True)
    parser.add_argument("--sweep", required=True)
    args = parser.parse_args()
    sweep = open_sweep(args.store, args.sweep)
    print(ANSWERS[args.family](sweep).to_string(index=False, float_format=short, na_rep="-"))
    if args.family == "rules":
        print(*exponents(sweep.trials), sep="\n")


def short(x: float) -> str:
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"


def of_tokens(sweep: Sweep) -> pd.DataFrame:
    """A row per trial: when, by which frequencies, and what they do."""
    trials = sweep.trials.set_index("trial_id")
    spectra = sweep.table("spectra").query("hook == 'output' and is_key")
    progress, ablations = sweep.table("progress"), sweep.table("ablations")
    out = trials[["op", "P", "train_fraction", "optimizer", "seed", "phase"]].copy()
    out["train"], out["strict"] = trials["train_step"], trials["val_step_strict"]
    out["keys"] = spectra.groupby("trial_id")["frequency"].apply(
        lambda k: " ".join(map(str, sorted(k)))
    )
    out["restricted"] = first_step(progress, "restricted_acc")
    last = progress.sort_values("step").groupby("trial_id").last()
    out["strict_loss"], out["restricted_loss"] = last["strict_loss"], last["restricted_loss"]
    # what of the neurons is removed: all dominant frequencies, or as many random ones
    neurons = ablations.query("hook == 'block0.ffn.post' and mode == 'remove'")
    for name in ("top", "random"):
        mine = neurons[neurons["selection"] == name].groupby("trial_id")["val_acc_strict"]
        out[f"less_{name}"] = mine.median()
    return out.reset_index(drop=True).sort_values(
        ["op", "P", "train_fraction", "optimizer", "seed"]
    )


def first_step(progress: pd.DataFrame, column: str) -> pd.Series:
    """First snapshot of each trial at which an accuracy is LEARNED."""
    return progress[progress[column] >= LEARNED].groupby("trial_id")["step"].min()


def of_parity(sweep: Sweep) -> pd.DataFrame:
    """A row per trial: when, and its automaton at most and at the end."""
    trials = sweep.trials.set_index("trial_id")
    automata = sweep.table("automata").sort_values("step")
    last = automata.groupby("trial_id").last()
    out = trials[["gain", "train_fraction", "seed", "phase"]].copy()
    steps = trials[["train_step", "val_step_strict", "steps_run"]] / trials["eval_every"].iloc[0]
    every = trials["eval_every"].iloc[0] / 21  # steps of an epoch of all data
    for name, column in (("train", "train_step"), ("val", "val_step_strict"), ("end", "steps_run")):
        out[name] = steps[column] * every
    out["train_acc"], out["val_acc"] = trials["train_acc"], trials["val_acc"]
    out["most_states"] = automata.groupby("trial_id")["states"].max()
    for name in ("states", "minimal_states", "is_finite", "computes_parity", "merged", "acc_1000"):
        out[name] = last[name]
    return out.reset_index(drop=True).sort_values(["gain", "train_fraction", "seed"])


SETTING = ["model", "group_size", "images", "width"]
CLOCKS = ["tau_rule_groups", "tau_rule", "tau_mem_groups", "tau_mem", "window"]


def of_rules(sweep: Sweep) -> pd.DataFrame:
    """A row per setting: the clocks of its seeds, and the most new valid samples at an evaluation
    of each."""
    best = sweep.table("curves").groupby("trial_id")["novel_share"].max().rename("best_novel")
    trials = sweep.trials.join(best, on="trial_id").sort_values([*SETTING, "seed"])
    columns = [*CLOCKS, "best_novel", "steps_run", "phase"]
    found = trials.groupby(SETTING)[columns].agg(lambda x: ", ".join(map(told, x)))
    return found.reset_index()


def told(x: str | float) -> str:
    if isinstance(x, str):
        return x
    return "-" if pd.isna(x) else short(x)


def exponents(trials: pd.DataFrame) -> list[str]:
    """How tau_mem grows with the number of training images, at group size 3 and width 32: the slope
    of a line through the logarithms, over all trials that got there."""
    mine = trials[(trials["group_size"] == 3) & (trials["width"] == 32)].dropna(subset="tau_mem")
    out = []
    for model, some in mine.groupby("model"):
        x, y = (np.log(some[name].astype(float)) for name in ("images", "tau_mem"))
        slope, fit = np.polyfit(x, y, 1)[0], np.corrcoef(x, y)[0, 1] ** 2
        sizes = sorted(set(some["images"].astype(int)))
        out.append(
            f"{model}: tau_mem ~ images^{slope:.2f}, R^2 {fit:.3f}, {len(some)} trials at "
            f"{', '.join(map(str, sizes))} images"
        )
    return out


ANSWERS = {"tokens": of_tokens, "parity": of_parity, "rules": of_rules}

if __name__ == "__main__":
    main()
