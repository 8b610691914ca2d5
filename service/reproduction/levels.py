"""Rules for claims on noise steps: from which of them is a wrong result still corrected?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd

from grokmodel.analysis.timesteps import MOVES
from service.reproduction.evidence import (
    NOT,
    NOT_RUN,
    PARTLY,
    REPRODUCED,
    SAMPLED,
    STEPS_FINAL,
    Evidence,
    Finding,
    learned,
    untested,
)
from service.tables.summary import counted
from service.text import count, percent, spread

PAPER_RECTIFY = {0: 0.0, 21: 0.07, 32: 0.54, 50: 0.96}
"""The paper's rectify accuracy at P = 23, by noise-step index of 50."""
NEAR, NEARISH, LOW, HIGH = 0.10, 0.30, 0.05, 0.50
GAP, CORRELATED, ENOUGH, SETTINGS = 3, 0.7, 5, 2

THESE = (
    f"trials that learned and have at least {percent(SAMPLED)} of the strict pairs right in "
    f"{STEPS_FINAL} steps"
)
RECTIFY = (
    f"Over {THESE}: from each of the four noise-step indices the median is within {NEAR:g} of the "
    f"paper's. Partly: it rises with the index, from {LOW:g} or less at 0 to {HIGH:g} or more at "
    f"50, and is within {NEARISH:g} of the paper's at three of the four. If there is no such "
    "trial: inconclusive."
)
CRITICAL = (
    f"Over {THESE}, {ENOUGH} or more of {SETTINGS} or more settings (data, P, N), or else "
    "inconclusive: "
    f"the median gap between predicted and observed noise-step index is at most {GAP} of 50, and "
    f"their rank correlation is at least {CORRELATED:g}. Partly: one of the two, with a "
    "correlation above 0. Trials whose prediction is the first or last index, or whose entropy "
    f"changes by less than {MOVES:g} over all of them, do not count."
)


def of_those_sampled(rows: pd.DataFrame, judge: Callable[[pd.DataFrame], Finding]) -> Finding:
    """The finding of trials that are right in many steps; of the others the numbers are shown."""
    these, rest = rows[rows["sampled"]], rows[~rows["sampled"]]
    if rest.empty:
        return judge(these)
    words = (
        f"{counted(rest.drop_duplicates('trial_id'))}, left out: right in few sampling steps, not "
        f"in many (fewer than {percent(SAMPLED)} of the strict pairs right in {STEPS_FINAL})"
    )
    if len(these):
        found = judge(these)
        return replace(found, measured=(*found.measured, words))
    shown = judge(rest)
    return Finding(
        NOT_RUN,
        (f"{words}. None is left; the numbers of these:", *shown.measured),
        f"no trial is right in many sampling steps; those right in few: {shown.short}",
    )


def rectify(rows: pd.DataFrame) -> Finding:
    """The rule RECTIFY."""
    return of_those_sampled(rows, _rectified)


def _rectified(rows: pd.DataFrame) -> Finding:
    levels = {k: rows[rows["level"] == k]["rectify_acc"] for k in PAPER_RECTIFY}
    lines = [
        f"from noise-step index {k}: {spread(v)}; the paper {PAPER_RECTIFY[k]:.2f}"
        for k, v in levels.items()
    ]
    medians = [float(v.median()) for v in levels.values()]
    off = [abs(m - p) for m, p in zip(medians, PAPER_RECTIFY.values(), strict=True)]
    near = max(off) <= NEAR
    rises = medians == sorted(medians) and medians[0] <= LOW and medians[-1] >= HIGH
    rises = rises and sum(x <= NEARISH for x in off) >= 3
    verdict = REPRODUCED if near else PARTLY if rises else NOT
    trials = count(rows["trial_id"].nunique(), "trial")
    short = f"{', '.join(map(percent, medians))}; {trials}"
    return Finding(verdict, (*lines, f"{trials} that learned"), short)


def critical(evidence: Evidence, experiments: Sequence[str]) -> Finding:
    """The rule CRITICAL."""
    rows = learned(evidence.table("critical", experiments))
    if rows.empty:
        return untested(evidence.table("trials", experiments))
    known = rows.dropna(subset=["observed", "predicted"])
    if known.empty:
        none = f"none of {counted(rows)} has both an observed and a predicted level"
        return Finding(NOT_RUN, (none,), none)
    known = known.assign(tells=tells(known))
    found = of_those_sampled(known, _aligned)
    if len(known) == len(rows):
        return found
    lost = len(rows) - len(known)
    words = f"left out: {lost} of {len(rows)} trials lack an observed or a predicted level"
    return replace(found, measured=(*found.measured, words))


def tells(critical: pd.DataFrame) -> pd.Series:
    """Which predictions are one: not at an edge, where a difference is one-sided."""
    return (critical["predicted"] > 0) & (critical["predicted"] < critical["levels"] - 1)


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
        none = "no trial has a prediction between the ends with an entropy that changes"
        return Finding(NOT_RUN, (none, *lines), none)
    gap = rows["difference"].abs().astype(float)
    observed, predicted = (rows[c].astype(float) for c in ("observed", "predicted"))
    settings = rows.groupby(["data", "P", "N"]).ngroups
    varied = min(observed.nunique(), predicted.nunique()) > 1
    enough = len(rows) >= ENOUGH and settings >= SETTINGS and varied
    correlation = float(observed.rank().corr(predicted.rank())) if enough else float("nan")
    first = f"gap between predicted and observed: {spread(gap, 0)} steps of 50; {counted(rows)}"
    too_few = (
        f"no verdict: {len(rows)} of {ENOUGH} trials, {settings} of {SETTINGS} settings"
        if varied
        else "no verdict: one index throughout, no rank to compare"
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
