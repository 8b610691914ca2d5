"""What one head is worth: the table of "Removing one head" in docs/findings.md.

    .venv/bin/python docs/one_head.py STORE SWEEP [SWEEP ...]

For every head whose strongest frequency is that of other heads too, or not: what is left of the
margin (nearest wrong template less right one) without the head, and, by the algebra of
cos(w(a + b - c)), without the whole frequency, each weighted by its share in `ffn.pre`.
"""

import sys

import numpy as np
import pandas as pd
from head_shares import shares, strongest

from service.settings import load_settings
from service.store.store import Store
from service.tables.reading import read_table

STORE, *SWEEPS = sys.argv[1:]


def read(name: str) -> pd.DataFrame:
    store = Store(load_settings(STORE))
    return pd.concat([read_table(store, name, sweep) for sweep in SWEEPS], ignore_index=True)


def of_heads() -> pd.DataFrame:
    """Frequency of every head, and its share in `ffn.pre`."""
    rows = shares(read("spectra"))
    pre = rows[rows["hook"] == "block0.ffn.pre"].rename(columns={"share": "in_ffn"})
    heads = strongest(rows).reset_index()[["trial_id", "head", "frequency"]]
    return heads.merge(pre[["trial_id", "frequency", "in_ffn"]], on=["trial_id", "frequency"])


def margin(P: int, share: pd.Series) -> float:
    """Least distance of the right class from a wrong one, of frequencies with these shares."""
    d = np.arange(1, P)[:, None]
    waves = 1 - np.cos(2 * np.pi * d * share.index.to_numpy() / P)
    return float((waves * share.to_numpy()).sum(1).min())


def without_frequency(heads: pd.DataFrame) -> pd.Series:
    """Share of the margin that is left without the head's frequency, by the algebra."""
    left = []
    for row in heads.itertuples():
        mine = heads[heads["trial_id"] == row.trial_id].groupby("frequency")["in_ffn"].first()
        rest = mine.drop(row.frequency)
        left.append(margin(row.P, rest) / margin(row.P, mine) if len(rest) else 0.0)
    return pd.Series(left, heads.index)


def spread(values: pd.Series) -> str:
    return f"{values.median():.2f} ({values.quantile(0.1):.2f} to {values.quantile(0.9):.2f})"


trials = read("trials")[["trial_id", "P"]]
heads = read("heads").merge(of_heads(), on=["trial_id", "head"]).merge(trials, on="trial_id")
heads["on it"] = heads.groupby(["trial_id", "frequency"])["head"].transform("count")
heads["without head"] = heads["margin_ablated"] / heads["margin"]
heads["patched"] = heads["margin_patched"] / heads["margin"]
heads["without frequency"] = without_frequency(heads)
print(f"{heads['trial_id'].nunique()} trials, {len(heads)} heads; median (10 to 90 % quantile)\n")
print("| heads on its frequency | heads | share of the frequency in ffn.pre | margin left without "
      "the head | with another pair's | without the frequency, by the algebra | strict pairs right "
      "without the head |")  # fmt: skip
print("|---|---|---|---|---|---|---|")
for count, mine in heads.groupby("on it"):
    columns = ("in_ffn", "without head", "patched", "without frequency")
    cells = [str(count), str(len(mine)), *(spread(mine[name]) for name in columns)]
    print(f"| {' | '.join(cells)} | {mine['acc_strict_ablated'].mean():.2f} |")
