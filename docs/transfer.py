"""Transfer of importance between all trials of a sweep: python docs/transfer.py STORE SWEEP"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from grokmodel.probing.transfer import compared, units_of
from service.results import Trial, open_sweep

SEED, WIDTH = "seed", "width"


def main() -> None:
    sweep = open_sweep(*sys.argv[1:3])
    trials = [sweep.trial(i) for i in sweep.trials.sort_values([WIDTH, SEED])["trial_id"]]
    units = [units_of(trial.probe()) for trial in trials]
    frame = pd.DataFrame([
        {"from": name(small), "to": name(large), "pair": relation(small, large)} | vars(row)
        for small, mine in zip(trials, units, strict=True)
        for large, its in zip(trials, units, strict=True)
        if small is not large
        for row in compared(mine, its)
    ])  # fmt: skip
    for kind, found in frame.groupby("units"):
        show(f"{kind}, every pair", found.drop(columns=["units", "pair"]))
        numbers = found.drop(columns=["units", "from", "to", "n_small", "n_large", "p_value"])
        groups = numbers.groupby("pair")
        medians = groups.median()
        medians["lowest"], medians["highest"] = (
            groups["correlation"].min(), groups["correlation"].max()
        )  # fmt: skip
        medians["p <= 0.05"] = (found["p_value"] <= 0.05).groupby(found["pair"]).sum()
        medians["pairs"] = groups.size()
        show(f"{kind}, medians", medians.reset_index())


def name(trial: Trial) -> str:
    return " ".join(f"{field} {getattr(trial.config, field)}" for field in (WIDTH, SEED))


def relation(small: Trial, large: Trial) -> str:
    """With the same seed they trained on the same pairs."""
    said = []
    for field in (WIDTH, SEED):
        is_same = getattr(small.config, field) == getattr(large.config, field)
        said.append(f"{'same' if is_same else 'other'} {field}")
    return ", ".join(said)


def show(title: str, frame: pd.DataFrame) -> None:
    print(f"\n{title}\n{frame.to_string(index=False, float_format='%.2f')}")


if __name__ == "__main__":
    main()
