"""Does the theory say which hidden states merge? python docs/mergers.py STORE SWEEP

Of parity trials, from their weights before the first step and at the end. By the theory
(`grokmodel/parity/theory.py`) two sequences that agree merge where A_high < 0, that is where
tau_y / tau_h is above ||dh||^4 / (N <||dy_i||^2>), all at the start. The rates are unknown, but the
same for all pairs of a network: so the pairs that merge should be those where that quantity is
smallest. Printed is the chance that it is smaller in a pair that merges than in one that does
not (1: always, 0.5: a coin), beside the same of the distance ||dh|| at the start alone; and both
rank correlations with the distance at the end.
"""

import sys

import numpy as np
import pandas as pd

from grokmodel.core.checkpoint import load_snapshot
from grokmodel.parity.automaton import MERGED, spread, tree_of
from grokmodel.parity.pack import Member
from grokmodel.parity.sequences import all_sequences
from grokmodel.parity.theory import Interaction
from service.results import open_sweep
from service.settings import load_settings
from service.store.keys import snapshot_key
from service.store.store import Store

STORE, SWEEP = sys.argv[1:3]
PAIRS = 400
"""Random pairs for each length of the longer sequence."""


def agreeing_pairs(max_length: int) -> list[tuple[int, int]]:
    """Nodes of pairs of equal parity, not empty, as many of each length of the longer one."""
    tree, rng = all_sequences(max_length), np.random.default_rng(0)
    found = set()
    for length in range(2, max_length + 1):
        longest = np.flatnonzero(tree.length_K == length)
        others = np.flatnonzero((tree.length_K >= 1) & (tree.length_K <= length))
        for i, j in zip(rng.choice(longest, PAIRS), rng.choice(others, PAIRS)):
            if i != j and tree.parity_K[i] == tree.parity_K[j]:
                found.add((int(i), int(j)))
    return sorted(found)


def outputs_after(output_K2: np.ndarray, node: int, symbols: int) -> np.ndarray:
    """(N, 2) outputs after a sequence, and after it and whatever follows of so many symbols."""
    first, last, found = node, node, [output_K2[node : node + 1]]
    for _ in range(symbols):
        first, last = 2 * first + 1, 2 * last + 2
        found.append(output_K2[first : last + 1])
    return np.concatenate(found)


def chance_of_order(value: pd.Series, merged: pd.Series) -> float:
    """That the value is smaller in a pair that merges than in one that does not."""
    n, others = int(merged.sum()), int((~merged).sum())
    ranks = (-value).rank()[merged].sum() - n * (n + 1) / 2
    return float(ranks / (n * others)) if n and others else float("nan")


def pairs_of(end: Member) -> pd.DataFrame:
    """Of each pair ||dh||^2 and the theory's quantity at the start, and the distance at the end."""
    start = Member.start(end.config)
    T, layout = end.config.max_length, start.layout(end.config)
    length_K = all_sequences(T).length_K
    h_KH, y_K2 = tree_of(layout.views(start.state.weights), T)
    final_KH, _ = tree_of(layout.views(end.state.average), T)
    scale, found = spread(final_KH), []
    for i, j in agreeing_pairs(T):
        symbols = T - max(length_K[i], length_K[j])
        dy = outputs_after(y_K2, i, symbols) - outputs_after(y_K2, j, symbols)
        pair = Interaction(
            dh2=float(np.square(h_KH[i] - h_KH[j]).sum()),
            dy2=float(np.square(dy).sum(1).mean()),
            target2=0.0, futures=len(dy), tau_h=1.0, tau_y=1.0,
        )  # fmt: skip
        final = float(np.linalg.norm(final_KH[i] - final_KH[j])) / scale
        found.append((pair.dh2, pair.critical_rates, final))
    return pd.DataFrame(found, columns=["start", "theory", "final"])


store = Store(load_settings(STORE))
trials = open_sweep(STORE, SWEEP).trials
print(
    "| gain | data | seed | pairs | merged | theory: median | order | rank "
    "| distance alone: order | rank |"
)
print("|---|---|---|---|---|---|---|---|---|---|")
for row in trials.sort_values(["gain", "train_fraction", "seed"]).to_dict("records"):
    key = snapshot_key(row["trial_id"], int(row["steps_run"]), row["run_id"])
    found = pairs_of(load_snapshot(Member, store.get(key)))
    merged = found["final"] < MERGED
    cells = [f"{row['gain']:g}", f"{row['train_fraction']:g}", row["seed"], len(found),
             f"{merged.mean():.3f}", f"{found['theory'].median():.3g}"]  # fmt: skip
    for name in ("theory", "start"):
        cells.append(f"{chance_of_order(found[name], merged):.3f}")
        cells.append(f"{found[name].corr(found['final'], method='spearman'):.2f}")
    print(f"| {' | '.join(map(str, cells))} |")
