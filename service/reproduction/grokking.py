"""Rules for claims on training: does it grok, does one variant where another fails?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from grokmodel.outcome import GROK_LAG, GROK_RATIO, GROKKING, HELD_FOR, LEARNED
from service.reproduction.evidence import (
    BEYOND_MIRROR,
    NOT,
    NOT_RUN,
    PARTLY,
    REPRODUCED,
    Evidence,
    Finding,
    spread,
    worst_of,
)
from service.summary import counted

FAR = 0.2
"""Accuracy that samples of many steps may be worse by before both are told."""
MOST = 2 / 3
"""Share of the trials of a setting that must show a thing."""

LEARNS = (
    f"(To learn the held-out pairs is to reach {LEARNED:g} on the strict ones, or on all of them "
    f"with at least {BEYOND_MIRROR:.0%} of the strict ones right at the end: mirrors alone do not "
    "count.)"
)
GROKS = (
    f"At least two thirds of the trials grok: training pairs are learned (accuracy {LEARNED:g} for "
    f"{HELD_FOR} evaluations in a row), later the strict pairs too, at least {GROK_RATIO} times as "
    f"late and {GROK_LAG:,} steps later. Partly: at least two thirds learn the held-out "
    "pairs at whatever time, or one trial groks. " + LEARNS
)
ENDS_HIGH = (
    f"At least two thirds of the trials end at {LEARNED:g} or above on all validation pairs, by 50 "
    "Euler steps. Partly: one does. What this measure is worth: see the mirror leak."
)
GROKS_EACH = (
    GROKS + " Of several settings all must; it is partly if half of them come out at least partly."
)
SANDWICH = (
    "At least two thirds of the sandwich trials learn the held-out pairs, and no trial of the "
    "baseline or of the widened baseline does. Partly: sandwich trials learn them more often than "
    "each of the other two. If nobody learns them, nothing sets the three apart: not. " + LEARNS
)


def grokked(trials: pd.DataFrame) -> str:
    """The verdict on one setting."""
    if trials.empty:
        return NOT_RUN
    groks = trials["phase"] == GROKKING
    if groks.mean() >= MOST:
        return REPRODUCED
    return PARTLY if groks.any() or trials["learned"].mean() >= MOST else NOT


def groks_at(
    experiments: Sequence[str], column: str, values: Sequence[int]
) -> Callable[[Evidence], Finding]:
    """The rule GROKS for each of several settings.

    Args:
        column: of `trials`, which tells the settings apart.
    """

    def judge(evidence: Evidence) -> Finding:
        trials = evidence.table("trials", experiments)
        if trials.empty:
            return Finding(NOT_RUN, ())
        groups = {v: trials[trials[column] == v] for v in values}
        lines = [f"{column} = {v}: {in_words(g)}" for v, g in groups.items() if len(g)]
        missing = [str(v) for v, g in groups.items() if g.empty]
        if missing:
            lines.append(f"not run: {column} = {', '.join(missing)}")
        groks = int((trials["phase"] == GROKKING).sum())
        short = f"{groks} of {len(trials)} grok; final validation {_final(trials)}"
        return Finding(worst_of([grokked(g) for g in groups.values()]), tuple(lines), short)

    return judge


def in_words(trials: pd.DataFrame) -> str:
    """Everything a reader asks of the trials of a setting."""
    phases = ", ".join(f"{n} {p}" for p, n in trials["phase"].value_counts().sort_index().items())
    pairs = int(trials["n_strict"].sum())
    right = round(float((trials["val_acc_strict_final"] * trials["n_strict"]).sum()))
    steps = {
        "training": "train_step", "all validation pairs": "val_step", "strict": "val_step_strict"
    }  # fmt: skip
    when = "; ".join(f"{words} at step {_steps(trials[c])}" for words, c in steps.items())
    unseen = ""
    if "val_acc_heldout_final" in trials and trials["val_acc_heldout_final"].notna().any():
        unseen = f", on operand images never seen {spread(trials['val_acc_heldout_final'])}"
    return (
        f"{counted(trials)}: {phases}. Final accuracy on all validation pairs "
        f"{spread(trials['val_acc_final'])}{unseen}, on strict ones "
        f"{spread(trials['val_acc_strict_final'])}, {right:,} of {pairs:,} right in all. "
        f"Learned: {when}{_few_steps(trials)}"
    )


def _final(trials: pd.DataFrame) -> str:
    """Final accuracy on all validation pairs, by a single step too where that says much more."""
    many = spread(trials["val_acc_final"])
    if not _knows_more_than_it_draws(trials):
        return many
    return f"{many}, by a single step {spread(trials['val_acc_1step'])}"


def _knows_more_than_it_draws(trials: pd.DataFrame) -> bool:
    return bool((trials["train_acc_1step"] > trials["train_acc_final"] + FAR).any())


def _few_steps(trials: pd.DataFrame) -> str:
    """What single-step samples say, where those of many steps say much less."""
    if not _knows_more_than_it_draws(trials):
        return ""
    pairs = (("training", "train_acc_1step"), ("validation", "val_acc_1step"),
             ("strict", "val_acc_strict_1step"))  # fmt: skip
    found = ", ".join(f"{name} {spread(trials[column])}" for name, column in pairs)
    return f". By samples of a single step: {found}"


def _steps(values: pd.Series) -> str:
    known = values.dropna()
    share = "" if len(known) in (0, len(values)) else f" in {len(known)} of {len(values)}"
    return spread(values, 0) + share


def validation_accuracy(experiments: Sequence[str]) -> Callable[[Evidence], Finding]:
    """All validation pairs, mirrors included, by the final samples."""

    def judge(evidence: Evidence) -> Finding:
        trials = evidence.table("trials", experiments)
        if trials.empty:
            return Finding(NOT_RUN, ())
        values = trials["val_acc_final"]
        good = (values >= LEARNED).mean()
        verdict = REPRODUCED if good >= MOST else PARTLY if good > 0 else NOT
        line = f"final accuracy on all validation pairs {spread(values)}; {counted(trials)}"
        strict = f"on strict pairs {spread(trials['val_acc_strict_final'])}"
        mirrored = 1 - trials["n_strict"] / trials["n_val"]
        mirror = f"mirrored pairs alone, in just these splits, give {spread(mirrored)}"
        by_p = [f"P = {P}: {spread(g['val_acc_final'])}" for P, g in trials.groupby("P")]
        return Finding(
            verdict, (line, strict, mirror, *by_p), f"{spread(values)}; {counted(trials)}"
        )

    return judge


def sandwich_beats_baseline(evidence: Evidence) -> Finding:
    """The rule SANDWICH."""
    sandwich = evidence.table("trials", ("n256",))
    others = evidence.table("trials", ("variants",))
    if sandwich.empty or others.empty:
        return Finding(NOT_RUN, ())
    widths = sorted(others["ffn"].unique())
    groups = {"sandwich": sandwich, "baseline": others[others["ffn"] == widths[0]]}
    groups |= {"widened baseline": others[others["ffn"] == widths[-1]]}
    lines = [f"{name}: {in_words(group)}" for name, group in groups.items()]
    shares = {name: float(group["learned"].mean()) for name, group in groups.items()}
    best_other = max(shares["baseline"], shares["widened baseline"])
    if shares["sandwich"] >= MOST and best_other == 0:
        verdict = REPRODUCED
    else:
        verdict = PARTLY if shares["sandwich"] > best_other else NOT
    short = "; ".join(f"{name} {_final(group)}" for name, group in groups.items())
    return Finding(verdict, tuple(lines), f"final validation: {short}")
