"""Transfer of importance between all trials of a sweep: python docs/transfer.py STORE SWEEP"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from grokmodel.probing.transfer import compared, units_of
from service.results import Trial, open_sweep

WIDE = ["width", "seed"]


def main() -> None:
    sweep = open_sweep(*sys.argv[1:3])
    trials = [sweep.trial(i) for i in sweep.trials.sort_values(WIDE)["trial_id"]]
    units = [units_of(trial.probe()) for trial in trials]
    rows = [
        {"from": name(small), "to": name(large)} | vars(row)
        for small, mine in zip(trials, units, strict=True)
        for large, its in zip(trials, units, strict=True)
        if small is not large
        for row in compared(mine, its)
    ]
    frame = pd.DataFrame(rows)
    for kind, found in frame.groupby("units"):
        print(
            f"\n{kind}\n{found.drop(columns='units').to_string(index=False, float_format='%.2f')}"
        )
        numbers = found.drop(columns=["units", "from", "to"])
        print(f"median {numbers.median().round(2).to_dict()}")


def name(trial: Trial) -> str:
    return " ".join(f"{field} {getattr(trial.config, field)}" for field in WIDE)


if __name__ == "__main__":
    main()
