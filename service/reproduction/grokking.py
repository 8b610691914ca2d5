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
    Evidence,
    Finding,
    draws,
    of_parts,
    spread,
)
from service.tables import clocks
from service.tables.summary import counted

FAR = 0.2
"""Accuracy that samples of many steps may be worse by before both are told."""
MOST = 2 / 3
"""Share of the trials of a setting that must show a thing."""

MIN_STRICT = 10
"""Strict pairs that the trials of a setting must have in all before it can be reproduced."""
STEPS_ONE, STEPS_MANY = TrialConfig.sample_steps, 1
"""Euler steps of the samples during training, with one image a symbol and with more."""
STEPS_FINAL = TrialConfig.final_sample_steps

LEARNS = (
    f"(To learn the held-out pairs is to reach {LEARNED:g} on the strict ones, or on all of them "
    f"with at least {BEYOND_MIRROR:.0%} of the strict ones right at the end: mirrors alone do not "
    f"count. It is read off samples drawn during training, with one image a symbol of {STEPS_ONE} "
    "Euler steps by the CNN, with more images of a single step by the nearest class mean.)"
)
DRAWS = (
    f"at least {LEARNED:g} of their strict pairs right at the end by samples of {STEPS_FINAL} "
    f"Euler steps too, read by the CNN, and at least {MIN_STRICT} strict pairs in all"
)
GROKS = (
    f"At least two thirds of the trials grok with {DRAWS}. To grok: training pairs are learned "
    f"(accuracy {LEARNED:g} for {HELD_FOR} evaluations in a row), later the strict pairs too, at "
    f"least {GROK_RATIO} times as late and {GROK_LAG:,} steps later. Partly: at least two thirds "
    "learn the held-out pairs at whatever time, or one trial groks, even if it cannot draw in many "
    "steps what it knows. " + LEARNS
)
ENDS_HIGH = (
    f"At least two thirds of the trials end at {LEARNED:g} or above on all validation pairs, by "
    f"{STEPS_FINAL} Euler steps. Partly: one does. What this measure is worth: see the mirror leak."
)
GROKS_EACH = (
    GROKS + " Of several settings all must; it is partly if half of them come out in full or more "
    "than half at least partly. Settings that were not run count for neither; where they could "
    "make it partly, the verdict is left open as not run."
)
SANDWICH = (
    f"At least two thirds of the sandwich trials learn the held-out pairs with {DRAWS}, and no "
    "trial of the baseline (the same FFN) or of the widened baseline (as many hidden units as the "
    "sandwich has in both its FFNs) learns them. Partly: sandwich trials learn them more often "
    "than each of the other two, even if they cannot draw them in many steps. If nobody learns "
    "them, nothing sets the three apart: not. " + LEARNS
)


def grokked(trials: pd.DataFrame) -> tuple[str, str]:
    """The verdict on one setting, and what keeps it from being reproduced if it is partly."""
    if trials.empty:
        return NOT_RUN, ""
    groks = trials["phase"] == GROKKING
    share = float((groks & draws(trials, LEARNED)).mean())
    if share >= MOST and _enough_pairs(trials):
        return REPRODUCED, ""
    if not groks.any() and trials["learned"].mean() < MOST:
        return NOT, ""
    if not groks.any():
        why = ["the held-out pairs are learned, but none groks"]
    elif groks.mean() < MOST:
        why = ["fewer than two thirds grok"]
    else:
        why = [_undrawn(trials[groks], "grok")] if share < MOST else []
    return PARTLY, "; ".join(why + _few_pairs(trials))


def _enough_pairs(trials: pd.DataFrame) -> bool:
    return bool(trials["n_strict"].sum() >= MIN_STRICT)


def _few_pairs(trials: pd.DataFrame) -> list[str]:
    pairs = f"only {trials['n_strict'].sum():,} strict pairs in all, fewer than {MIN_STRICT}"
    return [] if _enough_pairs(trials) else [pairs]


def _undrawn(trials: pd.DataFrame, verb: str) -> str:
    """Trials know in few steps what they do not draw in many."""
    draw = int(draws(trials, LEARNED).sum())
    return (
        f"they know more than they draw: {verb} by samples {_few(trials)}: {len(trials)}; of these "
        f"with {LEARNED:g} of the strict pairs right in {STEPS_FINAL} steps too: {draw}"
    )


def _few(trials: pd.DataFrame) -> str:
    steps = sorted(trials["sample_steps"].unique())
    return f"of {' or '.join(map(str, steps))} step{'s' * (steps != [1])}"


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
        found = {v: grokked(g) for v, g in groups.items()}
        lines = []
        for v, g in groups.items():
            if len(g):
                verdict, why = found[v]
                because = f". Partly: {why}" if verdict == PARTLY else ""
                lines.append(f"{column} = {v}: {in_words(g)}{because}")
        missing = [str(v) for v, g in groups.items() if g.empty]
        if missing:
            lines.append(f"not run: {column} = {', '.join(missing)}")
        short = f"{_groks(trials)}; final validation {_final(trials)}"
        return Finding(of_parts([verdict for verdict, _ in found.values()]), tuple(lines), short)

    return judge


def _groks(trials: pd.DataFrame) -> str:
    """`2 of 3 grok`, and how many draw it or learn without grokking where that differs."""
    groks = trials["phase"] == GROKKING
    draw = int((groks & draws(trials, LEARNED)).sum())
    also = int((trials["learned"] & ~groks).sum())
    words = f"{groks.sum()} of {len(trials)} grok"
    if draw < groks.sum():
        words += f" by samples {_few(trials[groks])}, {draw} of these by {STEPS_FINAL} steps too"
    return words + (f", {also} more learn{'s' * (also == 1)} without" if also else "")


def in_words(trials: pd.DataFrame) -> str:
    """Everything a reader asks of the trials of a setting."""
    phases = ", ".join(f"{n} {p}" for p, n in trials["phase"].value_counts().sort_index().items())
    pairs = int(trials["n_strict"].sum())
    right = round(float((trials["val_acc_strict_final"] * trials["n_strict"]).sum()))
    steps = {
        "training": "train_step", "all validation pairs": "val_step", "strict": "val_step_strict"
    }  # fmt: skip
    when = "; ".join(f"{words} {_when(trials, c)}" for words, c in steps.items())
    unseen = ""
    if "val_acc_heldout_final" in trials and trials["val_acc_heldout_final"].notna().any():
        unseen = f", on operand images never seen {spread(trials['val_acc_heldout_final'])}"
    return (
        f"{counted(trials)}: {phases}. Final accuracy ({STEPS_FINAL} steps) on all validation "
        f"pairs {spread(trials['val_acc_final'])}{unseen}, on strict ones "
        f"{spread(trials['val_acc_strict_final'])}, {right:,} of {pairs:,} right in all. "
        f"Learned, by samples {_few(trials)}: {when}{_few_steps(trials)}"
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


def _when(trials: pd.DataFrame, column: str) -> str:
    """`at step 1,500 (1,250 to 2,000)` or `not by step 5,000`; where only some have learned, when
    these did and the median of all."""
    found = clocks.clock(trials, column)
    median = clocks.median(found)
    if not median.size:
        return "not measured"
    if not median.known:
        return median.words.replace("not by", "not by step")
    if median.known == median.size:
        return f"at step {spread(found['steps'], 0)}"
    return f"at step {spread(found['steps'], 0)}, median of all {median.words}"


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
    groups = {"sandwich": sandwich, **_baselines(sandwich, others)}
    there = {name: group for name, group in groups.items() if len(group)}
    lines = [f"{name}: {in_words(group)}" for name, group in there.items()]
    if not there:
        return Finding(NOT_RUN, ())
    short = "; ".join(f"{name} {_final(group)}" for name, group in there.items())
    short = f"final validation: {short}"
    if missing := [name for name in groups if name not in there]:
        return Finding(NOT_RUN, (*lines, f"not run: {', '.join(missing)}"), short)
    lines += _unlike(sandwich, others)
    shares = {name: float(group["learned"].mean()) for name, group in groups.items()}
    best_other = max(shares["baseline"], shares["widened baseline"])
    drawn = float((sandwich["learned"] & draws(sandwich, LEARNED)).mean())
    if drawn >= MOST and _enough_pairs(sandwich) and best_other == 0:
        return Finding(REPRODUCED, tuple(lines), short)
    if shares["sandwich"] >= MOST > drawn:
        lines.append(_undrawn(sandwich[sandwich["learned"]], "learned"))
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
