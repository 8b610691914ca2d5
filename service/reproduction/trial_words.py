"""Trials of a setting in words: what they came to, by samples of many steps and of few."""

from __future__ import annotations

import pandas as pd

from grokmodel.core.outcome import GROKKING, LEARNED
from service.reproduction.evidence import STEPS_FINAL, sampled
from service.tables import clocks
from service.tables.summary import counted
from service.text import spread

FAR = 0.2
"""Accuracy that samples of many steps may be worse by before both are told."""


def groks_in_words(trials: pd.DataFrame) -> str:
    """`2 of 3 grok`, and how many do so by many steps or learn without where that differs."""
    groks = trials["phase"] == GROKKING
    finally_too = int((groks & sampled(trials, LEARNED)).sum())
    also = int((trials["learned"] & ~groks).sum())
    words = f"{groks.sum()} of {len(trials)} grok"
    if finally_too < groks.sum():
        few = _few(trials[groks])
        words += f" by samples {few}, {finally_too} of these by {STEPS_FINAL} steps too"
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


def final_in_words(trials: pd.DataFrame) -> str:
    """Final accuracy on all validation pairs, by a single step too where that says much more."""
    many = spread(trials["val_acc_final"])
    if not _few_tell_more(trials):
        return many
    return f"{many}, by a single step {spread(trials['val_acc_1step'])}"


def _few_tell_more(trials: pd.DataFrame) -> bool:
    return bool((trials["train_acc_1step"] > trials["train_acc_final"] + FAR).any())


def _few_steps(trials: pd.DataFrame) -> str:
    """What single-step samples say, where those of many steps say much less."""
    if not _few_tell_more(trials):
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
    when = f"at step {spread(found['steps'], 0)}"
    return when if median.known == median.size else f"{when}, median of all {median.words}"


def not_in_many(trials: pd.DataFrame, verb: str) -> str:
    """Samples of few steps are right, those of many are not."""
    also = int(sampled(trials, LEARNED).sum())
    return (
        f"few sampling steps do better than many: {verb} by samples {_few(trials)}: {len(trials)}; "
        f"of these with {LEARNED:g} of the strict pairs right in {STEPS_FINAL} steps too: {also}"
    )


def _few(trials: pd.DataFrame) -> str:
    steps = sorted(trials["sample_steps"].unique())
    return f"of {' or '.join(map(str, steps))} step{'s' * (steps != [1])}"
