"""Rules for claims on the mechanism: frequencies, heads, identities."""

from __future__ import annotations

import numpy as np
import pandas as pd

from grokmodel.probing.fourier import Spectrum
from service.reproduction.evidence import NOT, NOT_RUN, PARTLY, REPRODUCED, Finding
from service.reproduction.grokking import MOST
from service.text import count, percent, spread

NEURONS = ".ffn.pre"
HEAD_SITES = ("score[a]", "weighted_value[a]")
OWN_FREQUENCY = 0.5
"""Share of a head's power in one frequency from which it counts as specialized in it."""
EXACT_FVE, SOME_FVE = 0.90, 0.70
BALANCED = 0.1
"""Two coefficients count as equal in size when they differ by this share."""
CLEAR = 2
"""An FVE is clearly above that of random directions if it is this many times their highest."""
SMALL, SMALLISH = 0.03, 0.30
"""Coefficients of non-key frequencies relative to key ones."""
KEYS = (
    "At least two thirds of the trials that learned have key frequencies before the last FFN's "
    "non-linearity at t = 1: a smallest set with 90 % of the in-frequency power that is at most "
    "half of all. Partly: one has."
)
HEADS = (
    "In at least two thirds of the trials that learned and have several heads, the median head "
    f"has {percent(OWN_FREQUENCY)} of its in-frequency power in one frequency (scores or weighted "
    "values of operand a, t = 1). Partly: a single head has."
)
IDENTITY = (
    f"In at least two thirds of the trials that learned, the best key frequency has an FVE of "
    f"{EXACT_FVE:g} or more and two coefficients that differ in size by less than "
    f"{percent(BALANCED)}, with the formula's signs. Partly: in two thirds, FVE {SOME_FVE:g} and "
    "the signs at the best key frequency or, in trials without key frequencies, at every "
    f"frequency. Either way the FVE is at least {CLEAR} times the highest of random directions, "
    "where these were measured."
)
NON_KEY = (
    f"In at least two thirds of the trials that learned, the median coefficient of the non-key "
    f"frequencies is at most {SMALL:g} of that of the key ones. Partly: at most {SMALLISH:g} in "
    "two thirds. Without key frequencies: not; the numbers are then the smallest over the largest "
    "coefficient."
)


def by_share(shown: pd.Series, some: bool) -> str:
    """Verdict from whether each trial shows a thing."""
    return REPRODUCED if shown.mean() >= MOST else PARTLY if some else NOT


def key_frequencies(rows: pd.DataFrame) -> Finding:
    """The rule KEYS."""
    rows = rows[rows["hook"].str.endswith(NEURONS) & (rows["t"] == 1.0)]
    groups = dict(list(rows.groupby("trial_id")))
    keys = pd.Series({i: int(g["is_key"].sum()) for i, g in groups.items()})
    dominant = pd.Series({i: len(spectrum(g).dominant) for i, g in groups.items()})
    in_all = rows.groupby("trial_id")["frequency"].nunique()
    entropy = rows.groupby("trial_id")["entropy"].first()
    which = [
        f"seed {g['seed'].iloc[0]}: {', '.join(f'w{k}' for k in g.loc[g['is_key'], 'frequency'])}"
        for g in groups.values()
        if g["is_key"].any()
    ]
    trials = count(len(keys), "trial")
    lines = [
        f"{int((keys > 0).sum())} of {trials} with key frequencies",
        f"dominant frequencies (90 % of the power): {spread(dominant, 0)} of {spread(in_all, 0)}",
        f"FVE entropy (1: all frequencies alike): {spread(entropy)}",
        *which,
    ]
    short = f"90 % of the power in {spread(dominant, 0)} of {in_all.iloc[0]}; {trials}"
    return Finding(by_share(keys > 0, bool((keys > 0).any())), tuple(lines), short)


def spectrum(rows: pd.DataFrame) -> Spectrum:
    """What the rows of one hook point say, a row per frequency."""
    k, a, b, ab = (rows[c].to_numpy() for c in ("frequency", "fve_a", "fve_b", "fve_ab"))
    return Spectrum(k, a, b, ab, cross=0.0)


def heads_specialize(rows: pd.DataFrame) -> Finding:
    """The rule HEADS."""
    kinds = rows["hook"].str.split(".", n=1).str[-1]
    rows = rows[kinds.isin(HEAD_SITES) & (rows["t"] == 1.0) & (rows["heads"] > 1)]
    if rows.empty:
        return Finding(NOT_RUN, ("the trials that learned have one head each",))
    per_head = rows.groupby(["trial_id", "hook", "head"])["fve_a"]
    top = (per_head.max() / per_head.sum().clip(lower=1e-12)).rename("top").reset_index()
    best_site = top.groupby(["trial_id", "head"])["top"].max()
    median = best_site.groupby("trial_id").median()
    chance = 1 / rows["frequency"].nunique()
    lines = (
        f"share of a head's power in its strongest frequency: {spread(best_site)} over "
        f"{len(best_site)} heads of {count(len(median), 'trial')} "
        f"(all frequencies alike: {chance:.2f})",
    )
    special = bool((best_site >= OWN_FREQUENCY).any())
    return Finding(by_share(median >= OWN_FREQUENCY, special), lines, lines[0].split(": ", 1)[1])


def identity(rows: pd.DataFrame, direction: str) -> Finding:
    """The rule IDENTITY for `cos` or `sin`."""
    controls = rows[rows["control"] >= 0]
    rows = rows[(rows["control"] < 0) & (rows["direction"] == direction)]
    rows = rows.assign(ratio=_second_over_first(rows, direction))
    has_key = rows.groupby("trial_id")["is_key"].any()
    keyed = rows[rows["is_key"].astype(bool)].sort_values("fve").groupby("trial_id").last()
    bare = rows[~rows["trial_id"].map(has_key).astype(bool)]
    exact = (keyed["fve"] >= EXACT_FVE) & ((keyed["ratio"] - 1).abs() < BALANCED)
    # without key frequencies there is none to choose: every one must obey the formula
    worst = pd.concat([keyed[["fve", "ratio"]], bare.groupby("trial_id")[["fve", "ratio"]].min()])
    highest = controls.groupby("trial_id")["fve"].max().reindex(worst.index).fillna(0.0)
    clear = worst["fve"] >= CLEAR * highest
    some = clear & (worst["fve"] >= SOME_FVE) & (worst["ratio"] > 0)
    best = rows.sort_values("fve").groupby("trial_id").last()
    lines = [
        f"FVE at the best frequency {spread(best['fve'])}, of the formula alone "
        f"{spread(best['fve_rule'])}; {count(len(best), 'trial')}",
        f"second coefficient over the first, sign as in the formula: {spread(best['ratio'])}",
        f"over all frequencies: FVE {spread(rows['fve'])}",
        f"{int(has_key.sum())} of {count(len(has_key), 'trial')} with key frequencies in the "
        "neurons",
    ]
    if len(controls):
        lines.append(f"random directions: FVE {spread(controls['fve'])}")
    if len(bare):
        obeys = some[~has_key.reindex(some.index)]
        lines.append(
            f"without key frequencies: at every frequency FVE {SOME_FVE:g} and the signs in "
            f"{int(obeys.sum())} of {count(len(obeys), 'trial')}; that says that the neurons' part "
            "of the image is right, not that a few frequencies compute it"
        )
    shown = (exact & clear.reindex(exact.index)).reindex(worst.index, fill_value=False)
    return Finding(by_share(shown, bool(some.mean() >= MOST)), tuple(lines), lines[0])


def _second_over_first(rows: pd.DataFrame, direction: str) -> pd.Series:
    """1 where the two coefficients are those of the formula."""
    if direction == "cos":
        return -rows["sin_sin"] / rows["cos_cos"]
    return rows["sin_cos"] / rows["cos_sin"]


def non_key_is_small(rows: pd.DataFrame) -> Finding:
    """The rule NON_KEY."""
    rows = rows[(rows["control"] < 0) & (rows["direction"] == "cos")]
    size = np.hypot(rows["cos_cos"], rows["sin_sin"])
    rows = rows.assign(size=size)
    ratios, extremes = {}, {}
    for trial_id, mine in rows.groupby("trial_id"):
        key, rest = mine[mine["is_key"]]["size"], mine[~mine["is_key"]]["size"]
        extremes[trial_id] = mine["size"].min() / mine["size"].max()
        if len(key) and len(rest):
            ratios[trial_id] = rest.median() / key.median()
    found, lowest = pd.Series(ratios, dtype=float), pd.Series(extremes)
    trials = count(len(lowest), "trial")
    lines = [f"smallest over largest coefficient of all frequencies: {spread(lowest, 3)}; {trials}"]
    if len(found):
        lines.insert(0, f"non-key over key: {spread(found, 3)} in {count(len(found), 'trial')}")
    else:
        lines.append("no trial has key frequencies in its neurons")
    ratio = found.reindex(lowest.index)
    some = bool((ratio <= SMALLISH).mean() >= MOST)
    return Finding(by_share(ratio <= SMALL, some), tuple(lines), lines[0])
