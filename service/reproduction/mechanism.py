"""Rules for claims on the mechanism: frequencies, heads, identities.

All of it at t = 1, where the noisy image shows nothing: below, what varies with a + b may be in the
input. Identities are those before the last FFN's non-linearity, as in the paper: behind it every
frequency is there whichever the model computes with."""

from __future__ import annotations

import numpy as np
import pandas as pd

from grokmodel.analysis.spectra import NOTHING
from grokmodel.probing.fourier import DOMINANT_SHARE, Spectrum
from grokmodel.probing.null import CHANCE, KEY_AT_MOST, ORDERS
from service.reproduction.evidence import NOT, NOT_RUN, PARTLY, REPRODUCED, Finding
from service.reproduction.grokking import MOST
from service.tables.headlines import HEAD_SITES, NEURONS, OWN_FREQUENCY, specialization
from service.text import count, percent, spread

BEHIND = ".ffn.post"
EXACT_FVE, SOME_FVE = 0.90, 0.70
BALANCED = 0.1
"""Two coefficients count as equal in size when they differ by this share."""
SMALL, SMALLISH = 0.03, 0.30
"""Coefficients of non-key frequencies relative to key ones."""
_BY_CHANCE = f"with the classes in random order (p of {CHANCE:g} or less, {ORDERS} orders)"
KEYS = (
    "At least two thirds of the trials that learned have key frequencies before the last FFN's "
    f"non-linearity at t = 1: a smallest set with {percent(DOMINANT_SHARE)} of the in-frequency "
    f"power that is at most {percent(KEY_AT_MOST)} of all and holds more than as many do "
    f"{_BY_CHANCE}. Partly: one has."
)
HEADS = (
    "In at least two thirds of the trials that learned and have several heads, half of the heads "
    f"have {percent(OWN_FREQUENCY)} of their in-frequency power in one frequency (scores or "
    "weighted values of operand a, t = 1), which is more than the strongest one has "
    f"{_BY_CHANCE}. Partly: a single head has."
)
IDENTITY = (
    "Before the last FFN's non-linearity: in at least two thirds of the trials that learned, the "
    f"best key frequency has an FVE of {EXACT_FVE:g} or more and two coefficients that differ in "
    f"size by less than {percent(BALANCED)}, with the formula's signs. Partly: in two thirds, FVE "
    f"{SOME_FVE:g} and the signs at the best key frequency or, in trials without key frequencies, "
    "at every frequency. Either way the FVE is above that of every random direction, where these "
    "were measured: before the non-linearity there are few frequencies, and a random direction has "
    "much of one."
)
NON_KEY = (
    "Before the last FFN's non-linearity: in at least two thirds of the trials that learned, the "
    f"median coefficient of the non-key frequencies is at most {SMALL:g} of that of the key ones. "
    f"Partly: at most {SMALLISH:g} in two thirds. Without key frequencies: not; the numbers are "
    "then the smallest over the largest coefficient."
)


def by_share(shown: pd.Series, some: bool) -> str:
    """Verdict from whether each trial shows a thing."""
    return REPRODUCED if shown.mean() >= MOST else PARTLY if some else NOT


def key_frequencies(rows: pd.DataFrame) -> Finding:
    """The rule KEYS."""
    rows = rows[rows["hook"].str.endswith(NEURONS) & (rows["shown"] == NOTHING)]
    groups = dict(list(rows.groupby("trial_id")))
    strongest = pd.Series({i: spectrum(g).share.max() for i, g in groups.items()})
    keys = pd.Series({i: int(g["is_key"].sum()) for i, g in groups.items()})
    dominant = pd.Series({i: len(spectrum(g).dominant) for i, g in groups.items()})
    in_all = rows.groupby("trial_id")["frequency"].nunique()
    entropy, null, p = (
        rows.groupby("trial_id")[c].first() for c in ("entropy", "null_q95", "p_dominant")
    )
    which = [
        f"seed {g['seed'].iloc[0]}: {', '.join(f'w{k}' for k in g.loc[g['is_key'], 'frequency'])}"
        for g in groups.values()
        if g["is_key"].any()
    ]
    trials, held = count(len(keys), "trial"), percent(DOMINANT_SHARE)
    lines = [
        f"{int((keys > 0).sum())} of {trials} with key frequencies",
        f"dominant frequencies ({held} of the power): {spread(dominant, 0)} of "
        f"{spread(in_all, 0)}; p {spread(p)}",
        f"share of the strongest frequency: {spread(strongest)}; 95 % quantile with the classes in "
        f"random order {spread(null)}",
        f"FVE entropy (1: all frequencies alike): {spread(entropy)}",
        *which,
    ]
    short = f"{held} of the power in {spread(dominant, 0)} of {in_all.iloc[0]}; {trials}"
    return Finding(by_share(keys > 0, bool((keys > 0).any())), tuple(lines), short)


def spectrum(rows: pd.DataFrame) -> Spectrum:
    """What the rows of one hook point say, a row per frequency."""
    k, a, b, ab = (rows[c].to_numpy() for c in ("frequency", "fve_a", "fve_b", "fve_ab"))
    return Spectrum(k, a, b, ab, cross=0.0)


def heads_specialize(rows: pd.DataFrame) -> Finding:
    """The rule HEADS."""
    kinds = rows["hook"].str.split(".", n=1).str[-1]
    rows = rows[kinds.isin(HEAD_SITES) & (rows["shown"] == NOTHING) & (rows["heads"] > 1)]
    if rows.empty:
        return Finding(NOT_RUN, ("the trials that learned have one head each",))
    heads = specialization(rows)
    chance = 1 / rows["frequency"].nunique()
    null = rows.groupby(["trial_id", "head", "hook"])["null_q95"].first()
    trials = count(heads.index.get_level_values("trial_id").nunique(), "trial")
    lines = (
        f"share of a head's power in its strongest frequency: {spread(heads['top'])} over "
        f"{len(heads)} heads of {trials} (all frequencies alike: {chance:.2f})",
        f"{int(heads['special'].sum())} of {len(heads)} heads have {percent(OWN_FREQUENCY)} there "
        f"and more than by chance; 95 % quantile with the classes in random order {spread(null)}",
    )
    shown = heads.groupby("trial_id")["special"].mean() >= 0.5
    finding = by_share(shown, bool(heads["special"].any()))
    return Finding(finding, lines, lines[0].split(": ", 1)[1])


def identity(rows: pd.DataFrame, direction: str) -> Finding:
    """The rule IDENTITY for `cos` or `sin`."""
    rows = rows[rows["hook"].str.endswith(NEURONS)]
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
    clear = worst["fve"] > highest
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
    rows = rows.assign(size=np.hypot(rows["cos_cos"], rows["sin_sin"]))
    before, behind = (rows[rows["hook"].str.endswith(part)] for part in (NEURONS, BEHIND))
    per_trial = before.groupby("trial_id")["size"]
    lowest = per_trial.min() / per_trial.max()
    found, other = _non_key_over_key(before), _non_key_over_key(behind)
    trials = count(len(lowest), "trial")
    lines = [f"smallest over largest coefficient of all frequencies: {spread(lowest, 3)}; {trials}"]
    if len(found):
        lines.insert(0, f"non-key over key: {spread(found, 3)} in {count(len(found), 'trial')}")
        if len(other):
            lines.append(f"behind the non-linearity, non-key over key: {spread(other, 3)}")
    else:
        lines.append("no trial has key frequencies in its neurons")
    ratio = found.reindex(lowest.index)
    some = bool((ratio <= SMALLISH).mean() >= MOST)
    return Finding(by_share(ratio <= SMALL, some), tuple(lines), lines[0])


def _non_key_over_key(rows: pd.DataFrame) -> pd.Series:
    """Median coefficient of the non-key frequencies over that of the key ones, per trial that has
    both."""
    is_key = rows["is_key"].astype(bool)
    key, rest = (rows[which].groupby("trial_id")["size"].median() for which in (is_key, ~is_key))
    return (rest / key).dropna()
