"""Do two sweeps of the same trials, in two precisions say, come to the same phases?

    python sweeps/grok_phase.py --preset fast --analyses none
    python sweeps/grok_phase.py --preset fast --analyses none --name fast-bf16 --precision bfloat16
    python tests/benchmarks/phases.py runs fast fast-bf16

Prints every trial whose phase differs, with the two steps that its phase rests on, and exits with 1
if one of them differs by more than the border between grokking and comprehension.
"""

from __future__ import annotations

import argparse
import sys

import pandas as pd

AXES = ["data", "P", "N", "width", "train_fraction", "weight_decay", "seed"]
SHOWN = ["phase", "train_step", "val_step_strict", "val_acc_strict"]
LEARNED = {"grokking", "comprehension"}


def compare(trials: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """The trials of both sweeps side by side."""
    one, two = (trials[trials["sweep"] == name].set_index(AXES)[SHOWN] for name in (first, second))
    if not one.index.is_unique or set(one.index) != set(two.index):
        raise SystemExit(f"phases: {first} and {second} are not the same trials over {AXES}")
    return pd.concat({first: one, second: two.reindex(one.index)}, axis=1)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", help="folder of the store")
    parser.add_argument("sweeps", nargs=2, help="names of the two sweeps")
    args = parser.parse_args()
    first, second = args.sweeps
    both = compare(pd.read_parquet(f"{args.store}/tables/trials"), first, second)
    differ = both[both[first, "phase"] != both[second, "phase"]]
    print(f"{len(both) - len(differ)} of {len(both)} trials have the same phase")
    ratio = (both[second, "val_step_strict"] / both[first, "val_step_strict"]).dropna()
    print(f"strict pairs are learned at {ratio.median():.2f} ({ratio.min():.2f}-{ratio.max():.2f}) "
          f"times the step, in {len(ratio)} trials that learn them in both")  # fmt: skip
    if len(differ):
        print(differ.to_string())
    found = differ[[(first, "phase"), (second, "phase")]].to_numpy().ravel()
    return int(not set(found) <= LEARNED)


if __name__ == "__main__":
    sys.exit(main())
