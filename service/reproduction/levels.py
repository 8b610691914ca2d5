"""Rules for claims on noise levels: from which is a sample still talked out of a wrong result?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd

from service.reproduction.evidence import (
    DRAWN,
    NOT,
    NOT_RUN,
    PARTLY,
    REPRODUCED,
    Evidence,
    Finding,
    at_p,
    learned,
    spread,
    untested,
)
from service.reproduction.grokking import STEPS_FINAL
from service.tables.summary import counted

PAPER_RECTIFY = {0: 0.0, 21: 0.07, 32: 0.54, 50: 0.96}
"""The paper's rectify accuracy at P = 23, by noise level of 50."""
NEAR, NEARISH, LOW, HIGH = 0.10, 0.30, 0.05, 0.50
GAP, CORRELATED, ENOUGH, SETTINGS = 3, 0.7, 5, 2
MOVES = 0.01
"""Range of the entropy over all levels from which its steepest change is one."""

DRAWERS = (
    f"trials that learned and have at least {DRAWN:.0%} of the strict pairs right in {STEPS_FINAL} "
    "steps"
)
RECTIFY = (
    f"Over {DRAWERS}: at each of the four levels the median is within {NEAR:g} of the paper's. "
    f"Partly: it rises with the level, from {LOW:g} or less at level 0 to {HIGH:g} or more at "
    f"level 50, and is within {NEARISH:g} of the paper's at three of the four. If no trial draws "
    "as much: not run."
)
CRITICAL = (
    f"Over {DRAWERS}, {ENOUGH} or more of {SETTINGS} or more settings (data, P, N), or else not "
    f"run: the median gap between predicted and observed level is at most {GAP} of 50, and their "
    f"rank correlation is at least {CORRELATED:g}. Partly: one of the two, with a correlation "
    "above 0. Trials whose prediction lies at the first or last level, or whose entropy changes by "
    f"less than {MOVES:g} over all levels, do not count."
)


def of_those_that_draw(rows: pd.DataFrame, judge: Callable[[pd.DataFrame], Finding]) -> Finding:
    """Judge the trials that draw what they know; of the others the numbers are shown."""
    drawn, rest = rows[rows["draws"]], rows[~rows["draws"]]
    if rest.empty:
        return judge(drawn)
    words = (
        f"{counted(rest.drop_duplicates('trial_id'))}, left out: known in few steps, not drawn in "
        f"many (fewer than {DRAWN:.0%} of the strict pairs right in {STEPS_FINAL})"
    )
    if len(drawn):
        found = judge(drawn)
        return replace(found, measured=(*found.measured, words))
    shown = judge(rest)
    return Finding(
        NOT_RUN,
        (f"{words}. None is left; the numbers of these:", *shown.measured),
        f"nobody draws what it knows; those that know: {shown.short}",
    )


def rectify(evidence: Evidence, experiments: Sequence[str]) -> Finding:
    """The rule RECTIFY, at P = 23."""
    rows = at_p(learned(evidence.table("timesteps", experiments)))
    if rows.empty:
        return untested(at_p(evidence.table("trials", experiments)))
    return of_those_that_draw(rows, _rectified)


def _rectified(rows: pd.DataFrame) -> Finding:
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
    words = f"{count} trial{'s' * (count != 1)}"
    return Finding(verdict, (*lines, f"{words} that learned"), f"{short}; {words}")


def critical(evidence: Evidence, experiments: Sequence[str]) -> Finding:
    """The rule CRITICAL."""
    rows = learned(evidence.table("critical", experiments))
    known = rows if rows.empty else rows.dropna(subset=["observed", "predicted"])
    if known.empty:
        return untested(evidence.table("trials", experiments))
    known = known.assign(tells=tells(known, evidence.table("timesteps", experiments)))
    found = of_those_that_draw(known, _aligned)
    if len(known) == len(rows):
        return found
    words = f"left out: {len(rows) - len(known)} of {len(rows)} trials have no observed level"
    return replace(found, measured=(*found.measured, words))


def tells(critical: pd.DataFrame, timesteps: pd.DataFrame) -> pd.Series:
    """Which predictions are one: not at an edge, and of an entropy that changes at all."""
    last = critical["levels"] - 1
    inside = (critical["predicted"] > 0) & (critical["predicted"] < last)
    if timesteps.empty:
        return inside
    entropy = timesteps.groupby("trial_id")["entropy"]
    extent = critical["trial_id"].map(entropy.max() - entropy.min())
    return inside & ~(extent < MOVES)


def _aligned(rows: pd.DataFrame) -> Finding:
    lines = []
    for (data, P, N), g in rows.groupby(["data", "P", "N"]):
        pairs = ", ".join(
            f"{o:.0f}/{p:.0f}" + " (does not count)" * (not t)
            for o, p, t in zip(g["observed"], g["predicted"], g["tells"])
        )
        lines.append(f"{data}, P = {P}, N = {N}, observed/predicted: {pairs}")
    rows = rows[rows["tells"]]
    if rows.empty:
        none = "no trial has a prediction inside the levels with an entropy that changes"
        return Finding(NOT_RUN, (none, *lines), none)
    gap = rows["difference"].abs().astype(float)
    observed, predicted = (rows[c].astype(float) for c in ("observed", "predicted"))
    settings = rows.groupby(["data", "P", "N"]).ngroups
    varied = min(observed.nunique(), predicted.nunique()) > 1
    enough = len(rows) >= ENOUGH and settings >= SETTINGS and varied
    correlation = float(observed.rank().corr(predicted.rank())) if enough else float("nan")
    first = f"gap between predicted and observed: {spread(gap, 0)} levels of 50; {counted(rows)}"
    too_few = (
        f"no verdict: {len(rows)} of {ENOUGH} trials, {settings} of {SETTINGS} settings"
        if varied
        else "no verdict: one level throughout, no rank to compare"
    )
    lines = [
        first,
        f"observed {spread(observed, 0)}, predicted {spread(predicted, 0)}",
        f"rank correlation {correlation:.2f}" if enough else too_few,
        *lines,
    ]
    if not enough:
        return Finding(NOT_RUN, tuple(lines), first)
    near, ranked = bool(gap.median() <= GAP), correlation >= CORRELATED
    some = (near or ranked) and correlation > 0
    return Finding(REPRODUCED if near and ranked else PARTLY if some else NOT, tuple(lines), first)
