"""Rules for claims on training: does it grok, does one variant where another fails?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from grokmodel.core.outcome import GROK_LAG, GROK_RATIO, GROKKING, HELD_FOR, LEARNED
from grokmodel.image.config import TrialConfig
from service.reproduction.evidence import (
    BEYOND_MIRROR,
    NOT,
    NOT_RUN,
    PARTLY,
    REPRODUCED,
    STEPS_FINAL,
    Evidence,
    Finding,
    of_parts,
    sampled,
)
from service.reproduction.trial_words import (
    final_in_words,
    groks_in_words,
    in_words,
    not_in_many,
)
from service.tables.summary import counted
from service.text import percent, spread

MOST = 2 / 3
"""Share of the trials of a setting that must show a thing."""
MIN_STRICT = 10
"""Strict pairs that the trials of a setting must have in all before it can be reproduced."""
STEPS_ONE = TrialConfig.sample_steps
"""Euler steps of the samples during training with up to `FEW` images per symbol; with more, a
single one."""
FEW = 4

LEARNS = (
    f"(To learn the held-out pairs is to reach {LEARNED:g} on the strict ones, or on all of them "
    f"with at least {percent(BEYOND_MIRROR)} of the strict ones right at the end: mirrors alone do "
    f"not count. It is read off samples taken during training: with up to {FEW} images per symbol "
    f"of {STEPS_ONE} Euler steps, read by the CNN; with more images of a single step, read by the "
    "nearest class mean.)"
)
FINALLY = (
    f"at least {LEARNED:g} of their strict pairs right at the end by samples of {STEPS_FINAL} "
    f"Euler steps too, read by the CNN, and at least {MIN_STRICT} strict pairs in all"
)
GROKS = (
    f"At least two thirds of the trials grok with {FINALLY}. To grok: training pairs are learned "
    f"(accuracy {LEARNED:g} for {HELD_FOR} evaluations in a row), later the strict pairs too, at "
    f"least {GROK_RATIO} times as late and {GROK_LAG:,} steps later. Partly: at least two thirds "
    "learn the held-out pairs at whatever time, or one trial groks, even if by samples of few "
    "steps alone. " + LEARNS
)
ENDS_HIGH = (
    f"At least two thirds of the trials end at {LEARNED:g} or above on all validation pairs, by "
    f"{STEPS_FINAL} Euler steps. Partly: one does. What this measure is worth: see the mirror leak."
)
GROKS_EACH = (
    GROKS + " Of several settings all must; it is partly if half of them come out in full or more "
    "than half at least partly. Settings that were not run count for neither; where they could "
    "make it partly, the verdict is left open."
)
SANDWICH = (
    f"At least two thirds of the sandwich trials learn the held-out pairs with {FINALLY}, and no "
    "trial of the baseline (the same FFN) or of the widened baseline (as many hidden units as the "
    "sandwich has in both its FFNs) learns them. Partly: sandwich trials learn them more often "
    "than each of the other two, even if by samples of few steps alone. If no trial learns them, "
    "nothing sets the three apart: not reproduced. " + LEARNS
)


def of_setting(trials: pd.DataFrame) -> tuple[str, str]:
    """The verdict on one setting, and what keeps it from being reproduced if it is partly."""
    if trials.empty:
        return NOT_RUN, ""
    groks = trials["phase"] == GROKKING
    share = float((groks & sampled(trials, LEARNED)).mean())
    if share >= MOST and _enough_pairs(trials):
        return REPRODUCED, ""
    if not groks.any() and trials["learned"].mean() < MOST:
        return NOT, ""
    if not groks.any():
        why = ["the held-out pairs are learned, but none groks"]
    elif groks.mean() < MOST:
        why = ["fewer than two thirds grok"]
    else:
        why = [not_in_many(trials[groks], "grok")] if share < MOST else []
    return PARTLY, "; ".join(why + _few_pairs(trials))


def _enough_pairs(trials: pd.DataFrame) -> bool:
    return bool(trials["n_strict"].sum() >= MIN_STRICT)


def _few_pairs(trials: pd.DataFrame) -> list[str]:
    pairs = f"only {trials['n_strict'].sum():,} strict pairs in all, fewer than {MIN_STRICT}"
    return [] if _enough_pairs(trials) else [pairs]


def groks_at(column: str, values: Sequence[int]) -> Callable[[Evidence, Sequence[str]], Finding]:
    """The rule GROKS for each of several settings.

    Args:
        column: of `trials`, which tells the settings apart.
    """

    def judge(evidence: Evidence, experiments: Sequence[str]) -> Finding:
        trials = evidence.table("trials", experiments)
        if trials.empty:
            return Finding(NOT_RUN, ())
        groups = {v: trials[trials[column] == v] for v in values}
        found = {v: of_setting(g) for v, g in groups.items()}
        lines = []
        for v, g in groups.items():
            if len(g):
                verdict, why = found[v]
                because = f". Partly: {why}" if verdict == PARTLY else ""
                lines.append(f"{column} = {v}: {in_words(g)}{because}")
        missing = [str(v) for v, g in groups.items() if g.empty]
        if missing:
            lines.append(f"not run: {column} = {', '.join(missing)}")
        short = f"{groks_in_words(trials)}; final validation {final_in_words(trials)}"
        return Finding(of_parts([verdict for verdict, _ in found.values()]), tuple(lines), short)

    return judge


def validation_accuracy(evidence: Evidence, experiments: Sequence[str]) -> Finding:
    """The rule ENDS_HIGH: all validation pairs, mirrors included, by the final samples."""
    trials = evidence.table("trials", experiments)
    if trials.empty:
        return Finding(NOT_RUN, ())
    values = trials["val_acc_final"]
    good = (values >= LEARNED).mean()
    verdict = REPRODUCED if good >= MOST else PARTLY if good > 0 else NOT
    words = f"{spread(values)}; {counted(trials)}"
    mirrored = 1 - trials["n_strict"] / trials["n_val"]
    lines = (
        f"final accuracy on all validation pairs {words}",
        f"on strict pairs {spread(trials['val_acc_strict_final'])}",
        f"mirrored pairs alone, in just these splits, give {spread(mirrored)}",
        *(f"P = {P}: {spread(g['val_acc_final'])}" for P, g in trials.groupby("P")),
    )
    return Finding(verdict, lines, words)


def sandwich_beats_baseline(evidence: Evidence, experiments: Sequence[str]) -> Finding:
    """The rule SANDWICH, of the sandwich's experiment and that of the other two."""
    sandwich, others = (evidence.table("trials", (name,)) for name in experiments)
    groups = {"sandwich": sandwich, **_baselines(sandwich, others)}
    there = {name: group for name, group in groups.items() if len(group)}
    lines = [f"{name}: {in_words(group)}" for name, group in there.items()]
    if not there:
        return Finding(NOT_RUN, ())
    finals = "; ".join(f"{name} {final_in_words(group)}" for name, group in there.items())
    short = f"final validation: {finals}"
    if missing := [name for name in groups if name not in there]:
        return Finding(NOT_RUN, (*lines, f"not run: {', '.join(missing)}"), short)
    lines += _unlike(sandwich, others)
    shares = {name: float(group["learned"].mean()) for name, group in groups.items()}
    best_other = max(shares["baseline"], shares["widened baseline"])
    finally_too = float((sandwich["learned"] & sampled(sandwich, LEARNED)).mean())
    if finally_too >= MOST and _enough_pairs(sandwich) and best_other == 0:
        return Finding(REPRODUCED, tuple(lines), short)
    if shares["sandwich"] >= MOST > finally_too:
        lines.append(not_in_many(sandwich[sandwich["learned"]], "learned"))
    lines += _few_pairs(sandwich)
    verdict = PARTLY if shares["sandwich"] > best_other else NOT
    return Finding(verdict, tuple(lines), short)


def _baselines(sandwich: pd.DataFrame, others: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Told apart by their hidden units, against those of the sandwich's FFNs: one or both."""
    if sandwich.empty or others.empty:
        return {"baseline": pd.DataFrame(), "widened baseline": pd.DataFrame()}
    after = sandwich["ffn"]
    both = after + sandwich["sandwich_ffn"].where(sandwich["sandwich_ffn"] > 0, after)
    return {
        "baseline": others[others["ffn"].isin(after)],
        "widened baseline": others[others["ffn"].isin(both)],
    }


def _unlike(sandwich: pd.DataFrame, others: pd.DataFrame) -> list[str]:
    """In what the sandwich differs from the other two beyond what it should."""
    columns = ("data", "P", "N", "side", "width", "train_fraction", "steps")
    sides = [{c: sorted(rows[c].unique()) for c in columns} for rows in (sandwich, others)]
    found = [
        f"{c} {', '.join(map(str, sides[0][c]))} against {', '.join(map(str, sides[1][c]))}"
        for c in columns
        if sides[0][c] != sides[1][c]
    ]
    return [f"not like for like: {'; '.join(found)}"] if found else []
