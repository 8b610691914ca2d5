"""Rules for claims on the mechanism: frequencies, heads, identities, noise levels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokmodel.analysis.fourier import Spectrum
from service.reproduction.evidence import (
    NOT,
    NOT_RUN,
    PARTLY,
    REPRODUCED,
    Evidence,
    Finding,
    learned,
    spread,
)
from service.reproduction.grokking import MOST
from service.summary import counted

NEURONS = ".ffn.pre"
HEAD_SITES = ("score[a]", "weighted_value[a]")
OWN_FREQUENCY = 0.5
"""Share of a head's power in one frequency from which it counts as specialised in it."""
EXACT_FVE, SOME_FVE = 0.90, 0.70
BALANCED = 0.1
"""Two coefficients count as equal in size when they differ by this share."""
SMALL, SMALLISH = 0.03, 0.30
"""Coefficients of non-key frequencies relative to key ones."""
PAPER_RECTIFY = {0: 0.0, 21: 0.07, 32: 0.54, 50: 0.96}
"""The paper's rectify accuracy at P = 23, by noise level of 50."""
NEAR, NEARISH, LOW, HIGH = 0.10, 0.30, 0.05, 0.50
GAP, CORRELATED, ENOUGH = 3, 0.7, 5

KEYS = (
    "At least two thirds of the trials that learned have key frequencies before the last FFN's "
    "non-linearity at t = 1: a smallest set with 90 % of the in-frequency power that is at most "
    "half of all. Partly: one has."
)
HEADS = (
    "In at least two thirds of the trials that learned and have several heads, the median head "
    f"has {OWN_FREQUENCY:.0%} of its in-frequency power in one frequency (scores or weighted "
    "values of operand a, t = 1). Partly: a single head has."
)
IDENTITY = (
    f"In at least two thirds of the trials that learned, the best key frequency has an FVE of "
    f"{EXACT_FVE:g} or more and two coefficients that differ in size by less than {BALANCED:.0%}, "
    f"with the formula's signs. Partly: FVE {SOME_FVE:g} and the signs, or the same at the best of "
    "all frequencies where there are no key ones."
)
NON_KEY = (
    f"In at least two thirds of the trials that learned, the median coefficient of the non-key "
    f"frequencies is at most {SMALL:g} of that of the key ones. Partly: at most {SMALLISH:g}. "
    "Without key frequencies: not; the numbers are then the smallest over the largest coefficient."
)
RECTIFY = (
    f"At each of the four levels the median is within {NEAR:g} of the paper's. Partly: it rises "
    f"with the level, from {LOW:g} or less at level 0 to {HIGH:g} or more at level 50, and is "
    f"within {NEARISH:g} of the paper's at three of the four."
)
CRITICAL = (
    f"Over trials that learned: the median gap between predicted and observed level is at most "
    f"{GAP} of 50, and over {ENOUGH} or more trials their rank correlation is at least "
    f"{CORRELATED:g}. Partly: one of the two."
)


P = 23
"""Modulus of the claims on frequencies, identities and rectified samples."""


def at_p(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the trials at the modulus P."""
    return rows if rows.empty else rows[rows["P"] == P]


def by_share(shown: pd.Series, some: bool) -> str:
    """Verdict from whether each trial shows a thing."""
    return REPRODUCED if shown.mean() >= MOST else PARTLY if some else NOT


def untested(trials: pd.DataFrame) -> Finding:
    """There are no trials, or none that learned."""
    if trials.empty:
        return Finding(NOT_RUN, ())
    words = f"none of {counted(trials)} learned the held-out pairs: there is nothing to look at"
    return Finding(NOT_RUN, (words,), "nobody learned")


def key_frequencies(evidence: Evidence, experiments: Sequence[str]) -> Finding:
    """The rule KEYS."""
    rows = at_p(learned(evidence.table("spectra", experiments)))
    if rows.empty:
        return untested(at_p(evidence.table("trials", experiments)))
    rows = rows[rows["site"].str.endswith(NEURONS) & (rows["t"] == 1.0)]
    groups = dict(list(rows.groupby("trial_id")))
    keys = pd.Series({i: int(g["is_key"].sum()) for i, g in groups.items()})
    carriers = pd.Series({i: len(spectrum(g).carriers) for i, g in groups.items()})
    in_all = rows.groupby("trial_id")["frequency"].nunique()
    entropy = rows.groupby("trial_id")["entropy"].first()
    which = [
        f"seed {g['seed'].iloc[0]}: {', '.join(f'w{k}' for k in g.loc[g['is_key'], 'frequency'])}"
        for g in groups.values()
        if g["is_key"].any()
    ]
    lines = [
        f"{int((keys > 0).sum())} of {len(keys)} trials have key frequencies",
        f"frequencies with 90 % of the power: {spread(carriers, 0)} of {spread(in_all, 0)}",
        f"FVE entropy (1: all frequencies alike): {spread(entropy)}",
        *which,
    ]
    short = f"90 % of the power in {spread(carriers, 0)} of {in_all.iloc[0]}; {len(keys)} trials"
    return Finding(by_share(keys > 0, bool((keys > 0).any())), tuple(lines), short)


def spectrum(rows: pd.DataFrame) -> Spectrum:
    """What the rows of one site say, a row a frequency."""
    k, a, b, ab = (rows[c].to_numpy() for c in ("frequency", "fve_a", "fve_b", "fve_ab"))
    return Spectrum(k, a, b, ab, cross=0.0)


def heads_specialise(evidence: Evidence, experiments: Sequence[str]) -> Finding:
    """The rule HEADS."""
    rows = at_p(learned(evidence.table("spectra", experiments)))
    if rows.empty:
        return untested(at_p(evidence.table("trials", experiments)))
    kinds = rows["site"].str.split(".", n=1).str[-1]
    rows = rows[kinds.isin(HEAD_SITES) & (rows["t"] == 1.0) & (rows["heads"] > 1)]
    if rows.empty:
        return Finding(NOT_RUN, ("the trials that learned have one head each",))
    per_head = rows.groupby(["trial_id", "site", "head"])["fve_a"]
    top = (per_head.max() / per_head.sum().clip(lower=1e-12)).rename("top").reset_index()
    best_site = top.groupby(["trial_id", "head"])["top"].max()
    median = best_site.groupby("trial_id").median()
    chance = 1 / rows["frequency"].nunique()
    lines = (
        f"share of a head's power in its strongest frequency: {spread(best_site)} over "
        f"{len(best_site)} heads of {len(median)} trials (all frequencies alike: {chance:.2f})",
    )
    special = bool((best_site >= OWN_FREQUENCY).any())
    return Finding(by_share(median >= OWN_FREQUENCY, special), lines, lines[0].split(": ", 1)[1])


def identity(evidence: Evidence, experiments: Sequence[str], direction: str) -> Finding:
    """The rule IDENTITY for `cos` or `sin`."""
    rows = at_p(learned(evidence.table("identities", experiments)))
    if rows.empty:
        return untested(at_p(evidence.table("trials", experiments)))
    rows = rows[(rows["control"] < 0) & (rows["direction"] == direction)]
    first, second, sign = (
        ("cos_cos", "sin_sin", -1) if direction == "cos" else ("cos_sin", "sin_cos", 1)
    )
    has_key = rows.groupby("trial_id")["is_key"].any()
    with_key = rows["trial_id"].map(has_key).astype(bool)
    best = (
        rows[rows["is_key"].astype(bool) | ~with_key].sort_values("fve").groupby("trial_id").last()
    )
    ratio = sign * best[second] / best[first]
    exact = (best["fve"] >= EXACT_FVE) & ((ratio - 1).abs() < BALANCED)
    some = (best["fve"] >= SOME_FVE) & (ratio > 0)
    lines = (
        f"FVE at the best frequency {spread(best['fve'])}, of the formula alone "
        f"{spread(best['fve_rule'])}; {len(best)} trials",
        f"second coefficient over the first, sign as in the formula: {spread(ratio)}",
        f"over all frequencies: FVE {spread(rows['fve'])}",
        f"{int(has_key.sum())} of {len(has_key)} trials have key frequencies in the neurons",
    )
    verdict = by_share(exact & has_key.reindex(best.index), bool(some.any()))
    return Finding(verdict, lines, lines[0])


def non_key_is_small(evidence: Evidence, experiments: Sequence[str]) -> Finding:
    """The rule NON_KEY."""
    rows = at_p(learned(evidence.table("identities", experiments)))
    if rows.empty:
        return untested(at_p(evidence.table("trials", experiments)))
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
    lines = [f"smallest over largest coefficient of all frequencies: {spread(lowest, 3)}; "
             f"{len(lowest)} trials"]  # fmt: skip
    if len(found):
        lines.insert(0, f"non-key over key: {spread(found, 3)} in {len(found)} trials")
    else:
        lines.append("no trial has key frequencies in its neurons")
    shown = found.reindex(lowest.index) <= SMALL
    return Finding(by_share(shown, bool((found <= SMALLISH).any())), tuple(lines), lines[0])


def rectify(evidence: Evidence, experiments: Sequence[str]) -> Finding:
    """The rule RECTIFY, at P = 23."""
    rows = at_p(learned(evidence.table("timesteps", experiments)))
    if rows.empty:
        return untested(at_p(evidence.table("trials", experiments)))
    levels = {k: rows[rows["level"] == k]["rectify_acc"] for k in PAPER_RECTIFY}
    lines = [f"level {k}: {spread(v)}; the paper {PAPER_RECTIFY[k]:.2f}" for k, v in levels.items()]
    medians = [float(v.median()) for v in levels.values()]
    off = [abs(m - p) for m, p in zip(medians, PAPER_RECTIFY.values(), strict=True)]
    near = max(off) <= NEAR
    rises = medians == sorted(medians) and medians[0] <= LOW and medians[-1] >= HIGH
    rises = rises and sum(x <= NEARISH for x in off) >= 3
    verdict = REPRODUCED if near else PARTLY if rises else NOT
    short = ", ".join(f"{m:.0%}" for m in medians)
    count = rows["trial_id"].nunique()
    return Finding(verdict, (*lines, f"{count} trials that learned"), f"{short}; {count} trials")


def critical(evidence: Evidence, experiments: Sequence[str]) -> Finding:
    """The rule CRITICAL."""
    rows = learned(evidence.table("critical", experiments))
    rows = rows if rows.empty else rows.dropna(subset=["observed", "predicted"])
    if rows.empty:
        return untested(evidence.table("trials", experiments))
    gap = rows["difference"].abs().astype(float)
    ranks = rows[["observed", "predicted"]].astype(float).rank()
    many = len(rows) >= ENOUGH and ranks.nunique().min() > 1
    correlation = float(ranks["observed"].corr(ranks["predicted"])) if many else float("nan")
    lines = [
        f"gap between predicted and observed: {spread(gap, 0)} levels of 50; {counted(rows)}",
        f"observed {spread(rows['observed'].astype(float), 0)}, predicted "
        f"{spread(rows['predicted'].astype(float), 0)}",
        f"rank correlation {correlation:.2f}" if many else "too few trials for a correlation",
    ]
    by_setting = rows.groupby(["data", "P", "N"])
    for (data, P, N), g in by_setting:
        pairs = ", ".join(f"{o:.0f}/{p:.0f}" for o, p in zip(g["observed"], g["predicted"]))
        lines.append(f"{data}, P = {P}, N = {N}, observed/predicted: {pairs}")
    shown = (bool(gap.median() <= GAP), many and correlation >= CORRELATED)
    verdict = REPRODUCED if all(shown) else PARTLY if any(shown) else NOT
    return Finding(verdict, tuple(lines), lines[0])
